import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.ops.mask_window import MaskWindow, window_of
from qcen_core.visualization import layers, lettering
from qcen_core.visualization.lettering import blend, draw_chip, draw_text, fit_text, text_width
from qcen_core.visualization.overlay import DrawnInstance, OverlayStyle, draw_overlay, overlay_size
from qcen_core.visualization.palette import text_color, track_color

BARE = OverlayStyle(contours=False, labels=False, min_height=1)


def grey(height: int, width: int, value: int = 90) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def square(height: int, width: int, box: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def test_nothing_to_draw_leaves_the_picture_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (487, 641, 3), dtype=np.uint8)
    empty = DrawnInstance(1, "cat", 0.5, np.zeros((487, 641), bool))
    np.testing.assert_array_equal(draw_overlay(image, [empty, DrawnInstance(2, "cat")]), image)


def test_a_mask_is_mixed_in_with_its_opacity():
    image = grey(101, 149)
    drawn = draw_overlay(image, [DrawnInstance(2, "dog", None, square(101, 149, (31, 23, 83, 71)))], BARE)
    expected = 90 + (np.array(track_color(2)) - 90) * BARE.alpha
    assert np.abs(drawn[25:69, 33:81] - expected).max() <= 1
    outside = np.ones((101, 149), bool)
    outside[21:73, 29:85] = False
    assert (drawn[outside] == 90).all()
    assert (image == 90).all()


def test_small_masks_come_out_on_top_of_large_ones():
    large, small = square(101, 149, (3, 3, 140, 97)), square(101, 149, (53, 41, 79, 61))
    style = OverlayStyle(contours=False, labels=False, min_height=1, alpha=1.0)
    instances = [DrawnInstance(3, "cow", None, small), DrawnInstance(4, "cow", None, large)]
    drawn = draw_overlay(grey(101, 149), instances, style)
    assert tuple(drawn[50, 66]) == track_color(3)
    assert tuple(drawn[20, 20]) == track_color(4)


@settings(max_examples=40)
@given(
    st.tuples(st.integers(2, 70), st.integers(2, 70)),
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    st.sampled_from([1, 37, 97, 131]),
)
def test_size_is_as_announced_and_the_mask_lands_where_it_belongs(size, corners, least):
    height, width = size
    x1, x2 = sorted(round(value * width) for value in corners[:2])
    y1, y2 = sorted(round(value * height) for value in corners[2:])
    style = OverlayStyle(contours=False, labels=False, min_height=least, alpha=1.0)
    drawn = draw_overlay(
        grey(height, width), [DrawnInstance(1, "x", None, square(height, width, (x1, y1, x2, y2)))], style
    )
    assert drawn.shape == (*overlay_size(height, width, style), 3)
    assert drawn.shape[0] == max(height, least)
    scale = drawn.shape[0] / height
    # Beyond the softened border every pixel is either the mask's colour or the picture's.
    soft = 1.6 * scale + 1
    rows, columns = np.indices(drawn.shape[:2]) + 0.5
    left, right, top, bottom = x1 * scale, x2 * scale, y1 * scale, y2 * scale
    at_frame = [soft if edge else -drawn.size for edge in (y1 > 0, y2 < height, x1 > 0, x2 < width)]
    inside = (rows > top + at_frame[0]) & (rows < bottom - at_frame[1])
    inside &= (columns > left + at_frame[2]) & (columns < right - at_frame[3])
    if x1 < x2 and y1 < y2:
        assert (drawn[inside] == track_color(1)).all()
    outside = (rows < top - soft) | (rows > bottom + soft) | (columns < left - soft) | (columns > right + soft)
    assert (drawn[outside] == 90).all()


def test_contour_follows_the_border():
    style = OverlayStyle(masks=False, labels=False, min_height=1)
    drawn = draw_overlay(grey(307, 409), [DrawnInstance(1, "x", None, square(307, 409, (101, 83, 307, 211)))], style)
    changed = (drawn != 90).any(2)
    assert not changed[95:200, 115:295].any()
    assert not changed[:75].any()
    assert changed[147, 97:105].any()
    assert changed[80:87, 201].any()


def test_every_hole_and_part_has_a_contour():
    mask = square(307, 409, (50, 50, 250, 250))
    mask[120:180, 120:180] = False
    mask[40:60, 350:380] = True
    style = OverlayStyle(masks=False, labels=False, min_height=1)
    changed = (draw_overlay(grey(307, 409), [DrawnInstance(1, "x", None, mask)], style) != 90).any(2)
    for row, column in ((150, 50), (150, 120), (50, 350)):
        assert changed[row - 3 : row + 4, column - 3 : column + 4].any()


def test_an_instance_without_mask_shows_its_box_inside_the_box():
    drawn = draw_overlay(grey(307, 409), [DrawnInstance(5, "x", None, None, (50.0, 60.0, 200.0, 160.0))], BARE)
    changed = (drawn != 90).any(2)
    assert changed[100, 48:54].any()
    assert not changed[70:150, 60:190].any()
    assert tuple(drawn[100, 50]) == track_color(5)


@pytest.fixture
def laid(monkeypatch):
    """Texts and places of the labels that are drawn."""
    labels = []
    chip, lay_over = lettering.text_chip, layers.lay_over

    def make(text, size, color):
        labels.append([text])
        return chip(text, size, color)

    def lay(canvas, layer, left, top):
        height, width = layer.keep.shape[:2]
        next(label for label in labels if len(label) == 1).append((left, top, left + width, top + height))
        lay_over(canvas, layer, left, top)

    monkeypatch.setattr("qcen_core.visualization.overlay.text_chip", make)
    monkeypatch.setattr("qcen_core.visualization.overlay.lay_over", lay)
    return labels


