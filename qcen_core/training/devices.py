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
    local = max(1, config.train.devices)
    launched = int(os.environ.get("WORLD_SIZE", "0"))
    nodes = max(1, launched // local) if launched else config.train.nodes
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
            hint="start as many processes on each node as --gpus names",
        )
    return fabric
