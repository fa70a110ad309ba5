"""Augmentation: pictures, boxes and masks must go the same way."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional

from qcen_core.config import DataConfig
from qcen_core.data.augmentation import (
    LEAST_SIDE,
    Clip,
    augment_clip,
    crop_clip,
    flip_clip,
    recolor,
    resize_clip,
)
from qcen_core.ops.sizes import fitted_size

HEIGHT, WIDTH = 53, 97


def rectangle_clip(rectangles, *, masks=True, size=(HEIGHT, WIDTH)):
    """One frame a list of whole-pixel `x1 y1 x2 y2` rectangles; label and identity are the position in the list."""
    images = torch.zeros(len(rectangles), 3, *size, dtype=torch.uint8)
    boxes, drawn = [], []
    for frame, frame_rectangles in enumerate(rectangles):
        masks_of_frame = torch.zeros(len(frame_rectangles), *size, dtype=torch.bool)
        for index, (x1, y1, x2, y2) in enumerate(frame_rectangles):
            masks_of_frame[index, y1:y2, x1:x2] = True
            images[frame, :, y1:y2, x1:x2] = 250
        boxes.append(torch.tensor(frame_rectangles, dtype=torch.float32).view(-1, 4))
        drawn.append(masks_of_frame)
    return Clip(
        images=images,
        boxes=tuple(boxes),
        labels=tuple(torch.arange(len(r)) for r in rectangles),
        masks=tuple(drawn) if masks else None,
        track_ids=tuple(torch.arange(len(r)) + 100 for r in rectangles) if masks else None,
        times=tuple(range(len(rectangles))),
        source="video",
    )


def tight(mask):
    """`x1 y1 x2 y2` around a mask, half-open, or `None`."""
    rows, columns = np.flatnonzero(mask.any(dim=1)), np.flatnonzero(mask.any(dim=0))
    return None if len(rows) == 0 else [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def covered(box, size):
    """(H, W): pixels whose centre lies in the box, and pixels whose centre lies on its edge within rounding."""
    y, x = (torch.arange(side, dtype=torch.float64) + 0.5 for side in size)
    x1, y1, x2, y2 = box.double()
    inside = ((y >= y1) & (y < y2))[:, None] & ((x >= x1) & (x < x2))[None]
    edge_y, edge_x = (torch.minimum((c - a).abs(), (c - b).abs()) < 1e-3 for c, a, b in ((y, y1, y2), (x, x1, x2)))
    return inside, edge_y[:, None] | edge_x[None]


def check_alignment(clip):
    """Each mask of a rectangle is its box, drawn: a pixel is inside if its centre is."""
    size = tuple(clip.images.shape[-2:])
    for boxes, masks in zip(clip.boxes, clip.masks, strict=True):
        assert masks.shape == (len(boxes), *size)
        for box, mask in zip(boxes, masks, strict=True):
            inside, on_edge = covered(box, size)
            assert not ((mask != inside) & ~on_edge).any()


rectangles = st.lists(
    st.tuples(st.integers(0, WIDTH - 2), st.integers(0, HEIGHT - 2), st.integers(1, WIDTH), st.integers(1, HEIGHT)).map(
        lambda r: (r[0], r[1], min(WIDTH, r[0] + r[2]), min(HEIGHT, r[1] + r[3]))
    ),
    max_size=4,
)


@settings(max_examples=60)
@given(frames=st.lists(rectangles, min_size=1, max_size=3), seed=st.integers(0, 10**6))
def test_boxes_and_masks_stay_together(frames, seed):
    config = DataConfig(short_sides=(31, 53, 71), max_side=113, flip=0.5, crop_scale=0.4, color_jitter=0.3)
    clip = augment_clip(rectangle_clip(frames), config, np.random.default_rng(seed))
    check_alignment(clip)
    height, width = clip.images.shape[-2:]
    for t, boxes in enumerate(clip.boxes):
        assert boxes.dtype == torch.float32
        assert len(boxes) == len(clip.labels[t]) == len(clip.track_ids[t])
        assert torch.equal(clip.labels[t] + 100, clip.track_ids[t])
        assert (boxes[:, :2] >= -1e-3).all()
        assert (boxes[:, 2] <= width + 1e-3).all()
        assert (boxes[:, 3] <= height + 1e-3).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()


@settings(max_examples=30)
@given(frames=st.lists(rectangles, min_size=1, max_size=2), size=st.tuples(st.integers(17, 89), st.integers(19, 101)))
def test_boxes_stay_tight_through_resize_and_flip(frames, size):
    clip = flip_clip(resize_clip(rectangle_clip(frames), size))
    for boxes, masks in zip(clip.boxes, clip.masks, strict=True):
        for box, mask in zip(boxes, masks, strict=True):
            around = tight(mask)
            if around is not None:
                # A pixel counts by its centre, so a tight box is off by half a pixel at most.
                np.testing.assert_allclose(box, around, atol=0.5 + 1e-3)


@settings(max_examples=40)
@given(
    frames=st.lists(rectangles, min_size=1, max_size=2),
    share=st.tuples(st.floats(0.2, 1), st.floats(0.2, 1)),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_crop_is_the_same_window_everywhere(frames, share, place):
    clip = rectangle_clip(frames)
    cropped = crop_clip(clip, np.array(share), np.array(place))
    height, width = cropped.images.shape[-2:]
    assert (height, width) == (round(HEIGHT * share[0]), round(WIDTH * share[1]))
    top, left = int((HEIGHT - height) * place[0]), int((WIDTH - width) * place[1])
    assert torch.equal(cropped.images, clip.images[..., top : top + height, left : left + width])
    for t in range(len(frames)):
        expected = []
        for index, (x1, y1, x2, y2) in enumerate(frames[t]):
            inner = (max(x1 - left, 0), max(y1 - top, 0), min(x2 - left, width), min(y2 - top, height))
            if inner[2] - inner[0] >= LEAST_SIDE and inner[3] - inner[1] >= LEAST_SIDE:
                expected.append((index, inner))
        assert cropped.labels[t].tolist() == [index for index, _ in expected]
        assert cropped.boxes[t].tolist() == [list(map(float, inner)) for _, inner in expected]
        assert [tight(mask) for mask in cropped.masks[t]] == [list(inner) for _, inner in expected]


@pytest.mark.parametrize("place", [0.0, 1.0])
def test_a_full_crop_changes_nothing(place):
    clip = rectangle_clip([[(3, 5, 17, 29)]])
    cropped = crop_clip(clip, np.array([1.0, 1.0]), np.array([place, place]))
    assert torch.equal(cropped.images, clip.images)
    assert torch.equal(cropped.boxes[0], clip.boxes[0])


def test_flip_by_hand_and_twice():
    clip = rectangle_clip([[(3, 5, 17, 29), (0, 0, 97, 53)], []])
    flipped = flip_clip(clip)
    assert flipped.boxes[0].tolist() == [[80.0, 5.0, 94.0, 29.0], [0.0, 0.0, 97.0, 53.0]]
    assert flipped.boxes[1].shape == (0, 4)
    assert flipped.images[0, 0, 10, 80:94].unique().tolist() == [250]
    again = flip_clip(flipped)
    assert torch.equal(again.images, clip.images)
    assert torch.equal(again.boxes[0], clip.boxes[0])
    assert torch.equal(again.masks[0], clip.masks[0])


def test_pictures_follow_their_boxes():
    clip = resize_clip(rectangle_clip([[(31, 17, 71, 41)]]), (101, 199))
    x1, y1, x2, y2 = clip.boxes[0][0].round().int().tolist()
    image = clip.images[0, 0].float()
    inside = image[y1:y2, x1:x2].sum()
    assert inside > 0.97 * image.sum()
    assert inside > 0.97 * 250 * (y2 - y1) * (x2 - x1)


@pytest.mark.parametrize(
    ("size", "short_side", "max_side", "expected"),
    [
        ((720, 1280), 360, 1333, (360, 640)),
        ((1280, 720), 480, 1333, (853, 480)),
        ((100, 1000), 480, 1333, (133, 1333)),
        ((97, 97), 31, 1333, (31, 31)),
        ((1, 5000), 480, 1000, (1, 1000)),
    ],
)
def test_fitted_size(size, short_side, max_side, expected):
    assert fitted_size(*size, short_side=short_side, max_side=max_side) == expected


def test_colour_changes_leave_everything_else():
    clip = rectangle_clip([[(3, 5, 17, 29)], [(4, 6, 18, 30)]])
    config = DataConfig(short_sides=(HEIGHT,), flip=0.0, color_jitter=0.5)
    colored = augment_clip(clip, config, np.random.default_rng(3))
    assert colored.images.dtype == torch.uint8
    assert not torch.equal(colored.images, clip.images)
    assert all(torch.equal(a, b) for a, b in zip(colored.boxes, clip.boxes, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(colored.masks, clip.masks, strict=True))


def test_every_frame_of_a_clip_changes_alike():
    generator = torch.Generator().manual_seed(1)
    picture = torch.randint(0, 256, (1, 3, HEIGHT, WIDTH), dtype=torch.uint8, generator=generator)
    clip = rectangle_clip([[(3, 5, 60, 49)]] * 3)
    clip = Clip(picture.expand(3, -1, -1, -1), clip.boxes, clip.labels, clip.masks, clip.track_ids, (0, 1, 2), "v")
    config = DataConfig(short_sides=(31, 71), flip=0.5, color_jitter=0.4, crop_scale=0.5)
    for seed in range(5):
        changed = augment_clip(clip, config, np.random.default_rng(seed))
        for t in (1, 2):
            assert torch.equal(changed.images[t], changed.images[0])
            assert torch.equal(changed.boxes[t], changed.boxes[0])
            assert torch.equal(changed.masks[t], changed.masks[0])


def test_colour_strength_zero_and_its_range():
    image = torch.full((1, 3, 5, 7), 100, dtype=torch.uint8)
    assert torch.equal(recolor(image, 0.0, np.random.default_rng(0)), image)
    grey = [recolor(image, 0.5, np.random.default_rng(seed)).float().mean().item() for seed in range(40)]
    assert 49 <= min(grey) < 70  # of a plain grey picture only the brightness can change
    assert 130 < max(grey) <= 151


def test_colours_change_as_torchvision_changes_them_step_by_step():
    generator = torch.Generator().manual_seed(4)
    # Of little contrast, so that no step has anything to cut off at black or white, which would end the likeness.
    image = torch.randint(90, 150, (1, 3, HEIGHT, WIDTH), dtype=torch.uint8, generator=generator)
    for seed in range(8):
        brightness, contrast, saturation = np.random.default_rng(seed).uniform(0.6, 1.4, size=3)
        expected = functional.adjust_brightness(image.float() / 255, brightness)
        expected = functional.adjust_contrast(expected, contrast)
        expected = functional.adjust_saturation(expected, saturation)
        changed = recolor(image, 0.4, np.random.default_rng(seed))
        assert (changed.float() - 255 * expected).abs().max() < 1.0
    assert changed.shape == image.shape


def test_regions_to_ignore_go_where_boxes_go():
    """Taken as labels or as regions, the same rectangles come out."""
    rectangles = [[(3, 5, 17, 29), (40, 11, 91, 50)], [(4, 6, 18, 30), (41, 12, 92, 51)]]
    clip = rectangle_clip(rectangles)
    clip = replace(clip, ignored=clip.boxes)
    config = DataConfig(short_sides=(31, 71), flip=0.5, crop_scale=0.4)
    lost = 0
    for seed in range(12):
        changed = augment_clip(clip, config, np.random.default_rng(seed))
        for boxes, ignored in zip(changed.boxes, changed.ignored, strict=True):
            torch.testing.assert_close(ignored, boxes)
            lost += 2 - len(boxes)
    assert lost  # some were cropped away


def test_without_masks_there_are_none():
    config = DataConfig(short_sides=(31,), flip=1.0, crop_scale=0.5)
    clip = augment_clip(rectangle_clip([[(3, 5, 60, 49)]], masks=False), config, np.random.default_rng(2))
    assert clip.masks is None
    assert clip.track_ids is None
