"""A batch drawn as it enters the network, and kept so that its step can be taken again."""

import json
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
import torch

from qcen_core.config import config_from_dict
from qcen_core.conversion.prepare import prepare
from qcen_core.data.loader import batches
from qcen_core.errors import InputError
from qcen_core.structures import BoxTarget, ClipBatch, StrongLabels
from qcen_core.training import batch_picture
from qcen_core.training.batch_picture import draw_batch, load_batch, save_batch
from qcen_core.training.training_data import load_training_data
from qcen_core.visualization.palette import track_color

NAMES = ("circle", "square", "triangle", "star", "cross")
GROUND = (20, 90, 40)
HEIGHT, WIDTH = 96, 160  # a cell is 480 pixels wide: three for each of these


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    out = tmp_path_factory.mktemp("sets") / "shapes"
    prepare(
        out=out, dataset="shapes", clips=4, holdout_clips=1, size=(64, 96), length=4, keep_masks=True, keep_ids=True
    )
    return out


def shapes_batch(root, level: str) -> ClipBatch:
    data = {"root": str(root), "clips_per_step": 3, "frame_range": 2, "short_sides": [48, 64], "workers": 0}
    config = config_from_dict({"data": data | {"crop_scale": 0.7}, "train": {"supervision": level}}, "test")
    loaded = next(batches(load_training_data(config).clips, config.data, first=0, last=1, seed=0))
    return replace(loaded.batch, sources=("pond", "road", "wood"))


