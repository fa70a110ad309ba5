import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.inference.preprocess import FrameMasks, plan_geometry, to_input

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
    (window,) = FrameMasks(plan_geometry(16, 29, short_side=16, max_side=99)).windows(logits)
    expected = np.zeros((16, 29), dtype=bool)
    expected[:, :16] = True
    np.testing.assert_array_equal(window.full(), expected)


@settings(max_examples=30)
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
    (window,) = FrameMasks(geometry).windows(logits[None])
    mask = window.full()
    pixel_y, pixel_x = np.mgrid[:height, :width] + 0.5
    distance = np.hypot(pixel_y - center_y, pixel_x - center_x)
    assert mask[distance < size - 1].all()
    assert not mask[distance > size + 1].any()


def enlarged_in_full(logits: torch.Tensor, geometry) -> np.ndarray:
    """Every mask as a whole, resized twice as torch does it: (D, H, W) bool."""
    rows, columns = geometry.mask_cells
    height, width = geometry.resized
    cells = logits[:, None, :rows, :columns]
    whole = F.interpolate(cells, size=(4 * rows, 4 * columns), mode="bilinear", align_corners=False)
    whole = F.interpolate(whole[..., :height, :width], size=geometry.frame, mode="bilinear", align_corners=False)
    return (whole[:, 0] > 0).numpy()


@given(
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.integers(32, 150),
    st.sampled_from(["blobs", "specks", "nothing"]),
    st.integers(0, 1000),
)
def test_windows_are_the_masks_resized_as_a_whole(frame, short_side, kind, seed):
    geometry = plan_geometry(*frame, short_side=short_side, max_side=211)
    size = geometry.padded[0] // 4, geometry.padded[1] // 4
    generator = torch.Generator().manual_seed(seed)
    match kind:
        case "blobs":
            coarse = torch.randn(1, 5, 3, 3, generator=generator)
            logits = F.interpolate(coarse, size=size, mode="bicubic")[0] - 0.7
        case "specks":
            logits = torch.randn(5, *size, generator=generator) - 1.5
        case _:
            logits = torch.full((5, *size), -1.0)
    windows = FrameMasks(geometry).windows(logits)
    for window, truth in zip(windows, enlarged_in_full(logits, geometry), strict=True):
        if window is None:
            assert not truth.any()
        else:
            np.testing.assert_array_equal(window.full(), truth)
            assert truth.any()
    assert FrameMasks(geometry).windows(logits[:0]) == []
