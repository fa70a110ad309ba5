from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.conversion.annotations import ANY_CLASS, ListedAnnotations, SourceObject
from qcen_core.conversion.box_rows import collect_rows
from qcen_core.conversion.check_rows import BORDER_TOLERANCE, SMALLEST_SIDE
from qcen_core.conversion.full_tracks import TrackAnnotations, full_tracks, to_strong
from qcen_core.conversion.problems import Problem
from qcen_core.ops import rle
from qcen_core.records import Category, ObjectTrack, TrackDataset, VideoRecord

HEIGHT, WIDTH = 61, 101
CATEGORIES = (Category(9, "cat"), Category(4, "dog"))
MASKS = [rle.encode(np.tri(HEIGHT, WIDTH, k) > 0) for k in range(4)]


def video(number, frames, unlabelled=()):
    files = tuple(f"v{number}/{i}.jpg" for i in range(frames))
    return VideoRecord(number, f"video{number}", HEIGHT, WIDTH, files, unlabelled=frozenset(unlabelled))


def wandering_tracks(count, frames, video_id=1):
    """Objects of one category and one size, so that nothing but place and order could tell them apart."""
    rng = np.random.default_rng(count)
    tracks = []
    for i in range(count):
        corners = rng.integers(0, 40, (frames, 2))
        boxes = tuple((float(x), float(y), float(x + 11), float(y + 13)) for x, y in corners)
        masks = []
        for x, y in corners:
            mask = np.zeros((HEIGHT, WIDTH), bool)
            mask[y : y + 13, x : x + 11] = True
            masks.append(rle.encode(mask))
        tracks.append(ObjectTrack(100 * video_id + i, video_id, 0, boxes, tuple(masks)))
    return tuple(tracks)


def listed(*items, videos=None, unlabelled=None):
    return ListedAnnotations(Path("source.json"), CATEGORIES, videos or (video(1, 3),), items, unlabelled or {})


def item(boxes, frames=None, **more):
    frames = list(range(len(boxes))) if frames is None else frames
    return SourceObject("source.json: annotation 7", 0, 1, frames, boxes, **more)


EDGE = st.floats(-50, 150) | st.sampled_from([0.0, 101.0, 61.0, -1.0, 102.0, 62.0])


@settings(max_examples=400)
@given(box=st.tuples(EDGE, EDGE, EDGE, EDGE))
def test_clipping_is_the_intersection_with_the_frame(box):
    tracks, _ = full_tracks(listed(item([box])), [0])
    x1, y1, x2, y2 = box
    wide, high = min(x2, WIDTH) - max(x1, 0), min(y2, HEIGHT) - max(y1, 0)
    leaves = max(-x1, -y1, x2 - WIDTH, y2 - HEIGHT)
    good = min(x2 - x1, y2 - y1, wide, high) >= SMALLEST_SIDE and leaves <= BORDER_TOLERANCE
    if not good:
        # What leaves its frame but shows a part of itself is neither object nor background.
        shows = min(x2 - x1, y2 - y1, wide, high) >= SMALLEST_SIDE
        assert [track.is_crowd for track in tracks.tracks] == [True] * shows
    if not tracks.tracks:
        return
    clipped = tracks.tracks[0].boxes[0]
    assert tracks.tracks[0].boxes[1:] == (None, None)
    assert 0 <= clipped[0] < clipped[2] <= WIDTH
    assert 0 <= clipped[1] < clipped[3] <= HEIGHT
    columns, rows = np.arange(-60, 160) + 0.5, np.arange(-60, 160) + 0.5
    inside = (columns > x1) & (columns < x2) & (columns > 0) & (columns < WIDTH)
    below = (rows > y1) & (rows < y2) & (rows > 0) & (rows < HEIGHT)
    np.testing.assert_array_equal(inside, (columns > clipped[0]) & (columns < clipped[2]))
    np.testing.assert_array_equal(below, (rows > clipped[1]) & (rows < clipped[3]))


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "wrong", [(3, 3, 3, 9), (9, 3, 5, 9), (-2, 3, 9, 9), (101, 2, 101.7, 9), (NAN, 1, 2, 3), (0, 0, INF, 9)]
)
def test_a_wrong_box_takes_its_mask_along(wrong):
    good = (-0.5, 2.0, 30.0, 61.25)
    source = listed(item([good, wrong, (1, 1, 9, 9)], masks=MASKS[:3], track=7, ignore=True))
    track, *regions = full_tracks(source, [0])[0].tracks
    assert [region.boxes for region in regions] == [(None, (0, 3, 9, 9), None)] * (wrong[0] == -2)
    assert track.boxes == ((0.0, 2.0, 30.0, 61.0), None, (1, 1, 9, 9))
    assert track.segmentations == (MASKS[0], None, MASKS[2])
    assert (track.id, track.class_id, track.video_id, track.is_crowd) == (1, 1, 1, True)