def plain_batch(boxes=(), labels=(), *, ignored=(), masks=None, track_ids=None, valid=None, frames=(1, 1)) -> ClipBatch:
    """Clips of one colour, labelled in the first frame of the first clip."""
    clips, length = frames
    images = torch.tensor(GROUND, dtype=torch.uint8)[:, None, None].expand(clips, length, 3, HEIGHT, WIDTH)
    first = BoxTarget(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4),
    )
    empty = BoxTarget(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    strong = None
    if masks is not None or track_ids is not None:
        strong = StrongLabels(None if masks is None else (masks,), None if track_ids is None else (track_ids,))
    return ClipBatch(
        images,
        torch.ones(clips, HEIGHT, WIDTH, dtype=torch.bool) if valid is None else valid,
        torch.arange(clips * length).reshape(clips, length),
        (first, *[empty] * (clips * length - 1)),
        strong,
        tuple(f"video {clip}" for clip in range(clips)),
    )


def first_frame(batch: ClipBatch) -> np.ndarray:
    """The drawn first frame, three pixels for each of its own; it begins where the other frames are plain."""
    bare = draw_batch(
        replace(batch, valid=torch.ones_like(batch.valid), targets=plain_batch().targets, strong=None), ()
    )
    rows, columns = np.nonzero((bare == GROUND).all(2))
    top, left = rows.min(), columns.min()
    return draw_batch(batch, NAMES)[top : top + 3 * HEIGHT, left : left + 3 * WIDTH]


def changed(picture: np.ndarray) -> np.ndarray:
    """(HEIGHT, WIDTH) bool: whether any of the nine pixels drawn for one is not the ground."""
    return (picture != GROUND).any(2).reshape(HEIGHT, 3, WIDTH, 3).any((1, 3))


def of_color(picture: np.ndarray, color) -> tuple[int, int, int, int]:
    """x1 y1 x2 y2, in pixels of the batch, of what has a colour."""
    rows, columns = np.nonzero((picture == color).all(2))
    return columns.min() // 3, rows.min() // 3, columns.max() // 3 + 1, rows.max() // 3 + 1


def same(one: ClipBatch, other: ClipBatch) -> bool:
    def flat(batch: ClipBatch) -> list[torch.Tensor]:
        strong = batch.strong or StrongLabels(None, None)
        labels = [part for target in batch.targets for part in (target.boxes, target.labels, target.ignored)]
        return [batch.images, batch.valid, batch.frame_times, *labels, *(strong.masks or ()), *(strong.track_ids or ())]

    alike = [a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(flat(one), flat(other), strict=True)]
    names = [field.name for field in fields(ClipBatch) if field.name.endswith("sources")]
    return all(alike) and all(getattr(one, name) == getattr(other, name) for name in names)


@pytest.mark.parametrize("frames", [(1, 1), (3, 2), (2, 5), (1, 13)])
def test_every_frame_is_there_a_row_for_each_clip_and_the_picture_is_not_too_wide(frames):
    picture = draw_batch(plain_batch(frames=frames), NAMES)
    ground = (picture == GROUND).all(2)
    runs = [int(((line[1:]) & (~line[:-1])).sum()) for line in (ground.any(1), ground.any(0))]
    assert tuple(runs) == frames
    assert picture.shape[1] <= 1610
    assert picture.dtype == np.uint8


def test_a_large_batch_is_drawn_smaller():
    batch = plain_batch(frames=(2, 2))
    large = replace(
        batch,
        images=batch.images.repeat_interleave(8, 3).repeat_interleave(8, 4),
        valid=batch.valid.repeat_interleave(8, 1).repeat_interleave(8, 2),
    )
    assert 1500 <= draw_batch(large, NAMES).shape[1] <= 1610


def test_boxes_have_the_colour_of_their_class_and_lie_where_they_are():
    picture = first_frame(plain_batch([(20, 30, 60, 70), (100, 20, 130, 81)], [0, 3]))
    for label, top, expected in ((1, 30, (20, 0, 60, 40)), (4, 20, (100, 0, 130, 61))):
        found = of_color(picture[3 * top :], track_color(label))  # without the name above
        assert np.abs(np.subtract(found, expected)).max() <= 1


def test_the_label_names_the_class_and_the_track_where_it_is_known():
    box, label = [(20, 30, 60, 70)], [1]
    plain = first_frame(plain_batch(box, label))
    assert (plain != first_frame(plain_batch(box, [1], track_ids=torch.tensor([7])))).any()
    other = [first_frame(plain_batch(box, label, track_ids=torch.tensor([number]))) for number in (7, 8)]
    assert (other[0] != other[1]).any()
    assert not (plain != first_frame(plain_batch(box, label))).any()


def test_masks_are_tinted_only_if_the_batch_has_them():
    mask = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    mask[0, 40:60, 30:50] = True
    box, label = [(20, 30, 60, 70)], [1]
    inside = changed(first_frame(plain_batch(box, label, masks=mask)))[34:66, 24:56]
    assert inside[8:24, 8:24].all()
    assert not inside[:4].any()
    assert not changed(first_frame(plain_batch(box, label)))[34:66, 24:56].any()


def test_an_object_whose_mask_is_empty_still_shows_its_box():
    empty = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    drawn = [first_frame(plain_batch([(20, 30, 60, 70)], [1], masks=masks)) for masks in (empty, None)]
    assert (drawn[0] == drawn[1]).all()


def test_padding_is_covered_and_nothing_else_is():
    valid = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    valid[:, :77, :131] = True
    picture = first_frame(plain_batch(valid=valid))
    assert (changed(picture) == ~valid[0].numpy()).all()
    assert (picture != GROUND).any(2)[77 * 3 :].all()


def test_ignored_regions_are_hatched_and_may_reach_beyond_the_frame():
    marked = changed(first_frame(plain_batch(ignored=[(50, 40, 90, 60), (150, -7, 170, 11), (3, 3, 3, 9)])))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[40:60, 50:90] = expected[:11, 150:] = True
    assert (marked == expected).all()


@pytest.mark.parametrize("level", ["box", "box+id", "mask", "mask+id"])
def test_a_kept_batch_comes_back_to_the_last_bit(prepared, tmp_path, level):
    batch = shapes_batch(prepared, level)
    assert (batch.strong is None) == (level == "box")
    others = [field.name for field in fields(ClipBatch) if field.name.endswith("_sources")]
    batch = replace(batch, **dict.fromkeys(others, ("pond", "road", "wood", "hill")))
    folder = tmp_path / "run" / "not_finite"
    save_batch(batch, NAMES, folder, {"step": 3})
    again = load_batch(folder)
    assert same(batch, again)
    assert (again.strong is None) == (level == "box")
    assert {file.name for file in folder.iterdir()} == {"batch.safetensors", "batch.jpg", "about.json"}
    drawn = cv2.imread(str(folder / "batch.jpg"))[..., ::-1]
    assert np.abs(drawn.astype(float) - draw_batch(batch, NAMES)).mean() < 4


def test_labels_that_share_their_memory_and_regions_to_ignore_are_kept(tmp_path):
    batch = plain_batch([(2, 3, 5, 7)], [4], ignored=[(1, 2, 30, 40)], frames=(2, 3))
    save_batch(batch, NAMES, tmp_path / "kept", {})
    assert same(batch, load_batch(tmp_path / "kept"))


def test_numbers_that_are_not_finite_can_be_told(tmp_path):
    about = {
        "step": 7,
        "terms": {"class": float("nan"), "inter": torch.tensor(float("inf")), "projection": 0.5},
        "run": tmp_path,
        "videos": ("a", "ü"),
    }
    save_batch(plain_batch(), NAMES, tmp_path / "kept", about)
    assert json.loads((tmp_path / "kept" / "about.json").read_text(encoding="utf-8")) == {
        "step": 7,
        "terms": {"class": "nan", "inter": "inf", "projection": 0.5},
        "run": str(tmp_path),
        "videos": ["a", "ü"],
    }


def test_a_newer_batch_replaces_an_older_one_and_a_failed_one_does_not(tmp_path, monkeypatch):
    folder = tmp_path / "kept"
    save_batch(plain_batch(), NAMES, folder, {"step": 1})
    (folder / "mine.txt").write_text("of the older one")
    save_batch(plain_batch(), NAMES, folder, {"step": 2})
    assert json.loads((folder / "about.json").read_text())["step"] == 2
    assert not (folder / "mine.txt").exists()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(batch_picture, "write_jpeg", full)
    with pytest.raises(OSError, match="no space"):
        save_batch(plain_batch(), NAMES, folder, {"step": 3})
    assert json.loads((folder / "about.json").read_text())["step"] == 2
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("damage", ["none", "cut off", "of something else"])
def test_a_batch_that_cannot_be_read_is_named(tmp_path, damage):
    folder = tmp_path / "kept"
    save_batch(plain_batch(), NAMES, folder, {})
    file = folder / "batch.safetensors"
    match damage:
        case "none":
            file.unlink()
        case "cut off":
            file.write_bytes(file.read_bytes()[:100])
        case "of something else":
            batch_picture.write_tensors(file, {"weight": torch.zeros(3)})
    with pytest.raises(InputError, match="kept"):
        load_batch(folder)
