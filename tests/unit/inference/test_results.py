from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.errors import InputError
from qcen_core.inference.results import DOUBT_FRAMES, TrackCollector, match_categories, to_result
from qcen_core.inference.segment_video import TrackedFrame, TrackedInstance
from qcen_core.ops import rle
from qcen_core.records import Category

HEIGHT, WIDTH = 13, 23


def instance(track_id, score, mask, logits=(0.0, 2.0, 1.0, 5.0)):
    logits = np.asarray(logits, dtype=np.float32)
    return TrackedInstance(track_id, int(logits[:-1].argmax()), score, mask, logits)


def frame(index, *instances):
    return TrackedFrame(index, Fraction(index, 5), HEIGHT, WIDTH, instances)


def square(x):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[3:9, x : x + 5] = True
    return mask


def test_tracks_by_hand():
    collector = TrackCollector()
    collector.add(frame(0, instance(2, 0.9, square(1), (3, 0, 0, 0))))
    collector.add(frame(1))
    collector.add(frame(2, instance(1, 0.5, square(7)), instance(2, 0.6, square(2), (1, 2, 0, 9))))
    first, second = collector.tracks()
    assert (first.track_id, first.class_id, first.score) == (1, 1, pytest.approx(0.5 / (1 + DOUBT_FRAMES)))
    # The class is that of the latest mean; "no object" is never a class.
    assert (second.track_id, second.class_id) == (2, 1)
    assert second.score == pytest.approx(1.5 / (2 + DOUBT_FRAMES))
    assert second.sightings[2].time == Fraction(2, 5)
    result = to_result(second, video_id=7, class_id=4, frame_count=collector.frame_count)
    assert (result.video_id, result.track_id, result.class_id) == (7, 2, 4)
    assert [mask is not None for mask in result.segmentations] == [True, False, True]
    np.testing.assert_array_equal(rle.decode(result.segmentations[2]), square(2))


def test_a_source_that_counts_from_elsewhere_is_counted_from_zero():
    collector = TrackCollector()
    collector.add(frame(17, instance(1, 0.5, square(1))))
    assert list(collector.tracks()[0].sightings) == [0]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=11))
def test_score_lies_between_nothing_and_the_best_frame_and_grows_with_evidence(scores):
    collector = TrackCollector()
    for index, score in enumerate(scores):
        collector.add(frame(index, instance(1, score, square(1))))
    once = collector.tracks()[0].score
    assert 0 <= once <= max(scores)
    for index, score in enumerate(scores):
        collector.add(frame(len(scores) + index, instance(1, score, square(1))))
    assert collector.tracks()[0].score >= once


def test_categories_are_matched_by_name():
    model = (Category(1, "cat"), Category(2, "dog"), Category(3, "cow"))
    data = (Category(9, "cow"), Category(1, "bird"), Category(2, "cat"))
    assert match_categories(model, data, "train.json") == {0: 2, 2: 0}


def test_no_category_in_common_is_an_error():
    with pytest.raises(InputError, match=r"train.json: .*bird.*cat") as caught:
        match_categories((Category(1, "cat"),), (Category(1, "bird"),), "train.json")
    assert "name" in caught.value.hint
