"""The example labels: every format is prepared by the command that its page names, and all hold the same boxes."""

import re
import shlex
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from qcen_core.boxfile import read_boxes
from qcen_core.conversion.prepare import prepare
from qcen_core.errors import InputError
from qcen_core.prepared import read_prepared
from qcen_core.trackfile import read_annotations

MAIN = Path(__file__).resolve().parents[4]
FORMATS = ("youtubevis", "cvat", "labelstudio", "mot", "yolo", "coco", "coco_vid")
CLASSES = {"circle", "square", "triangle", "star", "cross"}
LENGTH = 6
TOLERANCE = 0.02  # pixels
TRUTH = read_annotations(MAIN / "examples" / "youtubevis" / "instances.json")


def command_of(form):
    """Annotations and frames of the command that the format's page names."""
    page = (MAIN / "examples" / form / "README.md").read_text()
    (command,) = re.findall(r"^qcen prepare .*", page, flags=re.MULTILINE)
    program, verb, annotations, option, frames = shlex.split(command)
    assert (program, verb, option) == ("qcen", "prepare", "--frames")
    assert annotations.startswith(f"examples/{form}")
    return {"annotations": Path(annotations), "frames": Path(frames)}


def true_labels(videos):
    """Frame file -> its class names and boxes."""
    name_of = {video.id: video.name for video in TRUTH.videos}
    files = {video.id: video.frame_files for video in TRUTH.videos if video.name in videos}
    labels = {(MAIN / "examples" / "frames" / file).resolve(): [] for group in files.values() for file in group}
    for track in TRUTH.tracks:
        if name_of[track.video_id] in videos:
            for file, box in zip(files[track.video_id], track.boxes, strict=True):
                if box is not None:
                    place = (MAIN / "examples" / "frames" / file).resolve()
                    labels[place].append((TRUTH.categories[track.class_id].name, box))
    return labels


def require_same(found, expected):
    """Each of the labels has a partner of its own."""
    assert sorted(name for name, _ in found) == sorted(name for name, _ in expected)
    left = list(expected)
    for name, box in found:
        fits = [label for label in left if label[0] == name and np.abs(np.subtract(label[1], box)).max() < TOLERANCE]
        assert fits, f"{name} {box}"
        left.remove(fits[0])


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.chdir(MAIN)
    return tmp_path / "data"


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_labels(out, form):
    videos = {"harbour"} if form == "cvat" else {"harbour", "meadow"}
    expected = true_labels(videos)
    report = prepare(out=out, **command_of(form))
    assert (report.videos, report.frames) == (len(videos), LENGTH * len(videos))
    assert (report.dropped, set(report.categories)) == ({}, CLASSES)
    assert report.boxes == sum(map(len, expected.values())) == (12 if form == "cvat" else 39)
    assert report.density.unlabelled == 0
    assert {p.kind for p in report.problems} <= {"unused category"}
    prepared = read_prepared(out)
    found = defaultdict(list)
    for split in prepared.splits.values():
        for video in read_boxes(split.boxes, prepared.frames_root).videos:
            assert video.name in videos
            assert (video.height, video.width) == (96, 160)
            for file, labels in zip(video.frame_files, video.labels, strict=True):
                assert labels.labelled
                assert not labels.ignore.any()
                names = [prepared.categories[class_id].name for class_id in labels.class_ids]
                found[(prepared.frames_root / file).resolve()] += zip(names, labels.boxes.tolist(), strict=True)
    assert set(found) <= set(expected)
    for place, labels in expected.items():
        require_same(found[place], labels)


@pytest.mark.parametrize("form", FORMATS)
def test_formats_that_know_identities_agree_on_them(out, form):
    options = {"out": out, "holdout": 0, "keep_ids": True, **command_of(form)}
    if form == "coco":
        with pytest.raises(InputError, match="no identity"):
            prepare(**options)
        assert not out.exists()
        return
    prepare(**options)
    tracks = read_annotations(out / "train_strong.json")
    name_of = {video.id: video.name for video in tracks.videos}
    true_name_of = {video.id: video.name for video in TRUTH.videos}
    left = [track for track in TRUTH.tracks if true_name_of[track.video_id] in name_of.values()]
    assert len(tracks.tracks) == len(left)
    for track in tracks.tracks:
        (same,) = [
            other
            for other in left
            if true_name_of[other.video_id] == name_of[track.video_id]
            and TRUTH.categories[other.class_id].name == tracks.categories[track.class_id].name
            and all(
                (a is None) == (b is None) and (a is None or np.abs(np.subtract(a, b)).max() < TOLERANCE)
                for a, b in zip(track.boxes, other.boxes, strict=True)
            )
        ]
        left.remove(same)
    assert left == []


def test_one_object_leaves_the_picture_and_its_frames_still_count_as_labelled():
    seen = [[box is not None for box in track.boxes] for track in TRUTH.tracks]
    assert len(seen) == 7
    assert [True] * 3 + [False] * 3 in seen
    assert sum(map(sum, seen)) == 39


@pytest.mark.parametrize("form", FORMATS)
def test_a_mere_check_finds_nothing_wrong(out, form):
    report = prepare(out=out, check_only=True, **command_of(form))
    assert (report.dropped, report.out) == ({}, None)
    assert not out.exists()
