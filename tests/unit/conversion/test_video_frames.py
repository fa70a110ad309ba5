import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_video import HEIGHT, WIDTH, grey_of, make_video

from qcen_core.boxfile import read_boxes
from qcen_core.conversion.frame_library import FoundVideo, FrameLibrary
from qcen_core.conversion.prepare import prepare
from qcen_core.conversion.video_frames import require_alike, write_video_frames
from qcen_core.errors import InputError
from qcen_core.prepared import read_prepared
from qcen_core.video.frame_folder import read_image

FRAMES = 6
# Per cent of the frame at each frame, and the boxes in pixels that they are.
SHARES = [(10 + index, 20, 25, 50 - 2 * index) for index in range(FRAMES)]


def pixels(share, height=HEIGHT, width=WIDTH):
    x, y, wide, high = (value / 100 for value in share)
    return (x * width, y * height, (x + wide) * width, (y + high) * height)


def cvat(path, videos, height=HEIGHT, width=WIDTH):
    """CVAT knows one video a task; several come as a project."""
    tasks, tracks = "", ""
    for number, name in enumerate(videos):
        tasks += f"<task><id>{number}</id><name>{name}</name><size>{FRAMES}</size></task>"
        boxes = ""
        for frame, share in enumerate(SHARES):
            x1, y1, x2, y2 = pixels(share, height, width)
            boxes += (
                f'<box frame="{frame}" outside="0" keyframe="1" '
                f'xtl="{x1:.2f}" ytl="{y1:.2f}" xbr="{x2:.2f}" ybr="{y2:.2f}"/>'
            )
        tracks += f'<track id="{number}" label="cat" task_id="{number}">{boxes}</track>'
    labels = "<labels><label><name>cat</name></label></labels>"
    meta = f"<project><tasks>{tasks}</tasks>{labels}</project>"
    path.write_text(f"<annotations><version>1.1</version><meta>{meta}</meta>{tracks}</annotations>")
    return path


def labelstudio(path, videos):
    def task(number, name):
        sequence = [
            {"frame": frame + 1, "enabled": True, "rotation": 0, "x": x, "y": y, "width": wide, "height": high}
            for frame, (x, y, wide, high) in enumerate(SHARES)
        ]
        value = {"framesCount": FRAMES, "sequence": sequence, "labels": ["cat"]}
        region = {"id": "r", "type": "videorectangle", "value": value}
        data = {"video": f"/data/upload/1/3fa9c81e-{name}.mp4"}
        return {"id": number, "data": data, "annotations": [{"id": 1, "result": [region]}]}

    path.write_text(json.dumps([task(number, name) for number, name in enumerate(videos, start=1)]))
    return path


WRITERS = [cvat, labelstudio]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("single", [True, False])
def test_frames_of_video_files_are_written_into_the_data_set(tmp_path, write, single):
    names = ["pond"] if single else ["pond", "lake"]
    files = [make_video(tmp_path / "videos" / f"{name}.mp4", FRAMES) for name in names]
    path = write(tmp_path / "labels", names)
    calls = []
    report = prepare(
        annotations=path,
        frames=files[0] if single else tmp_path / "videos",
        out=tmp_path / "zoo",
        holdout=0.5,
        on_progress=lambda *done: calls.append(done),
    )
    assert (report.videos, report.frames, report.boxes) == (len(names), 6 * len(names), 6 * len(names))
    assert report.dropped == {}
    assert any("read as" in note for note in report.notes)
    assert calls[: len(names)] == [(i + 1, len(names)) for i in range(len(names))]
    prepared = read_prepared(tmp_path / "zoo")
    assert prepared.frames_root == tmp_path / "zoo" / "frames"
    written = sorted(path.relative_to(tmp_path / "zoo").as_posix() for path in prepared.frames_root.rglob("*.jpg"))
    assert written == sorted(f"frames/{name}/{index:06d}.jpg" for name in names for index in range(FRAMES))
    seen = 0
    for split in prepared.splits.values():
        for video in read_boxes(split.boxes, prepared.frames_root).videos:
            seen += 1
            assert (video.height, video.width) == (HEIGHT, WIDTH)
            for index, (file, labels) in enumerate(zip(video.frame_files, video.labels, strict=True)):
                image = read_image(prepared.frames_root / file).astype(int)
                assert image.shape == (HEIGHT, WIDTH, 3)
                assert np.abs(image[20:, 30:] - grey_of(index)).max() <= 5
                assert np.abs(image[2:12, 2:20] - (230, 20, 20)).max() <= 14
                np.testing.assert_allclose(labels.boxes, [pixels(SHARES[index])], atol=0.02)
    assert seen == len(names)
    assert not list(tmp_path.glob(".*"))


