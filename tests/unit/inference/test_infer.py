import csv
import json
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from color_segmenter import CATEGORIES, COLORS, color_checkpoint, draw_frame

from qcen_core.boxfile import write_boxes
from qcen_core.config import load_config
from qcen_core.errors import InputError, QcenError
from qcen_core.inference import infer as infer_module
from qcen_core.inference.infer import infer_to_folder, resume_infer
from qcen_core.inference.inputs import free_videos
from qcen_core.inference.options import InferOptions, choose_device, tracker_config
from qcen_core.inference.overlay_video import letterbox
from qcen_core.model.checkpoint import save_checkpoint
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.ops import rle
from qcen_core.prepared import PreparedData, PreparedSplit, write_prepared
from qcen_core.records import BoxDataset, Category, VideoRecord
from qcen_core.resultfile import read_results
from qcen_core.trackfile import read_annotations
from qcen_core.trackforms import convert
from qcen_core.trackforms.frame_log import logged_frame_count
from qcen_core.video.reader import open_source
from qcen_core.video.writer import VideoWriter
from qcen_core.visualization.overlay_painter import OverlayPainter

HEIGHT, WIDTH, LENGTH = 67, 103, 5
CSV_COLUMNS = ("frame", "time_s", "track_id", "class", "score", "x", "y", "w", "h", "area", "video")


@pytest.fixture(autouse=True)
def _segment_by_color(monkeypatch):
    monkeypatch.setattr(infer_module, "load_checkpoint", lambda *_: color_checkpoint())


