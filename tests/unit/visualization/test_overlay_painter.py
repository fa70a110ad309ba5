import itertools

import cv2
import numpy as np
import pytest

from qcen_core.ops.mask_window import window_of
from qcen_core.visualization import overlay_painter
from qcen_core.visualization.overlay import DrawnInstance, OverlayStyle, draw_overlay, overlay_size
from qcen_core.visualization.overlay_painter import OverlayPainter
from qcen_core.visualization.palette import track_color

HEIGHT, WIDTH = 487, 653
GREY = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
BARE = OverlayStyle(masks=False, contours=False, labels=False, trails=True)


@pytest.fixture
def places(monkeypatch):
    """The places of all labels, a list a frame."""
    frames = []
    move = overlay_painter.move_labels

    def watch(*arguments):
        frames.append(move(*arguments))
        return frames[-1]

    monkeypatch.setattr(overlay_painter, "move_labels", watch)
    return frames


@pytest.fixture
def texts(monkeypatch):
    written = []
    chip = overlay_painter.text_chip
    monkeypatch.setattr(overlay_painter, "text_chip", lambda *given: written.append(given[0]) or chip(*given))
    return written


def ellipse(x: float, y: float, half_width: int = 90, half_height: int = 70) -> np.ndarray:
    rows, columns = np.arange(HEIGHT)[:, None] + 0.5, np.arange(WIDTH) + 0.5
    return ((columns - x) / half_width) ** 2 + ((rows - y) / half_height) ** 2 < 1


