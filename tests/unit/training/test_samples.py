"""The picture of hold-out videos: what is on it, when there is none, and that it is whole or not there."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from qcen_core.conversion.prepare import prepare
from qcen_core.errors import InputError
from qcen_core.prepared import read_prepared
from qcen_core.records import TrackResult
from qcen_core.resultfile import write_results
from qcen_core.trackfile import read_annotations, write_annotations
from qcen_core.training.samples import FRAME_WIDTH, draw_samples


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    out = tmp_path_factory.mktemp("sets") / "shapes"
    prepare(out=out, dataset="shapes", clips=1, holdout_clips=3, size=(64, 96), length=7)
    return read_prepared(out)


@pytest.fixture
def truth(prepared):
    return read_annotations(prepared.splits["holdout"].ground_truth)


def results_file(path, truth, score=0.9):
    """Results that find every object of the truth, all with one score."""
    found = [TrackResult(t.video_id, t.id, t.class_id, score, t.segmentations) for t in truth.tracks]
    write_results(found, truth.categories, path)
    return path


def with_truth(prepared, truth, path):
    """The data set with another ground truth of its hold-out split."""
    write_annotations(truth, path)
    splits = prepared.splits | {"holdout": replace(prepared.splits["holdout"], ground_truth=path)}
    return replace(prepared, splits=splits)


def rows(picture):
    """Rows of frames that a picture shows: bands that are not of one colour all along."""
    busy = (picture.std(axis=1) > 4).mean(axis=1) > 0
    tall = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], busy, [0]]))))[::2]
    return int((tall > FRAME_WIDTH / 2).sum())


def test_truth_stands_above_what_was_found(prepared, truth, tmp_path):
    out = tmp_path / "samples" / "step-000500.jpg"
    assert draw_samples(results_file(tmp_path / "results.json", truth), prepared, "holdout", 2, out) == out
    picture = cv2.imread(str(out))
    assert rows(picture) == 4
    assert 4 * FRAME_WIDTH < picture.shape[1] < 4.5 * FRAME_WIDTH
    assert [file.name for file in out.parent.iterdir()] == [out.name]


def test_what_is_hardly_believed_is_not_drawn(prepared, truth, tmp_path):
    pictures = []
    for score in (0.9, 0.1):
        out = tmp_path / f"{score}.jpg"
        draw_samples(results_file(tmp_path / "results.json", truth, score), prepared, "holdout", 1, out)
        pictures.append(cv2.imread(str(out)).astype(int))
    changed = np.abs(pictures[0] - pictures[1]).max(axis=(1, 2)) > 60
    half = len(changed) // 2
    assert not changed[:half].any()
    assert changed[half:].mean() > 0.2


def test_the_same_videos_at_every_call(prepared, truth, tmp_path):
    results = results_file(tmp_path / "results.json", truth)
    drawn = [draw_samples(results, prepared, "holdout", 2, tmp_path / name) for name in ("a.jpg", "b.jpg")]
    assert drawn[0].read_bytes() == drawn[1].read_bytes()
    everything = draw_samples(results, prepared, "holdout", 17, tmp_path / "c.jpg")
    height = cv2.imread(str(drawn[0])).shape[0]
    assert cv2.imread(str(everything)).shape[0] == 3 * height // 2


def test_videos_of_few_frames_stand_beside_longer_ones(prepared, truth, tmp_path):
    first, *others = truth.videos
    tracks = [track for track in truth.tracks if track.video_id != first.id]
    shorter = replace(truth, videos=(replace(first, frame_files=first.frame_files[:2]), *others), tracks=tuple(tracks))
    data = with_truth(prepared, shorter, tmp_path / "truth.json")
    results = results_file(tmp_path / "results.json", shorter)
    picture = cv2.imread(str(draw_samples(results, data, "holdout", 2, tmp_path / "a.jpg")))
    assert rows(picture) == 4
    assert picture[: len(picture) // 2, 3 * FRAME_WIDTH :].std() < 1


def test_ground_truth_of_boxes_only(prepared, truth, tmp_path):
    boxes = replace(truth, tracks=tuple(replace(track, segmentations=None) for track in truth.tracks))
    data = with_truth(prepared, boxes, tmp_path / "truth.json")
    results = results_file(tmp_path / "results.json", truth)
    assert rows(cv2.imread(str(draw_samples(results, data, "holdout", 1, tmp_path / "a.jpg")))) == 2


def test_nothing_to_draw(prepared, truth, tmp_path):
    results, out = results_file(tmp_path / "results.json", truth), tmp_path / "new" / "a.jpg"
    assert draw_samples(results, prepared, "elsewhere", 4, out) is None
    assert draw_samples(results, prepared, "train", 4, out) is None  # it has no ground truth to evaluate against
    assert draw_samples(results, prepared, "holdout", 0, out) is None
    empty = with_truth(prepared, replace(truth, videos=(), tracks=()), tmp_path / "truth.json")
    assert draw_samples(results, empty, "holdout", 4, out) is None
    assert not out.parent.exists()


def test_an_older_picture_stays_if_there_can_be_no_new_one(prepared, truth, tmp_path):
    out = tmp_path / "a.jpg"
    out.write_bytes(b"older")
    (tmp_path / "results.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="not a results file"):
        draw_samples(tmp_path / "results.json", prepared, "holdout", 1, out)
    results = results_file(tmp_path / "results.json", truth)
    with pytest.raises(InputError):
        draw_samples(results, replace(prepared, frames_root=tmp_path / "gone"), "holdout", 1, out)
    assert out.read_bytes() == b"older"
    assert {file.name for file in tmp_path.iterdir()} == {"a.jpg", "results.json"}
