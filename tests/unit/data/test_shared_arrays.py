"""Annotations in memory that processes share: nothing is copied into a loader process."""

from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.config import DataConfig
from qcen_core.data.audit import IdentityAudit
from qcen_core.data.clip_dataset import ClipDataset
from qcen_core.data.labels import BoxLabels, TrackLabels
from qcen_core.data.shared_arrays import FrameRows, SharedTexts, SharedVideos
from qcen_core.records import BoxDataset, Category, FrameBoxes, ObjectTrack, Rle, TrackDataset, VideoRecord

CATEGORIES = (Category(1, "cat"),)


@settings(max_examples=50)
@given(texts=st.lists(st.text(max_size=9), max_size=7))
def test_texts_come_back(texts):
    kept = SharedTexts(texts)
    assert [kept[i] for i in range(len(kept))] == texts


def test_videos_come_back():
    videos = [VideoRecord(3, "größe", 7, 11, ("a/0.jpg", "a/1.jpg")), VideoRecord(5, "b", 13, 17, ("b.jpg",))]
    kept = SharedVideos(videos)
    assert len(kept) == 2
    for index, video in enumerate(videos):
        assert kept.name(index) == video.name
        assert kept.size(index) == (video.height, video.width)
        assert tuple(kept.frame_file(index, t) for t in range(len(kept.frames(index)))) == video.frame_files
    with pytest.raises(IndexError):
        kept.frame_file(1, 1)


def test_rows_are_those_of_their_frame_in_the_order_given():
    frames = np.array([4, 0, 4, 2, 0, 4])
    rows = FrameRows(frames, 6, value=np.arange(6) * 10)
    assert [rows.column("value", frame).tolist() for frame in range(6)] == [[10, 40], [], [30], [], [0, 20, 50], []]
    rows.column("value", 4)[:] = 0  # a copy: what a loader does to it stays with the loader
    assert rows.column("value", 4).tolist() == [0, 20, 50]


def large_sets(frames):
    """The same labels as a box-only set and as tracks with masks."""
    files = tuple(f"a folder with a long name/{t:05d}.jpg" for t in range(frames))
    boxes = [(float(t % 7), 1.0, float(t % 7) + 9, 8.0) for t in range(frames)]
    labels = tuple(
        FrameBoxes(np.array([box], np.float32), np.zeros(1, np.int64), np.zeros(1, np.bool_)) for box in boxes
    )
    mask = Rle(size=[61, 97], counts="5" * 40)
    track = ObjectTrack(1, 1, 0, tuple(boxes), (mask,) * frames)
    video = VideoRecord(1, "v", 61, 97, files)
    boxed = VideoRecord(1, "v", 61, 97, files, labels)
    return BoxDataset("zoo", Path(), CATEGORIES, (boxed,)), TrackDataset(CATEGORIES, (video,), (track,))


@pytest.mark.parametrize("level", ["box", "mask+id"])
def test_what_goes_to_a_loader_process_does_not_grow_with_the_data_set(level):
    def size(frames):
        boxes, tracks = large_sets(frames)
        labels = BoxLabels(boxes) if level == "box" else TrackLabels(tracks, masks=True, identities=True)
        dataset = ClipDataset(labels, Path(), DataConfig(), IdentityAudit(tracks))
        return len(ForkingPickler.dumps(dataset))

    assert size(3000) < size(30) + 100


def test_a_loader_process_sees_the_same_memory():
    boxes, _ = large_sets(30)
    labels = BoxLabels(boxes)
    before = labels.frame(0, 3).boxes.tolist()
    copy = ForkingPickler.loads(ForkingPickler.dumps(labels))
    assert copy.frame(0, 3).boxes.tolist() == before
    copy._rows._columns["boxes"].fill_(5)
    assert labels.frame(0, 3).boxes.tolist() == [[5, 5, 5, 5]]
