"""Devices, processes and precision of a run."""

import logging
import os
from datetime import timedelta

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.strategy import Strategy

from qcen_core.config import QcenConfig
from qcen_core.errors import InputError, QcenError

# The first process evaluates while the others wait for it.
PATIENCE = timedelta(hours=6)


def local_processes(config: QcenConfig) -> int:
    """Processes of a run on one machine: one a GPU, or those of the CPU."""
    return config.train.devices or config.train.processes


def launched_processes() -> tuple[int, int] | None:
    """Processes that torchrun or srun started, in all and on this machine; `None` if there is but this one."""
    if _by_torchrun():
        world = int(os.environ["WORLD_SIZE"])
        return (world, int(os.environ.get("LOCAL_WORLD_SIZE", world))) if world > 1 else None
    if _by_srun():
        world = int(os.environ["SLURM_STEP_NUM_TASKS"])
        return (world, world // int(os.environ.get("SLURM_STEP_NUM_NODES", "1"))) if world > 1 else None
    return None


def _by_torchrun() -> bool:
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def _by_srun() -> bool:
    return "SLURM_STEP_NUM_TASKS" in os.environ  # a batch script outside of srun does not have it: it is one process


def check_devices(config: QcenConfig) -> None:
    """Make sure that there are as many GPUs as asked for.

    Raises:
        InputError: there are fewer.
    """
    found = torch.cuda.device_count()
    if config.train.devices > found:
        hint = f"--gpus {found} trains on those, --gpus 0 on the CPU" if found else "--gpus 0 trains on the CPU"
        asked = f"{config.train.devices} GPU{' is' if config.train.devices == 1 else 's are'} asked for"
        raise InputError(f"{asked}, this machine shows {found}", hint=hint)
    launched = launched_processes()
    if launched is not None and config.train.devices and launched[1] != config.train.devices:
        raise InputError(
            f"{config.train.devices} GPUs are asked for, but {launched[1]} processes were started on this machine",
            hint="start a process for each GPU, or name their number with --gpus",
        )


def world_size(config: QcenConfig) -> int:
    """Processes that a run has, or would have."""
    launched = launched_processes()
    return launched[0] if launched else config.train.nodes * local_processes(config)


def build_fabric(config: QcenConfig) -> Fabric:
    """Join the processes of the run, if there are several.

    Raises:
        InputError: there are fewer GPUs than asked for.
        QcenError: the processes do not find each other.
    """
    check_devices(config)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it would tell of every process that joins
    world, local = launched_processes() or (1, 1)
    strategy: Strategy | str = "auto"
    if world > 1:
        # No search for unused parameters: `train_step` sees to it that there are none.
        strategy = DDPStrategy(gradient_as_bucket_view=True, timeout=PATIENCE)
    try:
        fabric = Fabric(
            accelerator="cuda" if config.train.devices else "cpu",
            devices=local,
            num_nodes=world // local,
            precision=config.train.precision,
            strategy=strategy,
            plugins=[_environment()],
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise QcenError(f"the processes do not find each other: {_first_line(error)}", hint=_how_to_meet()) from None
    if fabric.world_size != world:
        raise QcenError(
            f"{world} processes were started, but {fabric.world_size} of them form this run",
            hint="start as many on each node",
        )
    return fabric


def _environment() -> ClusterEnvironment:
    if launched_processes() is None:
        return LightningEnvironment()
    return TorchElasticEnvironment() if _by_torchrun() else SLURMEnvironment(auto_requeue=False)


def _how_to_meet() -> str:
    place = f"{os.environ.get('MASTER_ADDR', 'the first node')}:{os.environ.get('MASTER_PORT', '?')}"
    return f"they meet at {place}; if that port is taken, set MASTER_PORT, or torchrun's --rdzv-endpoint, to another"


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
