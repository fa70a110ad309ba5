import numpy as np
import pytest

from qcen_core.visualization.contact_sheet import Thumbnail, contact_sheet
from qcen_core.visualization.overlay import DrawnInstance, OverlayStyle
from qcen_core.visualization.palette import track_color


def plain(height: int, width: int, color: tuple[int, int, int]) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def area_of(sheet: np.ndarray, color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels of a colour."""
    rows, columns = np.nonzero((sheet == color).all(2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_pictures_lie_in_reading_order_and_do_not_touch():
    colors = [(200, 20 * n, 10) for n in range(5)]
    sheet = contact_sheet([Thumbnail(plain(90, 160, color), f"n{n}") for n, color in enumerate(colors)], columns=2)
    places = [area_of(sheet, color) for color in colors]
    assert {(right - left, bottom - top) for left, top, right, bottom in places} == {(400, 225)}
    for n in range(4):
        if n % 2 == 0:
            assert places[n][2] < places[n + 1][0]
            assert places[n][1] == places[n + 1][1]
    assert places[0][3] < places[2][1] < places[4][1]
    assert places[0][0] == places[2][0] == places[4][0]


def test_other_shapes_are_mounted_whole():
    wide, high = (10, 200, 10), (10, 10, 200)
    thumbnails = [Thumbnail(plain(90, 160, wide))] * 3 + [Thumbnail(plain(160, 90, high))]
    sheet = contact_sheet(thumbnails, columns=2)
    left, top, right, bottom = area_of(sheet, high)
    assert bottom - top == 225
    assert (right - left) / (bottom - top) == pytest.approx(90 / 160, abs=0.01)


def test_instances_are_scaled_with_their_picture():
    mask = np.zeros((90, 160), bool)
    mask[20:60, 40:120] = True
    style = OverlayStyle(contours=False, labels=False, alpha=1.0)
    drawn = [DrawnInstance(2, "x", None, mask)]
    sheet = contact_sheet([Thumbnail(plain(90, 160, (9, 9, 9)), "", "", tuple(drawn))], style=style)
    left, top, _, _ = area_of(sheet, (9, 9, 9))
    box = area_of(sheet, track_color(2))
    expected = (left + 100, top + 50, left + 300, top + 150)
    assert np.abs(np.array(box) - expected).max() <= 3


def test_title_and_captions_take_room():
    picture = plain(90, 160, (200, 10, 10))
    bare = contact_sheet([Thumbnail(picture)])
    captioned = contact_sheet([Thumbnail(picture, "a very long caption " * 9, "detail " * 20)], title="Title " * 40)
    assert captioned.shape[1] == bare.shape[1]
    assert captioned.shape[0] > bare.shape[0]
    assert area_of(captioned, (200, 10, 10))[1] > area_of(bare, (200, 10, 10))[1]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 12, 30])
def test_default_layout_is_neither_a_band_nor_a_tower(count):
    sheet = contact_sheet([Thumbnail(plain(90, 160, (1, 2, 3)))] * count, cell_width=60)
    assert 0.5 < sheet.shape[1] / sheet.shape[0] < 3.7


def test_no_picture_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])