def test_an_object_without_a_right_box_is_no_track():
    source = listed(item([(3, 3, 3, 9)], masks=MASKS[:1]), item([]), item([(1, 1, 9, 9)], frames=[2]))
    tracks, problems = full_tracks(source, [0])
    assert [(track.id, track.boxes) for track in tracks.tracks] == [(1, (None, None, (1, 1, 9, 9)))]
    assert not problems


def test_frames_without_a_mask_keep_their_box():
    boxes = [(1, 1, 9, 9), (2, 2, 8, 8)]
    source = listed(item(boxes, masks=[None, MASKS[1]]), item(boxes, masks=[None, None]))
    some, none = full_tracks(source, [0])[0].tracks
    assert some.segmentations == (None, MASKS[1], None)
    assert some.boxes == (*boxes, None)
    assert none.segmentations is None


def test_chosen_videos_in_the_wanted_order_with_their_unlabelled_frames():
    videos = (video(5, 2), video(6, 3), video(7, 1))
    items = [SourceObject(f"o{v}", v, 0, [0], [(v, 1, 9, 9)]) for v in (2, 0, 1, 2)]
    source = listed(*items, videos=videos, unlabelled={2: [0], 1: frozenset({2, 0}), 0: ()})
    tracks, _ = full_tracks(source, [2, 1])
    assert [(clip.id, clip.unlabelled) for clip in tracks.videos] == [(7, {0}), (6, {0, 2})]
    # All of these boxes lie at frames that nobody labelled.
    assert tracks.tracks == ()
    tracks, _ = full_tracks(source, [2, 1], {1: [1]})
    assert [(track.id, track.video_id) for track in tracks.tracks] == [(1, 7), (2, 6), (3, 7)]


def test_objects_told_frame_by_frame_become_one_track():
    def record(frame, x, track=4, video=0, class_id=1, **more):
        place = f"source.json: annotation {frame}"
        return SourceObject(place, video, class_id, [frame], [(x, 1, x + 9, 9)], track=track, **more)

    items = [
        record(2, 20, masks=[MASKS[2]]),
        record(0, 5, track=3),
        record(0, 10),
        record(1, 30, track=None),
        record(2, 50, track=None),
        record(0, 40, video=1),
        record(1, 60, class_id=0),
        record(2, 70),  # a second box at one frame
        record(1, 80, ignore=True),
    ]
    tracks, _ = full_tracks(listed(*items, videos=(video(1, 3), video(2, 3))), [0, 1])
    shown = [(t.video_id, t.class_id, t.is_crowd, [b and b[0] for b in t.boxes]) for t in tracks.tracks]
    assert sorted(shown, key=str) == sorted(
        [
            (1, 1, False, [10, None, 20]),
            (1, 1, False, [5, None, None]),
            (1, 1, False, [None, 30, None]),
            (1, 1, False, [None, None, 50]),
            (2, 1, False, [40, None, None]),
            (1, 0, False, [None, 60, None]),
            (1, 1, False, [None, None, 70]),
            (1, 1, True, [None, 80, None]),
        ],
        key=str,
    )
    assert [track.id for track in tracks.tracks] == list(range(1, 9))
    assert tracks.tracks[0].segmentations == (None, None, MASKS[2])
    assert all(track.segmentations is None for track in tracks.tracks[1:])


class Damaged:
    """Annotations of which one mask cannot be read."""

    path, categories, videos, unlabelled = Path("source.json"), CATEGORIES, (video(1, 1), video(2, 1)), {}
    asked = ()

    def with_masks(self, videos):
        self.asked = set(videos)
        yield Problem("unreadable mask", "source.json: annotation 7, frame 0", "cut off", "write it again")
        yield SourceObject("source.json: annotation 8", 1, 0, [0], [(1, 1, 9, 9)])


