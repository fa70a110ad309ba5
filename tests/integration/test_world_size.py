"""Two processes with two clips each learn what one process with four does."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from qcen_core.config import config_from_dict, dump_config
from qcen_core.structures import BoxTarget, ClipBatch, StrongLabels
from qcen_core.training.batch_picture import save_batch
from qcen_core.training.launch import launch

WORKER = str(Path(__file__).with_name("gradient_worker.py"))
CLIPS, FRAMES, HEIGHT, WIDTH = 4, 2, 64, 96


def config_of(*, located, exchange):
    return config_from_dict(
        {
            "model": {
                "backbone": "resnet10t",
                "backbone_args": {"channels": [8, 16, 16, 16], "stem_width": 8},
                "pretrained": False,
                "backbone_norm": "group",
                "hidden_dim": 32,
                "contrast_dim": 16,
                "heads": 4,
                "queries": 5,
                "located_queries": located,
                "encoder_layers": 1,
                "encoder_feedforward": 48,
                "decoder_layers": 2,
                "decoder_feedforward": 48,
            },
            "loss": {"pairwise_warmup": 0, "exchange": exchange, "filled_box_weight": 1.0},
            "optim": {"clip_norm": 1e9, "warmup_steps": 0},
            "train": {"precision": "32-true", "steps": 100},
        },
        "test",
    )


def uneven_clips(sources, *, masks=False):
    """Clips of one size with other numbers of labels in each frame, none at all in the second clip."""
    generator = torch.Generator().manual_seed(11)
    count = CLIPS * FRAMES
    coarse = torch.rand(count, 3, 4, 6, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size=(HEIGHT, WIDTH), mode="nearest")
    targets, drawn = [], []
    for frame, labels in enumerate((3, 2, 0, 0, 1, 4, 2, 1)):
        corner = torch.rand(labels, 2, generator=generator) * torch.tensor([50.0, 30.0])
        boxes = torch.cat((corner, corner + 12 + 20 * torch.rand(labels, 2, generator=generator)), dim=1)
        targets.append(BoxTarget(boxes, (torch.arange(labels) + frame) % 2))
        drawn.append(torch.rand(labels, HEIGHT, WIDTH, generator=generator) < 0.5)
    return ClipBatch(
        images=(255 * images).to(torch.uint8).view(CLIPS, FRAMES, 3, HEIGHT, WIDTH),
        valid=torch.ones(CLIPS, HEIGHT, WIDTH, dtype=torch.bool),
        frame_times=torch.arange(FRAMES).expand(CLIPS, -1).clone(),
        targets=tuple(targets),
        strong=StrongLabels(tuple(drawn), None) if masks else None,
        sources=sources,
    )


CASES = {
    "located guests": (True, "decoder", "abcd", False),
    "guests": (False, "decoder", "abcd", False),
    "located drawings": (True, "mask", "abcd", False),
    "drawings, true masks": (False, "mask", "abcd", True),
    "guests of one other video": (True, "decoder", "aabb", False),  # they come from another process
    "drawings of one other video": (False, "mask", "aabb", False),
    "one video": (True, "decoder", "aaaa", False),
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """A folder for each case, with the gradients of one process and of two."""
    folders = {name: tmp_path_factory.mktemp("case") for name in CASES}
    for name, (located, exchange, sources, masks) in CASES.items():
        config = dump_config(config_of(located=located, exchange=exchange))
        (folders[name] / "config.yaml").write_text(config, encoding="utf-8")
        save_batch(uneven_clips(tuple(sources), masks=masks), ["a", "b"], folders[name] / "batch", {})
    arguments = [WORKER, *map(str, folders.values())]
    subprocess.run([sys.executable, *arguments], check=True, timeout=120)
    launch(arguments, 2)
    return folders


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_the_same_on_any_number_of_processes(cases, case):
    one, two = (load_file(cases[case] / f"gradients-{count}.safetensors") for count in (1, 2))
    assert one.keys() == two.keys()
    for name, gradient in one.items():
        torch.testing.assert_close(
            two[name], gradient, atol=1e-5, rtol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )
    assert max(gradient.abs().max() for gradient in one.values()) > 0.1


def test_the_batches_of_two_processes_are_not_the_same():
    """Otherwise the test above would not see what is left out."""
    batch = uneven_clips(tuple("abcd"))
    assert not torch.equal(batch.images[:2], batch.images[2:])
    assert replace(batch, all_sources=("x",)).step_sources == ("x",)
