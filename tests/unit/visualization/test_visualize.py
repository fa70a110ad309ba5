import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from report_pages import write_evaluation

from qcen_core.boxfile import write_boxes
from qcen_core.errors import InputError
from qcen_core.ops.rle import bounding_box, encode
from qcen_core.prepared import PreparedData, PreparedSplit, write_prepared
from qcen_core.records import BoxDataset, Category, FrameBoxes, ObjectTrack, TrackDataset, TrackResult, VideoRecord
from qcen_core.resultfile import write_results
from qcen_core.trackfile import write_annotations
from qcen_core.video.writer import VideoWriter
from qcen_core.visualization.dataset_sheet import class_counts, dataset_thumbnails, spread
from qcen_core.visualization.result_strips import worst_first
from qcen_core.visualization.visualize import visualize

HEIGHT, WIDTH, FRAMES = 61, 97, 7
CATEGORIES = (Category(4, "dog"), Category(9, "cat"))


def disc(frame: int) -> np.ndarray:
    rows, columns = np.indices((HEIGHT, WIDTH))
    return (rows - 30) ** 2 + (columns - 20 - 7 * frame) ** 2 < 150


def make_videos(root: Path, count: int) -> tuple[VideoRecord, ...]:
    videos = []
    for number in range(1, count + 1):
        files = tuple(f"v{number}/{frame:05d}.png" for frame in range(FRAMES))
        (root / f"v{number}").mkdir(parents=True)
        for frame, file in enumerate(files):
            image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
            image[disc(frame)] = (0, 200, 50 * number)
            cv2.imwrite(str(root / file), image)
        videos.append(VideoRecord(number, f"v{number}", HEIGHT, WIDTH, files))
    return tuple(videos)


def make_truth(videos: tuple[VideoRecord, ...]) -> TrackDataset:
    masks = tuple(encode(disc(frame)) for frame in range(FRAMES))
    boxes = tuple(bounding_box(mask) for mask in masks)
    return TrackDataset(CATEGORIES, videos, tuple(ObjectTrack(v.id, v.id, 0, boxes, masks) for v in videos))


def make_boxes(root: Path, videos: tuple[VideoRecord, ...]) -> BoxDataset:
    labels = []
    for frame in range(FRAMES):
        box = np.array([bounding_box(encode(disc(frame)))] * 2, np.float32)
        labels.append(FrameBoxes(box, np.array([1, 0]), np.array([False, frame < 3])))
    return BoxDataset("toy", root, CATEGORIES, tuple(replace(video, labels=tuple(labels)) for video in videos))


def test_prepared_data_becomes_sheets(tmp_path):
    frames = tmp_path / "frames"
    dataset = make_boxes(frames, make_videos(frames, 3))
    root = tmp_path / "data"
    root.mkdir()
    write_boxes(dataset, root / "train.json")
    splits = {"train": PreparedSplit(root / "train.json", None, None, ("v1", "v2", "v3"))}
    write_prepared(PreparedData(root, "toy", frames, CATEGORIES, splits, "test", 0, "2025-01-01T00:00:00", ""))
    outputs = visualize(root, tmp_path / "out")
    assert set(outputs) == {"report", "train"}
    html = outputs["report"].read_text()
    assert "Data set toy" in html
    assert ">42<" not in html  # ignored regions are no boxes
    assert ">33<" in html
    assert cv2.imread(str(outputs["train"])).shape[1] > 400


def test_counts_and_thumbnails(tmp_path):
    dataset = make_boxes(tmp_path, make_videos(tmp_path, 4))
    assert class_counts(dataset) == {"cat": (28, 4), "dog": (16, 4)}
    thumbnails = dataset_thumbnails(dataset, 2)
    assert [thumbnail.caption for thumbnail in thumbnails] == ["v1", "v4"]
    assert thumbnails[0].detail == "4 of 7"
    assert [instance.name for instance in thumbnails[0].instances] == ["cat", "dog"]
    assert spread(range(10), 4) == [0, 3, 6, 9]
    assert spread([5], 4) == [5]


