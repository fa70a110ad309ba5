import numpy as np
import pytest

from qcen_core.ops.mask_window import window_of
from qcen_core.visualization.mask_drawing import MaskPaint, draw_mask
from qcen_core.visualization.palette import INK

COLOR = (250, 10, 130)
SIZE = (101, 149)


def drawn(mask: np.ndarray, paint: MaskPaint, ground: int = 200) -> np.ndarray:
    canvas = np.full((round(SIZE[0] * paint.scale), round(SIZE[1] * paint.scale), 3), ground, np.uint8)
    draw_mask(canvas, window_of(mask), COLOR, paint)
    return canvas


def half() -> np.ndarray:
    """Everything from column 61 on."""
    mask = np.zeros(SIZE, bool)
    mask[:, 61:] = True
    return mask


@pytest.mark.parametrize("line", [1.5, 2.8, 3.6, 8.4])
@pytest.mark.parametrize("scale", [1.0, 2.0, 3.7])
def test_the_outline_lies_on_the_edge_as_thick_as_told(line, scale):
    picture = drawn(half(), MaskPaint(0.0, line, scale)).astype(float)
    across = picture[picture.shape[0] // 2]
    # On a grey ground the green of the line is 10, that of its dark seam 24 at 0.45: restated pixel by pixel.
    expected = []
    for column in range(len(across)):
        away = abs(column + 0.5 - 61 * scale)
        seam = 0.45 * min(max((1.25 * line + 1) / 2 + 0.5 - away, 0), 1)
        share = min(max(line / 2 + 0.5 - away, 0), 1)
        under = 200 * (1 - seam) + INK[1] * seam
        expected.append(under * (1 - share) + COLOR[1] * share)
    difference = np.abs(across[:, 1] - expected)
    assert difference.max() < (8 if scale == 1 else 45)
    assert difference.sum() < 255 * 0.6
    assert (difference > 8).sum() <= 6


def test_no_outline_runs_along_the_border_of_the_frame():
    picture = drawn(half(), MaskPaint(0.0, 3.0))
    assert (picture[:, 75:] == 200).all()
    assert (picture[0] == picture[50]).all()


@pytest.mark.parametrize("thickness", [1, 2, 3])
def test_a_thin_mask_is_still_outlined(thickness):
    mask = np.zeros(SIZE, bool)
    mask[20:80, 61 : 61 + thickness] = True
    picture = drawn(mask, MaskPaint(0.4, 3.6))
    seen = np.abs(picture[50, 58:68].astype(int) - COLOR).max(1)
    assert seen.min() < 60  # of 190


def test_filling_and_outline_mix_as_one_over_the_other():
    mask = np.zeros(SIZE, bool)
    mask[20:80, 31:111] = True
    picture = drawn(mask, MaskPaint(0.4, 3.6))
    assert np.abs(picture[50, 71] - (200 * 0.6 + np.array(COLOR) * 0.4)).max() <= 1
    assert np.abs(picture[50, 31].astype(int) - COLOR).max() <= 1
    assert (picture[50, :25] == 200).all()
