import hashlib
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from qcen_core.conversion.made.clips import MIN_VISIBLE_PIXELS
from qcen_core.conversion.made.shapes import generate_clip, write_shapes
from qcen_core.conversion.made.shapes_scene import CATEGORY_NAMES, LEVELS
from qcen_core.ops import rle

SIZE = (53, 89)


def clip(level="standard", seed=0, split="train", index=0, length=5):
    return generate_clip(LEVELS[level], seed, split, index, SIZE, length)


def test_same_arguments_same_clip():
    first, second = clip(), clip()
    np.testing.assert_array_equal(first.frames, second.frames)
    assert first.tracks == second.tracks


@pytest.mark.parametrize("other", [{"seed": 1}, {"split": "holdout"}, {"index": 1}, {"level": "hard"}])
def test_other_arguments_other_clip(other):
    assert (clip().frames != clip(**other).frames).mean() > 0.5


def test_a_longer_clip_begins_like_a_shorter_one():
    short, long = clip(length=3), clip(length=7)
    np.testing.assert_array_equal(short.frames, long.frames[:3])
    boxes = {track.boxes for track in short.tracks}
    assert boxes <= {track.boxes[:3] for track in long.tracks}


PINNED = {
    "easy": ("ff61ada712d394af", [139.05, 138.98, 138.93, 138.98]),
    "standard": ("5eb54db706c0e31d", [117.29, 117.68, 117.91, 118.15]),
    "hard": ("082faa18c8116d1b", [143.80, 143.71, 143.68, 144.11]),
}


@pytest.mark.parametrize("level", list(LEVELS))
def test_the_set_stays_as_it_was_published(level):
    made = clip(level, seed=7, index=3, length=4)
    content = json.dumps([[track.class_id, track.boxes, track.segmentations] for track in made.tracks])
    assert hashlib.sha256(content.encode()).hexdigest()[:16] == PINNED[level][0]
    # Grey levels are pinned by their means: another processor or OpenCV may round single pixels another way.
    np.testing.assert_allclose([frame.mean() for frame in made.frames], PINNED[level][1], atol=0.02)


@pytest.mark.parametrize("level", list(LEVELS))
def test_masks_boxes_and_frames_fit_together(level):
    for index in range(4):
        made = clip(level, index=index, length=6)
        assert made.frames.shape == (6, *SIZE, 3)
        assert made.frames.dtype == np.uint8
        assert [track.id for track in made.tracks] == list(range(1, len(made.tracks) + 1))
        for frame in range(6):
            covered = np.zeros(SIZE, int)
            for track in made.tracks:
                assert (track.boxes[frame] is None) == (track.segmentations[frame] is None)
                if track.boxes[frame] is None:
                    continue
                mask = rle.decode(track.segmentations[frame])
                assert mask.shape == SIZE
                assert mask.sum() >= MIN_VISIBLE_PIXELS
                ys, xs = np.nonzero(mask)
                assert track.boxes[frame] == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
                covered += mask
            assert covered.max() <= 1
        for track in made.tracks:
            assert any(box is not None for box in track.boxes)
            assert 0 <= track.class_id < len(CATEGORY_NAMES)


def test_noise_and_blur_are_what_the_level_says():
    level = replace(LEVELS["easy"], noise=0.0, shutter=0.0)
    still = generate_clip(level, 0, "train", 0, SIZE, 1).frames.astype(float)
    noisy = generate_clip(replace(level, noise=6.0), 0, "train", 0, SIZE, 1).frames.astype(float)
    inner = (still > 30) & (still < 225)
    assert abs((noisy - still)[inner].std() - 6.0) < 0.4
    fast = replace(level, speed=0.3, camera=0.3)
    sharp = generate_clip(fast, 0, "train", 0, SIZE, 1).frames[0]
    blurred = generate_clip(replace(fast, shutter=1.0), 0, "train", 0, SIZE, 1).frames[0]
    detail = [np.abs(cv2.Laplacian(image.astype(np.float32), cv2.CV_32F)).mean() for image in (sharp, blurred)]
    assert detail[1] < 0.8 * detail[0]


def test_frames_on_disk(tmp_path):
    calls = []
    made = write_shapes(
        tmp_path, LEVELS["easy"], 3, {"train": 2, "holdout": 1}, SIZE, 3, lambda *done: calls.append(done)
    )
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert [video.name for video in made.videos] == ["train_00000", "train_00001", "holdout_00000"]
    assert [video.id for video in made.videos] == [1, 2, 3]
    assert [track.id for track in made.tracks] == list(range(1, len(made.tracks) + 1))
    expected = generate_clip(LEVELS["easy"], 3, "holdout", 0, SIZE, 3)
    mine = [track for track in made.tracks if track.video_id == 3]
    assert [track.boxes for track in mine] == [track.boxes for track in expected.tracks]
    for file, frame in zip(made.videos[2].frame_files, expected.frames, strict=True):
        stored = cv2.imread(str(tmp_path / file))[..., ::-1].astype(float)
        assert np.abs(stored - frame).mean() < 4
