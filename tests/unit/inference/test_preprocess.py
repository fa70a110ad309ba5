import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.inference import preprocess
from qcen_core.inference.preprocess import plan_geometry, to_frame_masks, to_input

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("frame", "short", "longest", "resized", "padded"),
    [
        ((480, 854), 480, 1333, (480, 854), (480, 864)),
        ((720, 1280), 360, 1333, (360, 640), (384, 640)),
        ((1280, 720), 360, 1333, (640, 360), (640, 384)),
        ((100, 1000), 480, 960, (96, 960), (96, 960)),  # the long side decides
        ((97, 61), 122, 1333, (194, 122), (224, 128)),  # enlarged
        ((1, 5000), 32, 64, (1, 64), (32, 64)),  # never without a row
    ],
)
def test_sizes_by_hand(frame, short, longest, resized, padded):
    geometry = plan_geometry(*frame, short_side=short, max_side=longest)
    assert (geometry.frame, geometry.resized, geometry.padded) == (frame, resized, padded)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(32, 700), st.integers(700, 1400))
def test_size_limits_hold_for_any_frame(height, width, short_side, max_side):
    geometry = plan_geometry(height, width, short_side=short_side, max_side=max_side)
    assert max(geometry.resized) <= max_side
    assert min(geometry.resized) <= short_side
    assert min(geometry.resized) == short_side or max(geometry.resized) == max_side
    for resized, padded in zip(geometry.resized, geometry.padded, strict=True):
        assert padded % 32 == 0
        assert 0 <= padded - resized < 32


def test_input_of_unchanged_size_is_the_frame_itself_with_zeros_beside_it():
    image = np.random.default_rng(3).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    frames, valid = to_input(image, plan_geometry(37, 53, short_side=37, max_side=1333), CPU)
    assert frames.shape == (1, 3, 64, 64)
    assert frames.dtype == torch.uint8
    assert valid.dtype == torch.bool
    np.testing.assert_array_equal(frames[0, :, :37, :53].permute(1, 2, 0).numpy(), image)
    assert frames[0, :, 37:].sum() + frames[0, :, :, 53:].sum() == 0
    assert valid[0, :37, :53].all()
    assert valid.sum() == 37 * 53


def test_shrinking_is_antialiased_and_enlarging_is_bilinear():
    noise = np.random.default_rng(7).integers(0, 256, (155, 235, 3), dtype=np.uint8)
    frames, _ = to_input(noise, plan_geometry(155, 235, short_side=31, max_side=99), CPU)
    # A fifth of the size: every pixel stands for 25 and more of standard deviation 74, not for one of them.
    assert frames[0, :, :31, :47].float().std() < 74 / 5
    image = np.random.default_rng(5).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    frames, _ = to_input(image, plan_geometry(13, 17, short_side=39, max_side=99), CPU)
    other = cv2.resize(image, (51, 39), interpolation=cv2.INTER_LINEAR).astype(int)
    assert np.abs(frames[0, :, :39, :51].permute(1, 2, 0).numpy().astype(int) - other).max() <= 1


def test_a_frame_of_another_size_is_refused():
    with pytest.raises(ValueError, match="image"):
        to_input(np.zeros((13, 17, 3), np.uint8), plan_geometry(17, 13, short_side=32, max_side=99), CPU)


def test_mask_by_hand():
    # 4 x 8 cells over a frame of 16 x 29 pixels: a positive half meets a negative half of the same size at x = 16.
    logits = torch.full((1, 8, 8), -2.0)
    logits[:, :, :4] = 2.0
    logits[:, 4:] = 50.0  # padding
    masks = to_frame_masks(logits, plan_geometry(16, 29, short_side=16, max_side=99))
    expected = np.zeros((1, 16, 29), dtype=bool)
    expected[:, :, :16] = True
    np.testing.assert_array_equal(masks, expected)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([(97, 131), (181, 113), (211, 397), (61, 59)]),
    st.sampled_from([67, 96, 127, 240]),
    st.floats(0.4, 0.6),
    st.floats(0.4, 0.6),
    st.floats(0.15, 0.28),
)
def test_a_disc_survives_the_round_trip_within_a_pixel(frame, short_side, x, y, radius):
    height, width = frame
    geometry = plan_geometry(height, width, short_side=short_side, max_side=1333)
    # The exact distance to a circle, sampled at the centres of the mask cells, stands for a perfect model.
    rows, columns = geometry.padded[0] // 4, geometry.padded[1] // 4
    scale_y, scale_x = height / geometry.resized[0], width / geometry.resized[1]
    cell_y = (torch.arange(rows)[:, None] + 0.5) * 4 * scale_y
    cell_x = (torch.arange(columns)[None, :] + 0.5) * 4 * scale_x
    center_y, center_x, size = y * height, x * width, radius * min(frame)
    logits = size - torch.hypot(cell_y - center_y, cell_x - center_x)
    mask = to_frame_masks(logits[None], geometry)[0]
    pixel_y, pixel_x = np.mgrid[:height, :width] + 0.5
    distance = np.hypot(pixel_y - center_y, pixel_x - center_x)
    assert mask[distance < size - 1].all()
    assert not mask[distance > size + 1].any()


def test_masks_in_chunks_equal_masks_at_once(monkeypatch):
    geometry = plan_geometry(43, 71, short_side=61, max_side=99)
    logits = torch.randn(
        7, geometry.padded[0] // 4, geometry.padded[1] // 4, generator=torch.Generator().manual_seed(1)
    )
    at_once = to_frame_masks(logits, geometry)
    monkeypatch.setattr(preprocess, "PIXELS_AT_ONCE", 2 * 64 * 99)
    np.testing.assert_array_equal(to_frame_masks(logits, geometry), at_once)
    assert to_frame_masks(logits[:0], geometry).shape == (0, 43, 71)
