"""Labels of frames: what each level may know, and which frames may be drawn."""

from pathlib import Path

import numpy as np

from qcen_core.data.labels import BoxLabels, TrackLabels
from qcen_core.ops import rle
from qcen_core.records import BoxDataset, Category, FrameBoxes, ObjectTrack, TrackDataset, VideoRecord

CATEGORIES = (Category(1, "cat"), Category(2, "dog"))
SIZE = (13, 17)


def video(number, length, labels=None):
    files = tuple(f"{number}/{t}.png" for t in range(length))
    return VideoRecord(number, f"v{number}", *SIZE, files, labels)


def frame_boxes(boxes, class_ids, ignore, labelled=True):
    return FrameBoxes(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(class_ids, np.int64), np.array(ignore, bool), labelled
    )


def rectangle(x1, y1, x2, y2):
    mask = np.zeros(SIZE, bool)
    mask[y1:y2, x1:x2] = True
    return rle.encode(mask)


def test_box_labels_drop_what_is_to_be_ignored_and_skip_unlabelled_frames():
    frames = (
        frame_boxes([], [], [], labelled=False),
        frame_boxes([(1, 2, 3, 4), (5, 6, 7, 8), (2, 2, 9, 9)], [1, 0, 1], [False, True, False]),
        frame_boxes([], [], []),
    )
    source = BoxLabels(BoxDataset("zoo", Path(), CATEGORIES, (video(4, 3, frames), video(5, 2))))
    assert source.labelled_frames(0).tolist() == [1, 2]
    assert source.labelled_frames(1).tolist() == []
    labels = source.frame(0, 1)
    assert labels.boxes.tolist() == [[1, 2, 3, 4], [2, 2, 9, 9]]
    assert labels.class_ids.tolist() == [1, 1]
    assert labels.ignored.tolist() == [[5, 6, 7, 8]]
    assert labels.masks is None
    assert labels.track_ids is None
    assert source.frame(0, 2).boxes.shape == (0, 4)


def tracks():
    seen = (1.0, 2.0, 5.0, 7.0)
    moved = (3.0, 2.0, 7.0, 7.0)
    return (
        ObjectTrack(31, 5, 1, (seen, None, moved), (rectangle(1, 2, 5, 7), None, rectangle(3, 2, 7, 7))),
        ObjectTrack(32, 5, 0, (None, None, (0.0, 0.0, 17.0, 13.0)), (None, None, rectangle(0, 0, 17, 13))),
        ObjectTrack(33, 5, 0, (seen, seen, seen), (rectangle(1, 2, 5, 7),) * 3, is_crowd=True),
        ObjectTrack(34, 2, 0, (seen,), (rectangle(1, 2, 5, 7),)),
    )


def track_labels(*, masks, identities):
    dataset = TrackDataset(CATEGORIES, (video(2, 1), video(5, 3)), tracks())
    return TrackLabels(dataset, masks=masks, identities=identities)


def test_the_order_of_labels_tells_nothing_of_the_tracks():
    """Two objects change places, a third of a smaller class joins: sorted by class and place whatever their tracks."""
    left, right, middle = (1.0, 2.0, 5.0, 7.0), (9.0, 2.0, 12.0, 7.0), (6.0, 3.0, 8.0, 5.0)
    two = (ObjectTrack(31, 5, 1, (left, right), None), ObjectTrack(32, 5, 1, (right, left), None))
    third = ObjectTrack(33, 5, 0, (None, middle), None)
    for order in ((*two, third), (third, *two[::-1])):
        dataset = TrackDataset(CATEGORIES, (video(5, 2),), order)
        source = TrackLabels(dataset, masks=False, identities=True)
        first, second = source.frame(0, 0), source.frame(0, 1)
        assert first.boxes.tolist() == [list(left), list(right)]
        assert first.track_ids.tolist() == [31, 32]
        assert second.boxes.tolist() == [list(middle), list(left), list(right)]
        assert second.track_ids.tolist() == [33, 32, 31]


def test_masks_and_identities_are_in_the_order_of_the_boxes():
    source = track_labels(masks=True, identities=True)
    assert source.labelled_frames(1).tolist() == [0, 1, 2]
    labels = source.frame(1, 2)
    assert sorted(labels.track_ids.tolist()) == [31, 32]
    assert labels.masks.dtype == bool
    for box, mask, class_id, identity in zip(
        labels.boxes, labels.masks, labels.class_ids, labels.track_ids, strict=True
    ):
        x1, y1, x2, y2 = box.astype(int)
        expected = np.zeros(SIZE, bool)
        expected[y1:y2, x1:x2] = True
        assert np.array_equal(mask, expected)
        assert class_id == {31: 1, 32: 0}[int(identity)]


def test_objects_that_are_not_visible_and_crowds_are_no_targets():
    source = track_labels(masks=True, identities=True)
    assert source.frame(1, 0).track_ids.tolist() == [31]
    empty = source.frame(1, 1)
    assert empty.boxes.shape == (0, 4)
    assert empty.boxes.dtype == np.float32
    assert empty.masks.shape == (0, *SIZE)
    assert empty.track_ids.dtype == np.int64
    assert source.frame(0, 0).track_ids.tolist() == [34]


def test_a_level_gets_only_what_it_may_know():
    box_id = track_labels(masks=False, identities=True).frame(1, 2)
    assert box_id.masks is None
    assert box_id.track_ids is not None
    mask = track_labels(masks=True, identities=False).frame(1, 2)
    assert mask.masks is not None
    assert mask.track_ids is None


def test_an_object_whose_mask_is_not_known_is_neither_object_nor_background():
    box = (1.0, 2.0, 5.0, 7.0)
    known = ObjectTrack(1, 5, 0, (box, box), (rectangle(1, 2, 5, 7), None))
    boxes_only = ObjectTrack(2, 5, 1, (None, (0.0, 0.0, 3.0, 3.0)), None)
    dataset = TrackDataset(CATEGORIES, (video(5, 2),), (known, boxes_only))
    masks = TrackLabels(dataset, masks=True, identities=False)
    assert masks.frame(0, 0).boxes.tolist() == [list(box)]
    assert masks.frame(0, 0).masks.any(axis=(1, 2)).all()
    assert masks.frame(0, 1).boxes.tolist() == []
    assert sorted(masks.frame(0, 1).ignored.tolist()) == sorted([list(box), [0, 0, 3, 3]])
    boxed = TrackLabels(dataset, masks=False, identities=True)
    assert len(boxed.frame(0, 1).boxes) == 2
    assert len(boxed.frame(0, 1).ignored) == 0
