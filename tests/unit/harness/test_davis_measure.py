import numpy as np
import pytest

from benchmarks.davis_measure import (
    ObjectScore,
    best_tracks,
    every_nth,
    filled_box,
    grab_cut,
    mask_iou,
    mean_by_video,
    mean_over_frames,
    mean_over_objects,
)
from qcen_core.ops.rle import encode
from qcen_core.records import ObjectTrack, TrackResult

HEIGHT, WIDTH = 5, 7


def row_of(first, last):
    """A mask of the pixels `first` to `last` of the first row."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[0, first : last + 1] = True
    return encode(mask)


def truth(*masks, number=1, is_crowd=False):
    return ObjectTrack(number, 1, 0, (None,) * len(masks), masks, is_crowd)


def found(number, score, *masks, class_id=0):
    return TrackResult(1, number, class_id, score, masks)


def test_the_best_track_is_that_of_the_highest_mean_and_missing_masks_count_nothing():
    shown = truth(row_of(0, 3), row_of(0, 3), None, row_of(0, 3))
    results = [
        found(1, 0.9, row_of(0, 3), None, row_of(0, 6), None),  # 1, 0, not asked, 0: 1/3
        found(2, 0.2, row_of(0, 1), row_of(0, 1), None, row_of(2, 5), class_id=4),  # 1/2, 1/2, 2/6: 4/9
        found(3, 0.5, None, None, row_of(0, 3), None),
    ]
    (best,) = best_tracks("a", [shown], results)
    assert (best.track_id, best.rank, best.tracks) == (2, 3, 3)
    assert best.score.ious == pytest.approx({0: 1 / 2, 1: 1 / 2, 3: 1 / 3})
    assert best.score.mean == pytest.approx(4 / 9)


def test_masks_where_the_object_is_absent_cost_nothing():
    (best,) = best_tracks("a", [truth(row_of(1, 2), None)], [found(5, 0.1, row_of(1, 2), row_of(0, 6))])
    assert best.score.ious == {0: 1.0}


def test_without_tracks_every_frame_counts_nothing():
    (best,) = best_tracks("a", [truth(row_of(1, 2), None, row_of(1, 1))], [])
    assert best.score.ious == {0: 0.0, 2: 0.0}
    assert (best.track_id, best.rank, best.tracks) == (None, None, 0)


def test_crowds_and_objects_that_are_never_there_are_left_out():
    shown = [truth(row_of(0, 1), is_crowd=True), truth(None, number=2), truth(row_of(3, 3), number=3)]
    assert [best.score.object_id for best in best_tracks("a", shown, [found(1, 1.0, row_of(3, 3))])] == [3]


def test_two_objects_have_a_best_track_each():
    shown = [truth(row_of(0, 1)), truth(row_of(4, 6), number=2)]
    results = [found(1, 0.5, row_of(4, 6)), found(2, 0.5, row_of(0, 2))]
    best = best_tracks("a", shown, results)
    assert [track.track_id for track in best] == [2, 1]
    assert [track.score.mean for track in best] == pytest.approx([2 / 3, 1])
    assert [track.rank for track in best] == [1, 1]


def test_means():
    scores = [
        ObjectScore("a", 1, {0: 1.0, 1: 0.0, 2: 0.5}),
        ObjectScore("a", 2, {0: 0.1}),
        ObjectScore("b", 3, {2: 0.9}),
    ]
    assert mean_over_objects(scores) == pytest.approx((0.5 + 0.1 + 0.9) / 3)
    assert mean_over_frames(scores) == pytest.approx(2.5 / 5)
    assert mean_by_video(scores) == pytest.approx({"a": 0.3, "b": 0.9})
    assert mean_over_objects([]) is None
    assert mean_over_frames([]) is None


def test_every_third_frame():
    score = ObjectScore("a", 1, {1: 0.3, 3: 0.5, 4: 0.7, 6: 0.1})
    assert every_nth(score, 3).ious == {3: 0.5, 6: 0.1}
    assert every_nth(score, 5) is None


def test_a_filled_box():
    expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
    expected[1:3, 2:7] = True
    assert np.array_equal(filled_box((2.2, 0.8, 9.0, 3.4), HEIGHT, WIDTH), expected)


def test_iou_of_masks():
    one, other = filled_box((0, 0, 3, 1), HEIGHT, WIDTH), filled_box((1, 0, 5, 1), HEIGHT, WIDTH)
    nothing = np.zeros_like(one)
    assert mask_iou(one, other) == pytest.approx(2 / 5)
    assert mask_iou(one, nothing) == 0
    assert mask_iou(nothing, nothing) == 0


def disc_on_noise():
    rng = np.random.default_rng(3)
    image = rng.normal((60, 120, 60), 8, (61, 83, 3))
    rows, columns = np.mgrid[:61, :83]
    disc = (rows - 30) ** 2 + (columns - 41) ** 2 <= 17**2
    image[disc] = rng.normal((200, 60, 40), 8, (int(disc.sum()), 3))
    return image.clip(0, 255).astype(np.uint8), disc


@pytest.mark.parametrize(("shrink", "least"), [(1, 0.97), (2, 0.85)])
def test_grab_cut_finds_a_disc_in_its_box(shrink, least):
    image, disc = disc_on_noise()
    box = (24.0, 13.0, 59.0, 48.0)
    cut = grab_cut(image, box, shrink)
    assert mask_iou(cut, disc) > least > mask_iou(filled_box(box, *disc.shape), disc)
    assert np.array_equal(cut, grab_cut(image, box, shrink))


def test_grab_cut_without_an_outside_gives_the_box():
    image, _ = disc_on_noise()
    assert grab_cut(image, (0.0, 0.0, 83.0, 61.0)).all()
