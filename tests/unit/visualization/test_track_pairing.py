import numpy as np
import pytest

from qcen_core.ops.rle import encode
from qcen_core.records import ObjectTrack, TrackResult
from qcen_core.visualization.palette import hex_color, track_color
from qcen_core.visualization.track_pairing import pair_colors, partners_by_overlap, partners_told

HEIGHT, WIDTH, FRAMES = 31, 53, 5


def strip(left: int, right: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:17, left:right] = True
    return mask


def masks(*spans: tuple[int, int] | None) -> tuple:
    return tuple(None if span is None else encode(strip(*span)) for span in spans)


def test_partners_follow_for_most_frames_and_are_one_to_one():
    entry = {
        "objects": [
            {"id": 3, "matched": [[0, 3, 7], [4, 9, 8]]},  # 4 frames of 7, 6 of 8
            {"id": 5, "matched": [[0, 8, 8]]},  # 9 frames of 8, which it keeps
            {"id": 6, "matched": []},
        ]
    }
    assert partners_told(entry) == {8: 5, 7: 3}
    assert partners_told({}) == {}


def test_partners_by_overlap_share_the_most_of_their_tubes():
    objects = [
        ObjectTrack(11, 1, 0, (None,) * FRAMES, masks((0, 10), (2, 12), (4, 14), None, None)),
        ObjectTrack(13, 1, 1, (None,) * FRAMES, masks((30, 40), (30, 40), None, (30, 40), (30, 40))),
        ObjectTrack(17, 1, 1, (None,) * FRAMES, None),
    ]
    results = [
        TrackResult(1, 1, 1, 0.9, masks((31, 41), (30, 41), None, None, (30, 40))),
        TrackResult(1, 2, 0, 0.9, masks((40, 50), (40, 50), (40, 50), (40, 50), (40, 50))),
        TrackResult(1, 4, 0, 0.9, masks((0, 10), (0, 10), (0, 10), None, (0, 10))),
    ]
    assert partners_by_overlap(objects, results) == {1: 13, 4: 11}
    assert partners_by_overlap([], results) == partners_by_overlap(objects, []) == {}


def test_results_have_the_colour_of_their_object():
    true, found = pair_colors([11, 13], [1, 2, 4], {1: 13, 4: 11, 9: 11, 2: 99})
    assert true == {11: hex_color(track_color(1)), 13: hex_color(track_color(2))}
    assert found == {1: true[13], 2: hex_color(track_color(3)), 4: true[11]}


@pytest.mark.parametrize("count", [1, 7])
def test_strangers_differ_from_all_objects(count):
    true, found = pair_colors(range(count), range(100, 100 + count), {})
    assert len({*true.values(), *found.values()}) == 2 * count