def gnawed(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mask whose border is another in each frame: eroded or grown, and bitten in a hundred places of its edge."""
    side = 2 * int(rng.integers(0, 3)) + 1
    change = cv2.erode if rng.random() < 0.5 else cv2.dilate
    noisy = change(mask.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)
    edge = np.argwhere(noisy & ~cv2.erode(noisy.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool))
    for row, column in edge[rng.integers(len(edge), size=100)]:
        noisy[row - 1 : row + 2, column - 1 : column + 2] = False
    return noisy


def test_the_label_of_a_still_object_with_a_noisy_border_does_not_move(places):
    rng, painter, mask = np.random.default_rng(0), OverlayPainter(), ellipse(301, 251)
    for _ in range(60):
        painter.draw(GREY, [DrawnInstance(1, "dog", 0.8, gnawed(mask, rng))])
    assert len({frame[0] for frame in places}) == 1


@pytest.mark.parametrize("speed", [0.4, 1.5, 6.0])
def test_the_label_of_a_steady_object_moves_steadily_and_stays_with_it(places, speed):
    rng, painter = np.random.default_rng(1), OverlayPainter()
    centres = [150 + speed * frame for frame in range(50)]
    for x in centres:
        painter.draw(GREY, [DrawnInstance(1, "dog", 0.8, gnawed(ellipse(x, 251), rng))])
    lefts = [frame[0][0] for frame in places]
    assert all(after >= before for before, after in itertools.pairwise(lefts))
    assert len({frame[0][1] for frame in places}) == 1
    middles = [(frame[0][0] + frame[0][2]) / 2 for frame in places]
    assert max(abs(middle - x) for middle, x in zip(middles, centres, strict=True)) < 12 + 2 * speed


def test_a_mask_that_is_broken_in_one_frame_does_not_shake_its_label(places):
    painter, whole, broken = OverlayPainter(), ellipse(301, 251), ellipse(301, 251)
    broken[:, 280:] = False
    for frame in range(30):
        painter.draw(GREY, [DrawnInstance(1, "dog", 0.8, broken if frame % 7 == 5 else whole)])
    assert len({frame[0] for frame in places}) == 1


def test_labels_stay_in_the_picture_and_part_when_their_objects_meet(places):
    painter = OverlayPainter()
    for frame in range(120):
        x = min(4 * frame, 300)
        boxes = ((x, 200.0, x + 150.0, 400.0), (310.0, 203.0, 455.0, 401.0))
        painter.draw(GREY, [DrawnInstance(n + 1, "dog", 0.8, None, box) for n, box in enumerate(boxes)])
    for (left, top, right, bottom), _ in places:
        assert 0 <= left < right <= WIDTH
        assert 0 <= top < bottom <= HEIGHT
    (_, top, _, bottom), (_, other_top, _, other_bottom) = places[-1]
    (left, _, right, _), (other_left, _, other_right, _) = places[-1]
    assert right <= other_left or other_right <= left or bottom <= other_top or other_bottom <= top
    # The elder one keeps its height; the other one turns away, and no more than twice as the elder passes.
    turns = [np.sign(np.diff([frame[n][1] for frame in places])).tolist() for n in (0, 1)]
    runs = [len([way for way, _ in itertools.groupby(side) if way]) for side in turns]
    assert runs[0] == 0
    assert 1 <= runs[1] <= 2


def test_the_number_is_held_and_follows(texts):
    painter, rng = OverlayPainter(), np.random.default_rng(2)
    for frame in range(180):
        score = float((0.8 if frame < 60 else 0.4) + rng.uniform(-0.04, 0.04))
        painter.draw(GREY, [DrawnInstance(1, "dog", score, None, (100, 100, 200, 200))])
    shown = [float(text.split()[-1]) for text in texts]
    held = [len(list(group)) for _, group in itertools.groupby(shown)]
    assert min(held[:-1]) >= 15
    assert shown[0] == pytest.approx(0.8, abs=0.04)
    assert shown[59] == pytest.approx(0.8, abs=0.04)
    assert shown[-1] == pytest.approx(0.4, abs=0.04)


def test_the_first_frame_is_the_single_picture():
    instances = [
        DrawnInstance(1, "dog", 0.8, ellipse(201, 251)),
        DrawnInstance(2, "cat", None, window_of(ellipse(483, 301, 61, 53))),
        DrawnInstance(3, "cup", 0.5, None, (20.0, 30.0, 90.0, 101.0)),
    ]
    small = GREY[:301]
    for image, given in ((GREY, instances), (small, instances[2:])):
        drawn = OverlayPainter().draw(image, given)
        assert drawn.shape == (*overlay_size(*image.shape[:2]), 3)
        np.testing.assert_array_equal(drawn, draw_overlay(image, given))
    assert (GREY == 90).all()


def test_the_trail_lies_where_the_object_was_and_fades():
    painter = OverlayPainter(BARE)
    for frame in range(80):
        x = 50.0 + 6 * frame
        drawn = painter.draw(GREY, [DrawnInstance(2, "dog", 0.8, ellipse(x, 251, 30, 20))])
    change = np.abs(drawn.astype(int) - 90).sum(2)
    assert not change[:245].any()
    assert not change[258:].any()
    last = 50 + 6 * 79
    profile = change[:, last - 45 * 6 - 30 : last + 20].max(0)
    assert not profile[:30].any()
    steps = profile[60:-40:6]
    assert (np.diff(steps) >= 0).all()
    assert steps[0] < steps[-1] / 2
    assert np.abs(drawn[251, last - 4].astype(int) - track_color(2)).max() < 25


def test_a_trail_is_broken_where_the_object_was_away():
    painter = OverlayPainter(BARE)
    for frame in range(40):
        x = 100.0 + 8 * frame
        there = [] if 10 <= frame < 25 else [DrawnInstance(1, "dog", 0.8, ellipse(x, 251, 30, 20))]
        drawn = painter.draw(GREY, there)
    change = np.abs(drawn.astype(int) - 90).sum(2).max(0)
    assert not change[185:285].any()
    assert change[130:160].all()
    assert change[310:400].all()


def test_memory_is_bounded():
    painter = OverlayPainter(OverlayStyle(trails=True, min_height=1))
    small = GREY[:53, :71]
    for frame in range(300):
        painter.draw(small, [DrawnInstance(frame // 2, "x", 0.5, None, (3, 3, 20, 30))])
    assert len(painter._tracks) <= 31


def test_an_object_that_comes_back_elsewhere_has_its_label_there_at_once(places):
    painter = OverlayPainter()
    for frame in range(40):
        box = (50.0, 300.0, 150.0, 400.0) if frame < 10 else (450.0, 100.0, 550.0, 200.0)
        painter.draw(GREY, [] if 10 <= frame < 25 else [DrawnInstance(1, "dog", 0.8, None, box)])
    shown = [frame[0] for frame in places if frame]
    assert len(set(shown)) == 2
    assert shown[-1][0] == 450
    assert shown[-1][3] <= 100