def test_results_are_drawn_below_the_truth(tmp_path):
    frames = tmp_path / "JPEGImages"
    truth = make_truth(make_videos(frames, 3))
    write_annotations(truth, tmp_path / "truth.json")
    run = tmp_path / "run"
    run.mkdir()
    masks = truth.tracks[0].segmentations
    results = [TrackResult(2, 1, 1, 0.9, masks), TrackResult(3, 1, 0, 0.1, masks)]
    write_results(results, CATEGORIES, run / "results.json")
    (run / "summary.json").write_text(json.dumps({"ground_truth": str(tmp_path / "truth.json"), "frames_root": None}))
    (run / "report.json").write_text(json.dumps({"AP": 0.25, "videos": {"v1": 0.5, "v2": 0.125, "v3": None}}))
    outputs = visualize(run, tmp_path / "out", max_videos=2)
    assert list(outputs) == ["report", "v2", "v1"]
    html = outputs["report"].read_text()
    assert "mean best IoU 12.5 %" in html
    assert "25.0" in html
    by_file = visualize(run / "results.json", tmp_path / "again", ground_truth=tmp_path / "truth.json")
    assert list(by_file) == ["report", "v2", "v1", "v3"]
    # The first video has a truth and no prediction: its two rows differ, and below nothing is drawn on the disc.
    sheet = cv2.imread(str(by_file["v1"]))
    green = ((sheet[:, :, 1] > 190) & (sheet[:, :, 0] < 12)).sum(1)
    half = len(green) // 2
    assert green[half:].sum() > 4 * green[:half].sum()


def test_free_video_becomes_a_strip(tmp_path):
    video = tmp_path / "walk.mp4"
    with VideoWriter(video, height=HEIGHT, width=WIDTH, frame_rate=Fraction(25)) as writer:
        for _ in range(FRAMES):
            writer.write(np.full((HEIGHT, WIDTH, 3), 40, np.uint8))
    run = tmp_path / "run"
    run.mkdir()
    masks = tuple(encode(np.pad(disc(frame), ((0, 1), (0, 1)))) for frame in range(FRAMES))
    record = VideoRecord(1, "walk", HEIGHT + 1, WIDTH + 1, tuple(f"{n}.jpg" for n in range(FRAMES)))
    track = ObjectTrack(1, 1, 0, tuple(bounding_box(mask) for mask in masks), masks)
    write_annotations(TrackDataset(CATEGORIES, (record,), (track,)), run / "tracks.json")
    write_results([], CATEGORIES, run / "results.json")
    (run / "summary.json").write_text(json.dumps({"source": str(video), "ground_truth": None}))
    (run / "overlay.mp4").write_bytes(video.read_bytes())
    outputs = visualize(run, tmp_path / "out")
    assert set(outputs) == {"report", "strip"}
    assert "<video controls" in outputs["report"].read_text()


def test_run_becomes_curves(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,total,AP,AP50,box_AP\n0,2.5,,,\n20,1.5,,,0.375\n")
    outputs = visualize(tmp_path, tmp_path / "out")
    html = outputs["report"].read_text()
    assert "Best box AP" in html
    assert "37.5" in html
    assert html.count("<svg") == 2


def test_samples_of_a_run_are_a_flip_book(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,total\n0,2.5\n20,1.5\n")
    (tmp_path / "samples").mkdir()
    for step in (20, 100, 1000):
        cv2.imwrite(str(tmp_path / "samples" / f"step-{step:06d}.jpg"), np.full((67, 1301, 3), 40, np.uint8))
    outputs = visualize(tmp_path, tmp_path / "out")
    assert set(outputs) == {"report", "samples"}
    html = outputs["report"].read_text()
    captions = re.findall("<figcaption>(step [^<]*)<", html)
    assert captions == ["step 20", "step 100", "step 1,000"]
    assert "max='2'" in html
    assert html.index("Total loss") < html.index("Samples over training")
    assert cv2.imread(str(outputs["samples"])).shape[1] > 800


def test_results_hold_a_player_of_their_videos(tmp_path):
    truth, results = write_evaluation(tmp_path)
    html = visualize(results, tmp_path / "out", ground_truth=truth)["report"].read_text()
    (data,) = re.findall("id='page-data'>(.*?)</script>", html)
    videos = json.loads(data)["videos"]
    assert [video["name"] for video in videos] == ["v1", "v2"]
    assert [len(video["images"]) for video in videos] == [FRAMES, FRAMES]
    assert html.count('class="player"') == 1


def test_what_cannot_be_drawn_is_named(tmp_path):
    with pytest.raises(InputError, match="nothing here") as caught:
        visualize(tmp_path, tmp_path / "out")
    assert caught.value.hint is not None
    with pytest.raises(InputError, match="no such"):
        visualize(tmp_path / "gone", tmp_path / "out")
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(InputError, match="no frames to draw"):
        visualize(tmp_path / "results.json", tmp_path / "out")
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        visualize(tmp_path / "results.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unmeasured_videos_come_last():
    videos = tuple(VideoRecord(n, f"v{n}", 5, 7, ("a",)) for n in range(4))
    order = worst_first(videos, {"videos": {"v1": 0.5, "v2": None, "v3": 0.25}})
    assert [video.name for video in order] == ["v3", "v1", "v0", "v2"]
