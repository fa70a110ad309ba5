"""True identities found again by box and category, and carried beside the labels through every change of a clip."""

import numpy as np
import pytest
import torch

from qcen_core.config import DataConfig
from qcen_core.data.audit import UNKNOWN, IdentityAudit, tells_identities
from qcen_core.data.augmentation import Clip, augment_clip, crop_clip, flip_clip, resize_clip
from qcen_core.records import Category, ObjectTrack, TrackDataset, VideoRecord

VIDEOS = tuple(VideoRecord(n, name, 37, 53, ("a.png", "b.png")) for n, name in ((3, "pond"), (4, "road")))


def track(number, video, class_id, *boxes, crowd=False):
    return ObjectTrack(number, video, class_id, boxes, None, crowd)


TRACKS = (
    track(11, 3, 0, (1.0, 2.0, 9.0, 12.0), (3.0, 2.0, 11.0, 12.0)),
    track(12, 3, 1, (1.0, 2.0, 9.0, 12.0), None),  # the same box, another category
    track(13, 3, 0, None, (20.0, 20.0, 30.0, 31.0)),
    track(14, 4, 0, (1.0, 2.0, 9.0, 12.0), None),
    track(15, 3, 0, (20.0, 20.0, 30.0, 31.0), None, crowd=True),
)


@pytest.fixture
def audit():
    return IdentityAudit(TrackDataset((Category(1, "cat"), Category(2, "dog")), VIDEOS, TRACKS))


def ids_of(audit, video, time, *labels):
    boxes = np.array([label[:4] for label in labels], np.float32).reshape(-1, 4)
    return audit.track_ids(video, time, boxes, np.array([label[4] for label in labels], np.int64)).tolist()


def test_labels_find_their_track_by_box_and_category_in_any_order(audit):
    assert ids_of(audit, "pond", 0, (1, 2, 9, 12, 1), (1, 2, 9.0001, 12, 0)) == [12, 11]
    assert ids_of(audit, "pond", 1, (20, 20, 30, 31, 0), (3, 2, 11, 12, 0)) == [13, 11]
    assert ids_of(audit, "road", 0, (1, 2, 9, 12, 0)) == [14]
    assert ids_of(audit, "pond", 0) == []


def test_what_is_not_sure_is_not_known(audit):
    assert ids_of(audit, "road", 1, (1, 2, 9, 12, 0)) == [UNKNOWN]
    assert ids_of(audit, "sea", 0, (1, 2, 9, 12, 0)) == [UNKNOWN]
    assert ids_of(audit, "pond", 0, (1.5, 2, 9, 12, 0)) == [UNKNOWN]
    assert ids_of(audit, "pond", 0, (20, 20, 30, 31, 0)) == [UNKNOWN]  # a crowd
    assert ids_of(audit, "pond", 0, (1, 2, 9, 12, 0), (1, 2, 9, 12, 0)) == [UNKNOWN, UNKNOWN]


def test_tracks_of_single_frames_tell_no_identity():
    assert tells_identities(TrackDataset((), VIDEOS, TRACKS))
    assert not tells_identities(TrackDataset((), VIDEOS, TRACKS[1:]))


def clip_with_audit(count=7):
    """The number of each label's track is written in its class, so that whoever mixes them up is found out."""
    generator = torch.Generator().manual_seed(2)
    corner = torch.rand(2, count, 2, generator=generator) * torch.tensor([40.0, 26.0])
    boxes = torch.cat((corner, corner + 9), dim=2)
    labels = torch.stack([torch.randperm(count, generator=generator) for _ in range(2)])
    images = torch.zeros(2, 3, 37, 53, dtype=torch.uint8)
    return Clip(images, tuple(boxes), tuple(labels), None, None, (0, 1), "pond", tuple(labels + 100))


def test_a_clip_keeps_track_of_its_labels_through_every_change():
    config = DataConfig(crop_scale=0.3, short_sides=(31, 41), flip=0.5, color_jitter=0.2)
    lost = 0
    for seed in range(5):
        changed = augment_clip(clip_with_audit(), config, np.random.default_rng(seed))
        assert all(torch.equal(ids, labels + 100) for ids, labels in zip(changed.audit, changed.labels, strict=True))
        lost += 14 - sum(len(ids) for ids in changed.audit)
    assert lost > 0


def test_a_clip_without_audit_stays_without():
    clip = resize_clip(flip_clip(clip_with_audit()), (20, 30))
    assert clip.audit is not None
    bare = Clip(clip.images, clip.boxes, clip.labels, None, None, clip.times, clip.source)
    assert crop_clip(bare, np.array([0.5, 0.5]), np.array([0.5, 0.5])).audit is None