def test_problems_of_masks_are_handed_on():
    source = Damaged()
    tracks, problems = full_tracks(source, [1])
    assert source.asked == {1}
    assert len(tracks.tracks) == 1
    assert [problem.kind for problem in problems] == ["unreadable mask"]


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("masks", [True, False])
def test_strong_labels_hold_what_was_asked_for_and_nothing_more(masks, ids):
    tracks = wandering_tracks(3, 5)
    tracks = (replace(tracks[0], boxes=(None, *tracks[0].boxes[1:])), *tracks[1:])
    dataset = TrackDataset(CATEGORIES, (video(1, 5),), tracks)
    strong = to_strong(dataset, masks=masks, ids=ids, seed=1).tracks
    assert [track.id for track in strong] == list(range(1, len(strong) + 1))
    assert all((track.segmentations is not None) == masks for track in strong)
    if ids:
        assert [track.boxes for track in strong] == [track.boxes for track in tracks]
        return
    assert len(strong) == 14
    found = set()
    for track in strong:
        (frame,) = [i for i, box in enumerate(track.boxes) if box is not None]
        found.add((frame, track.boxes[frame]))
        if masks:
            assert [i for i, mask in enumerate(track.segmentations) if mask is not None] == [frame]
            assert rle.bounding_box(track.segmentations[frame]) == track.boxes[frame]
    assert found == {(i, box) for track in tracks for i, box in enumerate(track.boxes) if box is not None}
    # Neither the order of the source nor that of time is left.
    frames = [next(i for i, box in enumerate(track.boxes) if box is not None) for track in strong]
    assert frames != sorted(frames)
    turned = replace(dataset, tracks=tuple(reversed(tracks)))
    assert to_strong(turned, masks=masks, ids=ids, seed=1).tracks == strong


def test_without_identities_the_order_of_single_labels_links_nothing():
    frames = 401
    still = [ObjectTrack(i + 1, 1, 0, ((15.0 * i, 3.0, 15.0 * i + 11, 16.0),) * frames, None) for i in range(3)]
    strong = to_strong(TrackDataset(CATEGORIES, (video(1, frames),), tuple(still)), masks=False, ids=False, seed=2)
    seen = [[] for _ in range(frames)]
    for track in strong.tracks:
        (frame,) = [i for i, box in enumerate(track.boxes) if box is not None]
        seen[frame].append(track.boxes[frame][0])
    same = np.mean(np.array(seen[1:]) == seen[:-1])
    assert abs(same - 1 / 3) < 0.06


def test_tracks_in_memory_are_annotations_too():
    tracks = wandering_tracks(2, 3, video_id=4)
    gone = replace(tracks[1], boxes=(None, tracks[1].boxes[1], None), is_crowd=True)
    source = TrackAnnotations(
        Path("made"), TrackDataset(CATEGORIES, (video(9, 1, unlabelled=[0]), video(4, 3)), (tracks[0], gone))
    )
    assert source.unlabelled == {0: {0}}
    first, second = source.objects()
    assert (first.video, first.frames, first.masks, first.place) == (1, [0, 1, 2], None, "made: annotation 400")
    assert (second.frames, second.boxes, second.ignore, second.track) == ([1], [gone.boxes[1]], True, 401)
    assert [item.masks for item in source.with_masks({1})] == [list(tracks[0].segmentations), [gone.segmentations[1]]]
    assert list(source.with_masks({0})) == []


def test_a_region_of_no_class_is_to_be_ignored_in_every_class():
    """Evaluation goes class by class: a region of one class would excuse predictions of that class alone."""
    record = VideoRecord(1, "v", 61, 101, ("0.jpg",))
    region = SourceObject("x.txt, line 3", 0, ANY_CLASS, [0], [(1.0, 2.0, 30.0, 40.0)], ignore=True)
    source = ListedAnnotations(Path("x.txt"), (Category(1, "cat"), Category(2, "dog")), (record,), (region,))
    tracks, problems = full_tracks(source, [0])
    assert problems == []
    assert [(track.class_id, track.is_crowd, track.boxes) for track in tracks.tracks] == [
        (class_id, True, ((1.0, 2.0, 30.0, 40.0),)) for class_id in (0, 1)
    ]
    rows, _ = collect_rows(source)
    assert rows.class_ids.tolist() == [0]
    assert rows.identified
