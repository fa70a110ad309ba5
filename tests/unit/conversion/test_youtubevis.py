import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcen_core.boxfile import write_boxes
from qcen_core.conversion.youtubevis import clip_box, clip_boxes, select_videos, to_boxes, to_strong
from qcen_core.ops import rle
from qcen_core.records import Category, ObjectTrack, TrackDataset, VideoRecord

HEIGHT, WIDTH = 61, 101
CATEGORIES = (Category(9, "cat"), Category(4, "dog"))


def video(number, frames):
    return VideoRecord(number, f"video{number}", HEIGHT, WIDTH, tuple(f"v{number}/{i}.jpg" for i in range(frames)))


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


def positions(boxes, tracks):
    """(frames, tracks) position of each track's box in the list of its frame."""
    found = []
    for frame, labels in enumerate(boxes.videos[0].labels):
        rows = [tuple(row) for row in labels.boxes.tolist()]
        found.append([rows.index(track.boxes[frame]) for track in tracks])
    return np.array(found)


def test_identity_cannot_be_read_from_the_order_of_boxes():
    tracks = wandering_tracks(4, 997)
    dataset = TrackDataset(CATEGORIES, (video(1, 997),), tracks)
    place = positions(to_boxes(dataset, "zoo", Path(), 5), tracks)
    for track in range(4):
        share = np.bincount(place[:, track], minlength=4) / len(place)
        assert np.abs(share - 0.25).max() < 0.06
        # Nor does the place in one frame say anything about the place in the next.
        same = (place[1:, track] == place[:-1, track]).mean()
        assert abs(same - 0.25) < 0.06


def test_order_of_the_tracks_plays_no_part_even_for_who_knows_the_seed():
    tracks = wandering_tracks(5, 7)
    videos = (video(1, 7),)
    first = to_boxes(TrackDataset(CATEGORIES, videos, tracks), "zoo", Path(), 3)
    turned = tuple(replace(track, id=77 - i) for i, track in enumerate(reversed(tracks)))
    second = to_boxes(TrackDataset(CATEGORIES, videos, turned), "zoo", Path(), 3)
    for ours, theirs in zip(first.videos[0].labels, second.videos[0].labels, strict=True):
        np.testing.assert_array_equal(ours.boxes, theirs.boxes)


def test_the_same_boxes_come_out(tmp_path):
    tracks = (*wandering_tracks(3, 5), replace(wandering_tracks(1, 5)[0], class_id=1, is_crowd=True))
    tracks = (replace(tracks[0], boxes=(None, *tracks[0].boxes[1:])), *tracks[1:])
    made = to_boxes(TrackDataset(CATEGORIES, (video(1, 5),), tracks), "zoo", tmp_path, 0)
    assert (made.name, made.frames_root, made.categories) == ("zoo", tmp_path, CATEGORIES)
    for frame, labels in enumerate(made.videos[0].labels):
        expected = sorted((t.boxes[frame], t.class_id, t.is_crowd) for t in tracks if t.boxes[frame] is not None)
        columns = (map(tuple, labels.boxes.tolist()), labels.class_ids.tolist(), labels.ignore.tolist())
        assert sorted(zip(*columns, strict=True)) == expected
        assert labels.labelled


def test_the_file_has_no_key_that_could_name_a_mask_or_an_identity(tmp_path):
    tracks = wandering_tracks(3, 5)
    write_boxes(to_boxes(TrackDataset(CATEGORIES, (video(1, 5),), tracks), "zoo", Path(), 0), tmp_path / "t.json")
    keys = set()

    def walk(value):
        if isinstance(value, dict):
            keys.update(value)
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                walk(item)

    walk(json.loads((tmp_path / "t.json").read_text()))
    top, frame = {"format", "version", "name", "categories", "videos"}, {"file", "labelled"}
    assert keys == top | frame | {"id", "width", "height", "frames", "boxes", "category_ids", "ignore"}
    for track in tracks:
        for mask in track.segmentations:
            assert mask["counts"] not in (tmp_path / "t.json").read_text()


EDGE = st.floats(-50, 150)


@given(box=st.tuples(EDGE, EDGE, EDGE, EDGE))
def test_clipping_is_the_intersection_with_the_frame(box):
    clipped = clip_box(box, WIDTH, HEIGHT)
    columns, rows = np.arange(-60, 160) + 0.5, np.arange(-60, 160) + 0.5
    inside = (columns > box[0]) & (columns < box[2]) & (columns > 0) & (columns < WIDTH)
    below = (rows > box[1]) & (rows < box[3]) & (rows > 0) & (rows < HEIGHT)
    if clipped is None:
        assert not (inside.any() and below.any())
        return
    assert 0 <= clipped[0] < clipped[2] <= WIDTH
    assert 0 <= clipped[1] < clipped[3] <= HEIGHT
    np.testing.assert_array_equal(inside, (columns > clipped[0]) & (columns < clipped[2]))
    np.testing.assert_array_equal(below, (rows > clipped[1]) & (rows < clipped[3]))


def test_what_is_clipped_away_takes_its_mask_along():
    (track,) = wandering_tracks(1, 3)
    track = replace(track, boxes=((-0.5, 2.0, 30.0, 9.0), (101.0, 2.0, 101.7, 9.0), None))
    (clipped,) = clip_boxes(TrackDataset(CATEGORIES, (video(1, 3),), (track,))).tracks
    assert clipped.boxes == ((0.0, 2.0, 30.0, 9.0), None, None)
    assert clipped.segmentations == (track.segmentations[0], None, None)


def test_selection_keeps_videos_with_their_tracks():
    first, second = wandering_tracks(2, 3, video_id=1), wandering_tracks(3, 2, video_id=2)
    dataset = TrackDataset(CATEGORIES, (video(1, 3), video(2, 2)), first + second)
    part = select_videos(dataset, ["video2"])
    assert [v.id for v in part.videos] == [2]
    assert part.tracks == second


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