def test_turned_videos_are_written_upright(tmp_path):
    file = make_video(tmp_path / "pond.mp4", FRAMES, rotation=90)
    prepare(annotations=cvat(tmp_path / "a.xml", ["pond"], WIDTH, HEIGHT), frames=file, out=tmp_path / "zoo", holdout=0)
    (video,) = read_boxes(tmp_path / "zoo" / "train.json", tmp_path / "zoo" / "frames").videos
    assert (video.height, video.width) == (WIDTH, HEIGHT)
    assert read_image(tmp_path / "zoo" / "frames" / video.frame_files[0]).shape == (WIDTH, HEIGHT, 3)
    np.testing.assert_allclose(video.labels[3].boxes, [pixels(SHARES[3], WIDTH, HEIGHT)], atol=0.02)


@pytest.mark.parametrize("write", WRITERS)
def test_an_mp4_that_is_cut_off_is_refused_and_nothing_is_left(tmp_path, write):
    file = make_video(tmp_path / "videos" / "pond.mp4", FRAMES)
    file.write_bytes(file.read_bytes()[:-200])
    path = write(tmp_path / "labels", ["pond"])
    before = sorted(tmp_path.rglob("*"))
    for skip_bad in (False, True):
        with pytest.raises(InputError) as caught:
            prepare(annotations=path, frames=file, out=tmp_path / "zoo", skip_bad=skip_bad)
        assert caught.value.place == str(file)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("write", WRITERS)
def test_labels_beyond_the_end_of_a_video_that_breaks_off_are_told(tmp_path, write):
    file = make_video(tmp_path / "videos" / "pond.avi", FRAMES)
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.rindex(b"00dc", 0, len(whole) * 3 // 4)])
    left = len(FrameLibrary(file).only().files)
    assert 0 < left < FRAMES
    path = write(tmp_path / "labels", ["pond"])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError):
        prepare(annotations=path, frames=file, out=tmp_path / "zoo", holdout=0)
    assert sorted(tmp_path.rglob("*")) == before
    report = prepare(annotations=path, frames=file, out=tmp_path / "zoo", holdout=0, skip_bad=True)
    assert (report.frames, report.boxes) == (left, left)
    assert sum(report.dropped.values()) >= 1


@pytest.mark.parametrize("at", [(1, 2), (2, 2)])
@pytest.mark.parametrize("phase", ["writing", "checking"])
@pytest.mark.parametrize("there", [False, True])
def test_an_interrupted_call_leaves_everything_as_it_was(tmp_path, at, phase, there):
    for name in ("pond", "lake"):
        make_video(tmp_path / "videos" / f"{name}.mp4", FRAMES)
    options = {"annotations": cvat(tmp_path / "a.xml", ["pond", "lake"]), "frames": tmp_path / "videos"}
    if there:
        prepare(out=tmp_path / "zoo", **options)
    before = {path: path.read_bytes() if path.is_file() else None for path in tmp_path.rglob("*")}
    seen = []

    def interrupt(*done):
        seen.append(done)
        if seen.count(at) == (1 if phase == "writing" else 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(out=tmp_path / "zoo", overwrite=there, on_progress=interrupt, **options)
    assert {path: path.read_bytes() if path.is_file() else None for path in tmp_path.rglob("*")} == before


def test_a_mere_check_leaves_no_pictures(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    make_video(tmp_path / "videos" / "pond.mp4", FRAMES)
    path = cvat(tmp_path / "a.xml", ["pond"])
    before = sorted(tmp_path.rglob("*"))
    report = prepare(annotations=path, frames=tmp_path / "videos", out=tmp_path / "zoo", check_only=True)
    assert (report.boxes, report.dropped, report.out) == (6, {}, None)
    assert sorted(tmp_path.rglob("*")) == before


def test_video_files_and_folders_of_pictures_are_not_mixed(tmp_path):
    file = FoundVideo("lake", 31, 53, ("lake/000000.jpg",), Path("lake.mp4"))
    folder = FoundVideo("pond", 31, 53, ("pond/0.png",))
    assert not require_alike([], tmp_path)
    assert not require_alike([folder, folder], tmp_path)
    assert require_alike([file, file], tmp_path)
    with pytest.raises(InputError, match="lake") as caught:
        require_alike([folder, file], tmp_path)
    assert caught.value.place == str(tmp_path)
    make_video(tmp_path / "videos" / "lake.mp4", FRAMES)
    (tmp_path / "videos" / "pond").mkdir()
    for index in range(FRAMES):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "videos" / "pond" / f"{index}.png")
    path = cvat(tmp_path / "a.xml", ["lake", "pond"])
    with pytest.raises(InputError, match="some are folders of pictures"):
        prepare(annotations=path, frames=tmp_path / "videos", out=tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


def test_a_file_that_changes_between_two_readings(tmp_path):
    found = FrameLibrary(make_video(tmp_path / "pond.mp4", 3)).only()
    write_video_frames([found], tmp_path / "frames", None)
    assert len(list((tmp_path / "frames" / "pond").iterdir())) == 3
    longer = replace(found, files=(*found.files, "pond/000003.jpg"))
    with pytest.raises(InputError, match="3 frames could be decoded, 4 before"):
        write_video_frames([longer], tmp_path / "frames", None)
    with pytest.raises(ValueError, match="not a video file"):
        write_video_frames([replace(found, video_file=None)], tmp_path / "frames", None)
