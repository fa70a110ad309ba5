"""The files of a training run."""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

import cv2
import torch

from qcen_core.config import QcenConfig, dump_config
from qcen_core.jsonfile import write_json
from qcen_core.training.train_state import STATE

BEST, LAST = "best.safetensors", "last.safetensors"
CONFIG, ENVIRONMENT, METRICS = "config.yaml", "env.json", "metrics.csv"
SAMPLES, BAD_BATCH, EVENTS = "samples", "bad_batch", "tensorboard"


def clear_run(run: Path) -> None:
    """Remove what an earlier run left in the folder, so that its weights and state are not taken for the new run's."""
    for name in (BEST, LAST, METRICS):
        (run / name).unlink(missing_ok=True)
    for folder in (run / STATE, run / SAMPLES, run / EVENTS, *run.glob(f"{BAD_BATCH}*")):
        shutil.rmtree(folder, ignore_errors=True)


def write_settings(run: Path, config: QcenConfig, environment: dict[str, str]) -> None:
    """Write `config.yaml` and `env.json`, each whole or not at all."""
    beside = run / f".{CONFIG}.{os.getpid()}.part"
    beside.write_text(dump_config(config), encoding="utf-8")
    beside.replace(run / CONFIG)
    write_json(environment, run / ENVIRONMENT)


def environment() -> dict[str, str]:
    """Versions and machine of a run."""
    packages = ("qcen", "torch", "torchvision", "timm", "lightning-fabric", "numpy")
    found = {name: metadata.version(name) for name in packages}
    found["opencv"] = cv2.__version__  # of whichever of its several packages is installed
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return found | {"python": platform.python_version(), "machine": platform.platform(), "gpu": device}
