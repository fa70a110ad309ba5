"""Inference from a checkpoint file, the whole way, with what a model says untrained: places of queries and guests."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from qcen_core.config import ModelConfig, QcenConfig
from qcen_core.inference.infer import infer_to_folder
from qcen_core.inference.options import InferOptions
from qcen_core.model.checkpoint import save_checkpoint
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.records import Category

HEIGHT, WIDTH, LENGTH = 67, 103, 3
CATEGORIES = (Category(3, "horse"), Category(7, "boat"))


def checkpoint(path: Path, *, located: bool, exchange: str) -> Path:
    """A small model that calls every query a horse, so that its masks are written."""
    model = ModelConfig(
        backbone="resnet10t",
        backbone_args={"channels": [8, 16, 16, 16], "stem_width": 8},
        pretrained=False,
        backbone_norm="group",
        hidden_dim=16,
        contrast_dim=8,
        heads=2,
        queries=5,
        located_queries=located,
        encoder_layers=1,
        encoder_feedforward=16,
        decoder_layers=1,
        decoder_feedforward=16,
    )
    config = QcenConfig.model_validate(
        {"model": model, "data": {"test_short_side": 64, "max_side": 256}, "loss": {"exchange": exchange}}
    )
    torch.manual_seed(0)
    segmenter = FrameSegmenter(model, len(CATEGORIES))
    with torch.no_grad():
        segmenter.decoder.class_embed.bias.copy_(torch.tensor([9.0, 0.0, -9.0]))
    save_checkpoint(path, segmenter.state_dict(), config, CATEGORIES, {"step": 10_000, "supervision": ["box"]})
    return path


@pytest.mark.parametrize(("located", "exchange"), [(True, "mask"), (True, "decoder"), (False, "decoder")])
def test_tracks_are_written(tmp_path, located, exchange):
    generator = np.random.default_rng(1)
    (tmp_path / "clip").mkdir()
    for index in range(LENGTH):
        image = generator.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "clip" / f"{index:05d}.png"), image)
    weights = checkpoint(tmp_path / "last.safetensors", located=located, exchange=exchange)
    infer_to_folder(
        tmp_path / "clip", weights=weights, out=tmp_path / "out", options=InferOptions(device="cpu", confidence=0.1)
    )
    tracks = json.loads((tmp_path / "out" / "results.json").read_text())
    masks = [mask for track in tracks for mask in track["segmentations"] if mask is not None]
    assert masks
    assert all(mask["size"] == [HEIGHT, WIDTH] for mask in masks)