def scene(t: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Red in every frame, moving right; green from frame 2 on."""
    squares = {"red": (5 + 7 * t, 9, 26 + 7 * t, 31)}
    if t >= 2:
        squares["green"] = (61, 37, 83, 59)
    return draw_frame(height, width, squares)


def write_frames(folder: Path, images) -> tuple[str, ...]:
    folder.mkdir(parents=True)
    files = [f"{index:05d}.png" for index in range(len(images))]
    for name, image in zip(files, images, strict=True):
        cv2.imwrite(str(folder / name), image[..., ::-1])
    return tuple(files)


def folder_source(tmp_path: Path, images=None) -> Path:
    write_frames(tmp_path / "clip", [scene(t) for t in range(LENGTH)] if images is None else images)
    return tmp_path / "clip"


def video_source(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, height=66, width=102, frame_rate=Fraction(7), time_base=Fraction(1, 7000)) as writer:
        for t in range(LENGTH):
            writer.write(scene(t, 66, 102), Fraction(t, 7))
    return path


def prepared_source(tmp_path: Path, names=("green", "gull", "red"), sizes=((67, 103), (61, 89))) -> Path:
    root = tmp_path / "prepared"
    categories = tuple(Category(3 + 4 * i, name) for i, name in enumerate(names))
    videos = []
    for number, (height, width) in enumerate(sizes):
        files = write_frames(root / "frames" / f"v{number}", [scene(t, height, width) for t in range(3 + number)])
        files = tuple(f"v{number}/{file}" for file in files)
        videos.append(VideoRecord(5 + 2 * number, f"v{number}", height, width, files))
    write_boxes(BoxDataset("prepared", root / "frames", categories, tuple(videos)), root / "holdout.json")
    truth = root / "holdout_gt.json"
    split = PreparedSplit(root / "holdout.json", None, truth, tuple(video.name for video in videos))
    created = datetime.now(UTC).isoformat()
    write_prepared(
        PreparedData(root, "prepared", root / "frames", categories, {"holdout": split}, "test", 0, created, "")
    )
    return root


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_frame_folder_end_to_end(tmp_path):
    source, out, progress = folder_source(tmp_path), tmp_path / "out" / "deep", []
    report = infer_to_folder(
        source, weights=Path("w"), out=out, overlay=tmp_path / "overlay.mp4", on_progress=progress.append
    )
    assert (report.frames, report.tracks) == (LENGTH, 2)
    assert report.fps > 0
    assert set(report.outputs) == {"results", "tracks", "csv", "summary", "overlay", "frames"}
    files = ["frames.jsonl", "results.json", "run.json", "summary.json", "tracks.csv", "tracks.json"]
    assert sorted(path.name for path in out.iterdir()) == files
    assert [(p.video, p.video_index, p.video_count, p.frame, p.frame_count) for p in progress] == [
        ("clip", 0, 1, done, LENGTH) for done in range(1, LENGTH + 1)
    ]
    dataset = read_annotations(report.outputs["tracks"])
    assert dataset.categories == CATEGORIES
    assert dataset.videos[0].frame_files == tuple(f"{t:05d}.png" for t in range(LENGTH))
    red, green = read_results(report.outputs["results"], dataset)
    assert (red.video_id, red.class_id, green.class_id) == (1, 0, 1)
    assert 0.4 < green.score < red.score < 1
    assert [mask is None for mask in green.segmentations] == [True, True, False, False, False]
    for t, mask in enumerate(red.segmentations):
        truth = (scene(t) == COLORS["red"]).all(-1)
        assert rle.decode(mask)[truth].mean() > 0.8
        assert not rle.decode(mask)[~cv2.dilate(truth.astype(np.uint8), np.ones((5, 5))).astype(bool)].any()
    assert [track.id for track in dataset.tracks] == [1, 2]
    assert dataset.tracks[0].segmentations == red.segmentations


def test_csv_says_what_the_tracks_say(tmp_path):
    report = infer_to_folder(folder_source(tmp_path), weights=Path("w"), out=tmp_path / "out")
    rows = read_csv(report.outputs["csv"])
    assert tuple(rows[0])[: len(CSV_COLUMNS)] == CSV_COLUMNS
    assert [(row["frame"], row["track_id"]) for row in rows] == [
        ("0", "1"), ("1", "1"), ("2", "1"), ("2", "2"), ("3", "1"), ("3", "2"), ("4", "1"), ("4", "2")
    ]  # fmt: skip
    assert [float(row["time_s"]) for row in rows] == pytest.approx([0, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4])
    dataset = read_annotations(report.outputs["tracks"])
    for row in rows:
        track = dataset.tracks[int(row["track_id"]) - 1]
        x1, y1, x2, y2 = track.boxes[int(row["frame"])]
        assert (int(row["x"]), int(row["y"]), int(row["w"]), int(row["h"])) == (x1, y1, x2 - x1, y2 - y1)
        assert int(row["area"]) == rle.area(track.segmentations[int(row["frame"])])
        assert row["class"] == CATEGORIES[track.class_id].name
        assert row["video"] == "clip"
        assert 0.3 <= float(row["score"]) <= 1


def test_video_file_keeps_its_clock(tmp_path):
    source = video_source(tmp_path)
    report = infer_to_folder(source, weights=Path("w"), out=tmp_path / "out", overlay=tmp_path / "out" / "overlay.mp4")
    assert (report.frames, report.tracks) == (LENGTH, 2)
    with open_source(report.outputs["overlay"]) as overlay:
        assert [frame.time for frame in overlay.frames()] == [Fraction(t, 7) for t in range(LENGTH)]
        assert overlay.height == 480  # enlarged, so that text is legible
    summary = json.loads(report.outputs["summary"].read_text())
    assert summary["source"] == str(source)
    assert (summary["frames"], summary["tracks"], summary["ground_truth"]) == (LENGTH, 2, None)
    assert summary["tracks_by_class"] == {"red": 1, "green": 1}
    assert read_annotations(report.outputs["tracks"]).videos[0].frame_files[1] == "clip/00001.jpg"


def test_split_matches_categories_by_name(tmp_path):
    root = prepared_source(tmp_path)
    report = infer_to_folder(data=root, weights=Path("w"), out=tmp_path / "out", overlay=tmp_path / "overlay.mp4")
    assert report.frames == 3 + 4
    dataset = read_annotations(report.outputs["tracks"])
    assert [category.name for category in dataset.categories] == ["green", "gull", "red"]
    assert [(video.id, video.name, video.height) for video in dataset.videos] == [(5, "v0", 67), (7, "v1", 61)]
    results = json.loads(report.outputs["results"].read_text())
    assert [(result["video_id"], result["category_id"]) for result in results] == [(5, 11), (5, 3), (7, 11), (7, 3)]
    assert [track.id for track in dataset.tracks] == [1, 2, 3, 4]
    summary = json.loads(report.outputs["summary"].read_text())
    assert summary["notes"] == ["left out, not in the data set: blue"]
    assert summary["ground_truth"] == str(root / "holdout_gt.json")
    assert summary["frames_root"] == str(root / "frames")
    assert (summary["data"], summary["split"]) == (str(root), "holdout")
    rows = read_csv(report.outputs["csv"])
    assert {(row["video"], row["track_id"]) for row in rows} == {("v0", "1"), ("v0", "2"), ("v1", "1"), ("v1", "2")}
    with av.open(str(report.outputs["overlay"])) as video:
        times = [float(frame.pts * frame.time_base) for frame in video.decode(video=0)]
    assert times == pytest.approx([t / 10 for t in range(7)])


def test_unknown_model_classes_are_dropped_and_no_class_in_common_is_an_error(tmp_path):
    report = infer_to_folder(
        data=prepared_source(tmp_path, names=("gull", "green")), weights=Path("w"), out=tmp_path / "out"
    )
    assert report.tracks == 2
    assert {result["category_id"] for result in json.loads(report.outputs["results"].read_text())} == {7}
    with pytest.raises(InputError, match="gull"):
        infer_to_folder(
            data=prepared_source(tmp_path / "b", names=("gull", "tern")), weights=Path("w"), out=tmp_path / "c"
        )
    assert not (tmp_path / "c").exists()


def test_nothing_found_is_a_result(tmp_path):
    source = folder_source(tmp_path, [draw_frame(HEIGHT, WIDTH, {})] * 3)
    report = infer_to_folder(source, weights=Path("w"), out=tmp_path / "out", overlay=tmp_path / "overlay.mp4")
    assert (report.frames, report.tracks) == (3, 0)
    assert json.loads(report.outputs["results"].read_text()) == []
    assert read_csv(report.outputs["csv"]) == []
    assert read_annotations(report.outputs["tracks"]).tracks == ()
    assert report.outputs["overlay"].stat().st_size > 0


def test_a_wrong_overlay_name_is_told_as_it_was_given(tmp_path):
    source = folder_source(tmp_path, [scene(0)])
    with pytest.raises(InputError) as caught:
        infer_to_folder(source, weights=Path("w"), out=tmp_path / "out", overlay=tmp_path / "overlay.txt")
    assert caught.value.place == str(tmp_path / "overlay.txt")
    assert not (tmp_path / "out").exists()


def test_a_video_that_fails_at_once_leaves_nothing(tmp_path):
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"not a video")
    with pytest.raises(InputError, match=r"clip\.mp4"):
        infer_to_folder(source, weights=Path("w"), out=tmp_path / "out" / "deep", overlay=tmp_path / "new" / "o.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4"]


def test_a_video_that_fails_later_keeps_its_log_and_nothing_half_done(tmp_path):
    images = [scene(t) for t in range(4)]
    source, out = folder_source(tmp_path, [*images, images[0][:-5]]), tmp_path / "out" / "deep"
    overlay = tmp_path / "new" / "overlay.mp4"
    with pytest.raises(InputError, match=r"00004\.png") as caught:
        infer_to_folder(source, weights=Path("w"), out=out, overlay=overlay)
    assert "qcen infer --resume" in caught.value.hint
    assert sorted(path.name for path in out.iterdir()) == ["frames.jsonl", "run.json"]
    assert not (tmp_path / "new").exists()
    assert logged_frame_count(out / "frames.jsonl") == 4
    cv2.imwrite(str(source / "00004.png"), scene(4)[..., ::-1])
    report = resume_infer(out, device="cpu")
    whole = infer_to_folder(source, weights=Path("w"), out=tmp_path / "whole", overlay=tmp_path / "whole.mp4")
    assert (out / "frames.jsonl").read_bytes() == (tmp_path / "whole" / "frames.jsonl").read_bytes()
    assert report.outputs["results"].read_bytes() == whole.outputs["results"].read_bytes()
    assert overlay.is_file()


def test_after_a_failure_nothing_is_half_written_and_nothing_is_of_an_earlier_run(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.json").write_text("old")

    def fail(_, path, **__):
        path.write_text("half")
        raise QcenError("the disk is full")

    monkeypatch.setattr(convert, "write_csv", fail)
    with pytest.raises(QcenError, match="full"):
        infer_to_folder(folder_source(tmp_path), weights=Path("w"), out=out)
    assert sorted(path.name for path in out.iterdir()) == ["frames.jsonl", "run.json"]


def test_confidence_rules_what_is_shown_and_never_what_is_evaluated(tmp_path):
    source = folder_source(tmp_path)
    everything = infer_to_folder(source, weights=Path("w"), out=tmp_path / "a", options=InferOptions(confidence=1.0))
    assert everything.tracks == 0
    assert read_csv(everything.outputs["csv"]) == []
    usual = infer_to_folder(source, weights=Path("w"), out=tmp_path / "b")
    assert everything.outputs["results"].read_text() == usual.outputs["results"].read_text()


def test_overlay_shows_what_is_confident_and_wanted(tmp_path, monkeypatch):
    source, drawn = folder_source(tmp_path), []

    def draw(painter, image, instances):
        drawn.append([(instance.name, instance.track_id) for instance in instances])
        return usual(painter, image, instances)

    usual = OverlayPainter.draw
    monkeypatch.setattr(OverlayPainter, "draw", draw)
    both = {("red", 1), ("green", 2)}
    for options, expected in [
        (InferOptions(), both),
        (InferOptions(classes=("green",)), {("green", 2)}),
        (InferOptions(confidence=1.0), set()),
    ]:
        drawn.clear()
        infer_to_folder(source, weights=Path("w"), out=tmp_path / "out", overlay=tmp_path / "o.mp4", options=options)
        assert len(drawn) == LENGTH
        assert set(drawn[-1]) == expected


def test_size_of_the_input_is_an_option(tmp_path, monkeypatch):
    checkpoint = color_checkpoint(short_side=64)
    monkeypatch.setattr(infer_module, "load_checkpoint", lambda *_: checkpoint)
    source = folder_source(tmp_path, [scene(0)])
    infer_to_folder(source, weights=Path("w"), out=tmp_path / "out")
    infer_to_folder(source, weights=Path("w"), out=tmp_path / "out", options=InferOptions(short_side=33))
    assert checkpoint.model.shapes == [(1, 3, 64, 128), (1, 3, 64, 64)]


def test_only_wanted_classes(tmp_path):
    report = infer_to_folder(
        folder_source(tmp_path), weights=Path("w"), out=tmp_path / "out", options=InferOptions(classes=("green",))
    )
    assert [row["class"] for row in read_csv(report.outputs["csv"])] == ["green"] * 3
    with pytest.raises(InputError, match="no class 'gren'") as caught:
        free_videos("clip.mp4", CATEGORIES, ("gren",))
    assert caught.value.hint == "did you mean 'green'?"


def test_frames_of_another_size_than_the_data_set_states(tmp_path):
    root = prepared_source(tmp_path, sizes=((67, 103),))
    text = (root / "holdout.json").read_text()
    (root / "holdout.json").write_text(text.replace("103", "107"))
    with pytest.raises(InputError, match=r"00000\.png: a frame of 103x67 pixels"):
        infer_to_folder(data=root, weights=Path("w"), out=tmp_path / "out")


def test_wrong_use_is_named(tmp_path):
    root = prepared_source(tmp_path)
    wrong = [
        ({}, "one input"),
        ({"source": root, "data": root}, "one input"),
        ({"source": tmp_path / "missing.mp4"}, "missing.mp4"),
        ({"data": root, "split": "test"}, "no split 'test'"),
        ({"source": root, "options": InferOptions(confidence=1.5)}, "confidence"),
        ({"source": root, "options": InferOptions(max_instances=0)}, "instances"),
        ({"source": root, "options": InferOptions(short_side=16)}, "short side"),
        ({"source": root, "options": InferOptions(tracker="sort")}, "tracker"),
        ({"source": root, "options": InferOptions(start=2.0, end=1.0)}, "not after the start"),
        ({"source": root, "options": InferOptions(stride=0)}, "stride"),
        ({"source": root, "options": InferOptions(start=float("nan"))}, "a start of nan"),
        ({"source": root, "options": InferOptions(end=float("inf"))}, "an end at inf"),
        ({"source": root, "devices": ("cuda:0", "cuda:1", "cuda:2")}, "3 GPUs were asked for"),
        ({"source": root, "options": InferOptions(frame_rate=0.0)}, "frames a second"),
        ({"data": root, "options": InferOptions(stride=2)}, "as a whole"),
        ({"source": root, "forms": ("mask",)}, "no form is called 'mask'"),
    ]
    for arguments, message in wrong:
        with pytest.raises(InputError, match=message):
            infer_to_folder(**arguments, weights=Path("w"), out=tmp_path / "out")
    with pytest.raises(InputError, match="no device 'tpu9'"):
        choose_device("tpu9")
    assert not (tmp_path / "out").exists()


def test_a_low_confidence_lowers_what_is_tracked():
    config = color_checkpoint().config.tracker
    low = tracker_config(config, InferOptions(confidence=0.01, tracker="minvis", max_instances=7))
    assert (low.keep, low.new_track, low.kind, low.max_instances) == (0.01, 0.01, "minvis", 7)
    assert tracker_config(config, InferOptions()) == config
    high = tracker_config(config, InferOptions(confidence=0.9))
    assert (high.keep, high.new_track) == (config.keep, config.new_track)


def test_letterbox_by_hand():
    image = np.full((10, 20, 3), 7, dtype=np.uint8)
    boxed = letterbox(image, 30, 40)
    assert boxed.shape == (30, 40, 3)
    assert (boxed[5:25] == 7).all()
    assert (boxed[:5] == 0).all()
    assert (boxed[25:] == 0).all()
    assert letterbox(image, 10, 20) is image


def test_a_saved_checkpoint_on_a_video_file(tmp_path, monkeypatch):
    monkeypatch.undo()
    torch.manual_seed(3)
    config = load_config("shapes_tiny", ["data.test_short_side=64"])
    weights = FrameSegmenter(config.model, len(CATEGORIES)).state_dict()
    save_checkpoint(tmp_path / "tiny.safetensors", weights, config, CATEGORIES, {})
    for tracker in ("memory", "minvis"):
        options = InferOptions(confidence=0.0, tracker=tracker, device="cpu", max_instances=11)
        out = tmp_path / tracker
        report = infer_to_folder(
            video_source(tmp_path), weights=tmp_path / "tiny.safetensors", out=out, options=options
        )
        dataset = read_annotations(report.outputs["tracks"])
        results = read_results(report.outputs["results"], dataset)
        assert report.frames == LENGTH
        assert len(results) == report.tracks > 0
        for t in range(LENGTH):
            assert sum(result.segmentations[t] is not None for result in results) <= 11
