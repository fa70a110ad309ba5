"""Devices, processes and precision of a run."""

import os
from datetime import timedelta

from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from qcen_core.config import QcenConfig
from qcen_core.errors import QcenError

# The first process evaluates while the others wait for it.
PATIENCE = timedelta(hours=6)


def build_fabric(config: QcenConfig) -> Fabric:
    """Start the processes of a run, or join those that torchrun started.

    Raises:
        QcenError: the processes around this one do not form one run.
    """
    launched = int(os.environ.get("WORLD_SIZE", "0"))  # torchrun tells how many processes there are, and how many here
    local = int(os.environ.get("LOCAL_WORLD_SIZE", launched)) if launched else max(1, config.train.devices)
    nodes = launched // local if launched else config.train.nodes
    several = local * nodes > 1
    fabric = Fabric(
        accelerator="cuda" if config.train.devices else "cpu",
        devices=local,
        num_nodes=nodes,
        precision=config.train.precision,
        strategy=DDPStrategy(find_unused_parameters=True, timeout=PATIENCE) if several else "auto",
    )
    fabric.launch()
    if launched and fabric.world_size != launched:
        raise QcenError(
            f"{launched} processes were started, but {fabric.world_size} of them form this run",
            hint="start them with torchrun, the same number on each node",
        )
    return fabric