def test_label_holds_class_track_and_score(laid):
    mask = square(101, 149, (31, 23, 83, 71))
    draw_overlay(grey(101, 149), [DrawnInstance(7, "dog", 0.876, mask)])
    draw_overlay(grey(101, 149), [DrawnInstance(7, "dog", None, mask)])
    draw_overlay(grey(101, 149), [DrawnInstance(7, "dog", None, mask)], OverlayStyle(ids=False))
    draw_overlay(grey(101, 149), [DrawnInstance(7, "dog", 0.876, mask)], OverlayStyle(scores=False))
    assert [text.split() for text, _ in laid] == [["dog", "#7", "0.88"], ["dog", "#7"], ["dog"], ["dog", "#7"]]


def test_a_long_name_leaves_room_for_the_score(laid):
    mask = square(97, 83, (31, 23, 53, 71))
    draw_overlay(grey(97, 83), [DrawnInstance(12, "a very long name of a class" * 5, 0.5, mask)])
    text, (left, _, right, _) = laid[0]
    assert text.endswith("… #12  0.50")
    assert 0 <= left < right <= overlay_size(97, 83)[1]


def test_switched_off_parts_are_not_drawn():
    mask = square(101, 149, (31, 23, 83, 71))
    nothing = OverlayStyle(masks=False, contours=False, labels=False, min_height=1)
    assert (draw_overlay(grey(101, 149), [DrawnInstance(1, "x", 0.5, mask)], nothing) == 90).all()


@pytest.mark.parametrize("least", [1, 251])
@pytest.mark.parametrize("corner", [(0, 0), (31, 23), (87, 60)])
def test_a_window_is_drawn_as_the_whole_mask_is(least, corner):
    mask = square(101, 149, (corner[0], corner[1], corner[0] + 62, corner[1] + 41))
    mask[corner[1] + 5 : corner[1] + 9, corner[0] + 7 : corner[0] + 31] = False
    style = OverlayStyle(min_height=least)
    whole = draw_overlay(grey(101, 149), [DrawnInstance(1, "x", 0.5, mask)], style)
    loose = MaskWindow(mask[corner[1] :, corner[0] :], corner[0], corner[1], 101, 149)
    for form in (window_of(mask), loose, np.asfortranarray(mask)):
        np.testing.assert_array_equal(draw_overlay(grey(101, 149), [DrawnInstance(1, "x", 0.5, form)], style), whole)


def test_chip_shows_at_the_frame_border_too():
    drawn = draw_overlay(grey(480, 640), [DrawnInstance(3, "dog", 0.5, square(480, 640, (560, 0, 640, 90)))])
    chip = np.array(track_color(3)) * 0.94 + 90 * 0.06
    assert (np.abs(drawn[:40, 540:].astype(int) - chip).max(2) < 45).sum() > 300


def test_label_hangs_over_the_top_of_the_mask_not_over_the_corner_of_its_box(laid):
    mask = square(480, 640, (100, 300, 600, 400)) | square(480, 640, (500, 150, 540, 300))
    draw_overlay(grey(480, 640), [DrawnInstance(1, "swan", 0.5, mask)])
    draw_overlay(grey(480, 640), [DrawnInstance(1, "swan", 0.5, mask)], OverlayStyle(boxes=True))
    (_, (left, _, right, bottom)), (_, (box_left, *_)) = laid
    assert (left + right) / 2 == pytest.approx(520, abs=2)
    assert 140 <= bottom <= 150
    assert box_left == 100


def test_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        draw_overlay(grey(101, 149), [DrawnInstance(1, "x", None, np.ones((149, 101), bool))])
    with pytest.raises(ValueError, match="does not fit"):
        draw_overlay(
            grey(101, 149), [DrawnInstance(1, "x", None, MaskWindow(np.ones((11, 13), bool), 37, 5, 149, 101))]
        )


def test_blend_is_plain_mixing_and_clips_at_the_border():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (17, 23, 3), dtype=np.uint8)
    coverage = rng.random((11, 13)).astype(np.float32)
    color = (200, 10, 77)
    for left, top in ((3, 5), (-4, -6), (18, 12), (40, 40), (-30, 2)):
        drawn = image.copy()
        blend(drawn, coverage, left, top, color)
        expected = image.astype(float)
        for y in range(11):
            for x in range(13):
                if 0 <= top + y < 17 and 0 <= left + x < 23:
                    share = coverage[y, x]
                    expected[top + y, left + x] = image[top + y, left + x] * (1 - share) + np.array(color) * share
        assert np.abs(drawn - expected).max() <= 1


def test_chip_is_full_in_the_middle_and_round_at_the_corners():
    image = grey(41, 61, 0)
    draw_chip(image, (5, 7, 55, 33), 9, (250, 250, 250))
    assert (image[20, 6:54] == 250).all()
    assert (image[8, 20:40] == 250).all()
    assert image[7, 5].max() == 0
    assert (image[:7] == 0).all()
    assert (image[33:] == 0).all()
    np.testing.assert_array_equal(image[7:33, 5:55], image[7:33, 5:55][::-1, ::-1])


def test_text_is_cut_to_its_room():
    text = "a rather long name of a class"
    for width in (0, 30, 77, 1000):
        cut = fit_text(text, 15, width)
        assert text_width(cut, 15) <= max(width, text_width("…", 15))
        assert cut == text or cut.endswith("…")
    assert fit_text(text, 15, 1000) == text


def test_text_stays_near_its_place():
    image = grey(60, 200, 0)
    draw_text(image, "dog #1", 20, 30, 16, text_color((0, 0, 0)))
    rows, columns = np.nonzero(image.max(2))
    assert columns.min() >= 18
    assert columns.max() <= 20 + text_width("dog #1", 16) + 2
    assert 18 <= rows.min() < 30 < rows.max() <= 42
