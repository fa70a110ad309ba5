"""Inference from Python: what it yields frame by frame, and what `supervision` makes of it."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from color_segmenter import CATEGORIES, COLORS, color_checkpoint
from test_infer_runs import LENGTH, frame_lines, scene, write_video

import qcen_core
from qcen_core.errors import InputError
from qcen_core.inference.infer import infer_to_folder
from qcen_core.inference.options import InferOptions


def test_frames_come_with_their_arrays(tmp_path):
    source = write_video(tmp_path / "clip.mp4")
    frames = list(qcen_core.infer(source, color_checkpoint()))
    assert [frame.index for frame in frames] == list(range(LENGTH))
    assert [float(frame.time) for frame in frames] == pytest.approx([t / 7 for t in range(LENGTH)])
    for t, frame in enumerate(frames):
        assert frame.image.shape == scene(t).shape
        assert (frame.video, frame.class_names) == ("clip", tuple(category.name for category in CATEGORIES))
        assert set(frame.names) == ({"red", "green"} if 2 <= t <= 4 or t >= 7 else {"red"})
        assert frame.masks.shape == (len(frame), *frame.image.shape[:2])
        for name, track, mask, box in zip(frame.names, frame.track_ids, frame.masks, frame.boxes, strict=True):
            truth = (scene(t) == COLORS[name]).all(-1)
            assert (mask & truth).sum() / (mask | truth).sum() > 0.8
            assert track == {"red": 1, "green": 2}[name]
            rows, columns = np.nonzero(mask)
            np.testing.assert_array_equal(box, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))


def test_the_same_is_found_as_the_command_finds(tmp_path, monkeypatch):
    monkeypatch.setattr("qcen_core.inference.infer.load_checkpoint", lambda *_: color_checkpoint())
    source, options = write_video(tmp_path / "clip.mp4"), InferOptions(confidence=0.5, classes=("red",), stride=2)
    infer_to_folder(source, weights="w", out=tmp_path / "out", options=options)
    logged = frame_lines(tmp_path / "out" / "frames.jsonl")
    for frame, line in zip(qcen_core.infer(source, color_checkpoint(), options=options), logged, strict=True):
        shown = [i for i in line["instances"] if i["class"] == "red" and i["score"] >= 0.5]
        assert frame.track_ids.tolist() == [i["track_id"] for i in shown]
        np.testing.assert_allclose(frame.scores, [i["score"] for i in shown], atol=1e-6)


def test_a_consumer_may_stop_early_and_the_video_is_closed(tmp_path):
    source = write_video(tmp_path / "clip.mp4")
    frames = qcen_core.infer(source, color_checkpoint())
    assert [frame.index for frame in itertools.islice(frames, 3)] == [0, 1, 2]
    frames.close()


def test_nothing_found_is_arrays_without_rows(tmp_path):
    source = write_video(tmp_path / "clip.mp4", 1)
    (frame,) = qcen_core.infer(source, color_checkpoint(), options=InferOptions(confidence=1.0))
    assert (len(frame), frame.boxes.shape, frame.masks.shape, frame.names) == (0, (0, 4), (0, 66, 102), ())


def test_wrong_use_is_named(tmp_path):
    with pytest.raises(InputError, match="stride"):
        next(qcen_core.infer("x.mp4", color_checkpoint(), options=InferOptions(stride=0)))
    with pytest.raises(InputError, match=r"x\.mp4"):
        next(qcen_core.infer(tmp_path / "x.mp4", color_checkpoint()))
    with pytest.raises(InputError, match=r"none\.safetensors"):
        next(qcen_core.infer("x.mp4", Path("none.safetensors")))


@pytest.mark.filterwarnings("ignore")  # of the package, while it is imported
def test_supervision_takes_the_objects_of_a_frame(tmp_path):
    import supervision

    frames = list(qcen_core.infer(write_video(tmp_path / "clip.mp4", 3), color_checkpoint()))
    detections = qcen_core.to_supervision(frames[2])
    assert len(detections) == 2
    np.testing.assert_array_equal(detections.tracker_id, frames[2].track_ids)
    np.testing.assert_array_equal(detections.area, frames[2].masks.sum((1, 2)))
    last_pixels = detections.xyxy - np.array([0, 0, 1, 1])
    np.testing.assert_array_equal(last_pixels, supervision.mask_to_xyxy(detections.mask))
    assert sorted(detections["class_name"]) == ["green", "red"]
    drawn = supervision.MaskAnnotator().annotate(frames[2].image.copy(), detections)
    assert (drawn != frames[2].image).any()
    nothing = list(qcen_core.infer(tmp_path / "clip.mp4", color_checkpoint(), options=InferOptions(confidence=1.0)))
    assert len(qcen_core.to_supervision(nothing[0])) == 0
