"""QCEN: video instance segmentation learned from boxes alone.

The five verbs are functions here: `qcen_core.prepare`, `train`, `infer`, `evaluate`, `visualize`. `infer` yields what
it finds frame by frame; `infer_to_folder` writes it as the command does, and `to_supervision` hands a frame over to the
`supervision` package. They are looked up when they are first used: some of them import torch, which takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qcen_core.conversion.prepare import prepare
    from qcen_core.evaluation.evaluate import evaluate
    from qcen_core.inference.infer import infer_to_folder
    from qcen_core.inference.stream import infer
    from qcen_core.inference.to_supervision import to_supervision
    from qcen_core.training.trainer import train
    from qcen_core.visualization.visualize import visualize

__all__ = ["evaluate", "infer", "infer_to_folder", "prepare", "to_supervision", "train", "visualize"]

_MODULES = {
    "evaluate": "qcen_core.evaluation.evaluate",
    "infer": "qcen_core.inference.stream",
    "infer_to_folder": "qcen_core.inference.infer",
    "prepare": "qcen_core.conversion.prepare",
    "to_supervision": "qcen_core.inference.to_supervision",
    "train": "qcen_core.training.trainer",
    "visualize": "qcen_core.visualization.visualize",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'qcen_core' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)
