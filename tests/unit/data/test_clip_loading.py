"""From frame files to batches: decoding, padding, levels, processes, and files that will not do."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from qcen_core.config import DataConfig
from qcen_core.data.augmentation import Clip
from qcen_core.data.clip_dataset import ClipDataset, read_frame
from qcen_core.data.clip_sampling import ClipDraw
from qcen_core.data.labels import BoxLabels, TrackLabels
from qcen_core.data.loader import batches, collate
from qcen_core.data.shared_arrays import SharedVideos
from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.records import BoxDataset, Category, FrameBoxes, ObjectTrack, TrackDataset, VideoRecord

CATEGORIES = (Category(1, "cat"),)
SIZE = (37, 53)
PLAIN = DataConfig(short_sides=(37,), flip=0.0, clip_frames=2, frame_range=3, clips_per_step=2, workers=0)


def write_frames(root, name, count, size=SIZE, suffix="png"):
    (root / name).mkdir()
    files = []
    for t in range(count):
        image = np.full((*size, 3), (10, 20 * t, 200), np.uint8)  # red 10, green tells the time, blue 200
        files.append(f"{name}/{t:03d}.{suffix}")
        cv2.imwrite(str(root / files[-1]), image[..., ::-1])
    return tuple(files)


def one_box(labelled=True):
    count = int(labelled)
    return FrameBoxes(
        np.array([[3, 5, 17, 29]] * count, np.float32).reshape(-1, 4),
        np.zeros(count, np.int64),
        np.zeros(count, bool),
        labelled,
    )


def box_set(root, lengths=(4, 5, 1), labelled=lambda _video, _time: True, suffix="png"):
    videos = []
    for index, length in enumerate(lengths):
        labels = tuple(one_box(labelled(index, t)) for t in range(length))
        files = write_frames(root, f"v{index}", length, suffix=suffix)
        videos.append(VideoRecord(index + 1, f"video {index}", *SIZE, files, labels))
    return BoxDataset("zoo", root, CATEGORIES, tuple(videos))


def clip_dataset(root, config=PLAIN, **arguments):
    return ClipDataset(BoxLabels(box_set(root, **arguments)), root, config)


def load(dataset, config=PLAIN, **arguments):
    return [loaded.batch for loaded in load_all(dataset, config, **arguments)]


def load_all(dataset, config=PLAIN, **arguments):
    return list(batches(dataset, config, **({"first": 0, "last": 3, "seed": 5} | arguments)))


def test_a_clip_holds_the_frames_that_its_times_say_in_rgb(tmp_path):
    clip = clip_dataset(tmp_path)[ClipDraw(1, (5, 0))]
    assert clip.images.shape == (2, 3, *SIZE)
    for image, time in zip(clip.images, clip.times, strict=True):
        assert image.flatten(1).unique(dim=1).flatten().tolist() == [10, 20 * time, 200]
    assert clip.boxes[0].tolist() == [[3, 5, 17, 29]]
    assert clip.masks is None
    assert clip.track_ids is None


def test_a_draw_gives_the_same_clip_again(tmp_path):
    config = PLAIN.model_copy(update={"flip": 0.5, "crop_scale": 0.5, "color_jitter": 0.3, "short_sides": (31, 41)})
    dataset = clip_dataset(tmp_path, config)
    one, again, other = (dataset[ClipDraw(0, (5, seed))] for seed in (3, 3, 4))
    assert one.times == again.times
    assert torch.equal(one.images, again.images)
    assert one.images.shape != other.images.shape or not torch.equal(one.images, other.images)


def test_unlabelled_frames_and_videos_are_never_drawn(tmp_path):
    def labelled(video, time):
        return video != 1 and time % 3 == 1

    dataset = clip_dataset(tmp_path, lengths=(8, 5, 2), labelled=labelled)
    assert dataset.videos == len(dataset) == 2
    drawn = {(clip.source, clip.times) for n in range(40) for clip in [dataset[ClipDraw(n % 2, (n,))]]}
    assert drawn == {("video 0", times) for times in [(1, 4), (4, 7)]} | {("video 2", (1, 1))}


def test_a_set_without_a_labelled_frame_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no video has a labelled frame"):
        clip_dataset(tmp_path, labelled=lambda _video, _time: False)


def clip_of(size, count, value, *, strong=False):
    masks = torch.zeros(count, *size, dtype=torch.bool)
    return Clip(
        images=torch.full((2, 3, *size), value, dtype=torch.uint8),
        boxes=tuple(torch.full((count, 4), 3.0) for _ in range(2)),
        labels=tuple(torch.arange(count) for _ in range(2)),
        masks=(masks, ~masks) if strong else None,
        track_ids=(torch.arange(count), torch.arange(count) + 5) if strong else None,
        times=(value, value + 2),
        source=f"clip {value}",
    )


def test_regions_to_ignore_reach_the_batch_and_are_no_labels(tmp_path):
    data = box_set(tmp_path, lengths=(2, 2))
    frames = [
        FrameBoxes(
            np.array([[3, 5, 17, 29], [20, 1, 40, 30]], np.float32), np.zeros(2, np.int64), np.array([False, True])
        )
        for _ in range(2)
    ]
    data = replace(data, videos=tuple(replace(video, labels=tuple(frames)) for video in data.videos))
    for batch in load(ClipDataset(BoxLabels(data), tmp_path, PLAIN)):
        for target in batch.targets:
            assert target.boxes.tolist() == [[3, 5, 17, 29]]
            assert target.ignored.tolist() == [[20, 1, 40, 30]]


def test_collate_pads_at_the_right_and_at_the_bottom():
    batch = collate([clip_of((37, 53), 3, 7), clip_of((65, 31), 0, 11)])
    assert batch.images.shape == (2, 2, 3, 96, 64)
    assert batch.valid[0].nonzero().amax(0).tolist() == [36, 52]
    assert batch.valid[1].nonzero().amax(0).tolist() == [64, 30]
    for b, value in enumerate((7, 11)):
        assert batch.valid[b].sum() == (37 * 53, 65 * 31)[b]
        assert (batch.images[b] == value * batch.valid[b]).all()
    assert batch.frame_times.tolist() == [[7, 9], [11, 13]]
    assert [len(target.labels) for target in batch.targets] == [3, 3, 0, 0]
    assert batch.strong is None
    assert batch.sources == ("clip 7", "clip 11")


def test_collate_takes_exact_multiples_as_they_are():
    assert collate([clip_of((64, 32), 1, 7)]).images.shape == (1, 2, 3, 64, 32)


def test_collate_keeps_masks_in_the_order_of_the_frames():
    batch = collate([clip_of((37, 53), 3, 7, strong=True), clip_of((65, 31), 0, 11, strong=True)])
    assert [tuple(m.shape) for m in batch.strong.masks] == [(3, 96, 64)] * 2 + [(0, 96, 64)] * 2
    assert not batch.strong.masks[0].any()
    assert torch.equal(batch.strong.masks[1][0], batch.valid[0])
    assert [ids.tolist() for ids in batch.strong.track_ids] == [[0, 1, 2], [5, 6, 7], [], []]


def test_a_box_batch_has_nothing_strong(tmp_path):
    loaded = load(clip_dataset(tmp_path))
    assert len(loaded) == 3
    assert all(batch.strong is None for batch in loaded)
    assert all(batch.images.shape == (2, 2, 3, 64, 64) for batch in loaded)
    for batch in loaded:
        corner = batch.images[..., 0, 0].flatten(0, 1)  # N, channels
        assert corner.tolist() == [[10, 20 * time, 200] for time in batch.frame_times.flatten().tolist()]


@pytest.mark.parametrize(("masks", "identities"), [(True, False), (False, True), (True, True)])
def test_a_strong_batch_has_what_its_level_has(tmp_path, masks, identities):
    files = write_frames(tmp_path, "v0", 3)
    drawn = np.zeros(SIZE, bool)
    drawn[5:29, 3:17] = True
    track = ObjectTrack(9, 1, 0, ((3.0, 5.0, 17.0, 29.0), None, None), (rle.encode(drawn), None, None))
    tracks = TrackDataset(CATEGORIES, (VideoRecord(1, "video", *SIZE, files),), (track,))
    dataset = ClipDataset(TrackLabels(tracks, masks=masks, identities=identities), tmp_path, PLAIN)
    batch = load(dataset, last=1)[0]
    assert (batch.strong.masks is not None, batch.strong.track_ids is not None) == (masks, identities)
    for frame, time in enumerate(batch.frame_times.flatten().tolist()):
        assert len(batch.targets[frame].labels) == (time == 0)
        if masks:
            assert batch.strong.masks[frame].shape == (int(time == 0), 64, 64)
            assert batch.strong.masks[frame].sum() == (24 * 14 if time == 0 else 0)
        if identities:
            assert batch.strong.track_ids[frame].tolist() == [9] * (time == 0)


def same(one, other):
    return torch.equal(one.images, other.images) and torch.equal(one.frame_times, other.frame_times)


def test_a_resumed_loader_goes_on_exactly_and_processes_change_nothing(tmp_path):
    dataset = clip_dataset(tmp_path)
    whole, rest = load(dataset, last=4), load(dataset, first=2, last=4)
    assert all(same(a, b) for a, b in zip(whole[2:], rest, strict=True))
    apart = load(dataset, PLAIN.model_copy(update={"workers": 1}), last=4)
    assert all(same(a, b) for a, b in zip(whole, apart, strict=True))


def damage(path: Path, kind):
    match kind:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "cut off":
            path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        case "text":
            path.write_text("no picture", encoding="utf-8")
        case "other size":
            cv2.imwrite(str(path), np.zeros((SIZE[1], SIZE[0], 3), np.uint8))


CAUSES = {
    "missing": "No such file",
    "empty": "cut off",
    "cut off": "cut off",
    "text": "not a picture",
    "other size": "the frame is 37 x 53 pixels, its record says 53 x 37",
}


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("kind", CAUSES)
def test_a_frame_that_will_not_do_is_a_one_line_error(tmp_path, kind, suffix):
    data = box_set(tmp_path, lengths=(3,), suffix=suffix)
    path = tmp_path / "v0" / f"001.{suffix}"
    damage(path, kind)
    with pytest.raises(InputError) as caught:
        read_frame(tmp_path, SharedVideos(data.videos), 0, 1)
    assert CAUSES[kind] in caught.value.cause
    assert f"{path} (video 'video 0', frame 1)" in caught.value.line()
    assert "\n" not in caught.value.line()
    assert "--check" in caught.value.hint
    assert read_frame(tmp_path, SharedVideos(data.videos), 0, 2).shape == (*SIZE, 3)


def test_a_whole_jpeg_with_a_thumbnail_or_a_tail_is_read(tmp_path):
    data = box_set(tmp_path, lengths=(1,), suffix="jpg")
    path = tmp_path / "v0" / "000.jpg"
    picture = path.read_bytes()
    thumbnail = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = picture[:2] + segment + picture[2:]
    path.write_bytes(whole + b"\x00tail")
    assert read_frame(tmp_path, SharedVideos(data.videos), 0, 0).shape == (*SIZE, 3)
    path.write_bytes(whole[:-9])
    with pytest.raises(InputError, match="cut off"):
        read_frame(tmp_path, SharedVideos(data.videos), 0, 0)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_missing_frame_is_the_same_error_through_a_loader_process(tmp_path, workers):
    dataset = clip_dataset(tmp_path, lengths=(1, 1))
    (tmp_path / "v1" / "000.png").unlink()
    with pytest.raises(InputError) as caught:
        load(dataset, PLAIN.model_copy(update={"workers": workers}))
    assert "v1/000.png (video 'video 1', frame 0)" in caught.value.line()
    assert "\n" not in caught.value.line()
    assert caught.value.hint
