import dataclasses

import cv2
import numpy as np
import pytest

from benchmarks.davis_boxes import differences, learn, prepare_boxes, require_boxes_from_scratch, stored_run
from benchmarks.davis_comparison import METHODS, compare, compare_once
from benchmarks.davis_measure import BestTrack, ObjectScore
from benchmarks.davis_result import DavisResult, markdown, read_results, result_file, summary, table_rows, write_result
from benchmarks.davis_strip import MOST_BYTES, small_png, strip
from qcen_core.config import load_config
from qcen_core.errors import InputError
from qcen_core.ops.rle import encode
from qcen_core.prepared import read_prepared
from qcen_core.records import Category, ObjectTrack, TrackDataset, TrackResult, VideoRecord
from qcen_core.trackfile import read_annotations, write_annotations
from qcen_core.training.run_files import LAST

HEIGHT, WIDTH, FRAMES = 37, 53, 17
BOX = (10.0, 7.0, 32.0, 29.0)


def disc():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows - 17.5) ** 2 + (columns - 20.5) ** 2 <= 10.9**2


@pytest.fixture
def davis(tmp_path):
    """A sequence of 17 frames; the object is absent from the first one, so that of every 15th frame one is left."""
    folder = tmp_path / "davis"
    (folder / "JPEGImages" / "ball").mkdir(parents=True)
    image = np.full((HEIGHT, WIDTH, 3), (60, 120, 60), np.uint8)
    image[disc()] = (30, 40, 200)
    files = tuple(f"ball/{frame:05d}.jpg" for frame in range(FRAMES))
    for file in files:
        cv2.imwrite(str(folder / "JPEGImages" / file), image)
    boxes, masks = (None, *[BOX] * (FRAMES - 1)), (None, *[encode(disc())] * (FRAMES - 1))
    video = VideoRecord(1, "ball", HEIGHT, WIDTH, files)
    dataset = TrackDataset((Category(1, "ball"),), (video,), (ObjectTrack(4, 1, 0, boxes, masks),))
    write_annotations(dataset, folder / "instances.json")
    return folder


def scores(value, frames):
    return [ObjectScore("ball", 4, dict.fromkeys(frames, value))]


def made_result(seed=0):
    track = BestTrack(ObjectScore("ball", 4, {0: 0.5, 1: 0.7, 15: 0.9, 16: 0.7}), 3, 2, 5)
    comparison = {method: scores(0.1 + place, [0, 15]) for place, method in enumerate(METHODS)}
    return DavisResult(
        recipe="tiny",
        seed=seed,
        overrides=[],
        steps=10,
        **summary([track], comparison),
        configuration={},
        chosen=[],
        data={"training": "a"},
        revisions=["0123456789+"],
        measured_at="b",
        machine={"cpu": "a processor", "gpu": "none"},
        seconds={"training": 120.0, "inference": 3.0},
    )


def test_only_boxes_are_prepared_and_nothing_is_held_out(davis, tmp_path):
    data = prepare_boxes(davis, tmp_path / "data")
    assert sorted(path.name for path in data.iterdir()) == ["dataset.yaml", "train.json"]
    assert "segmentation" not in (data / "train.json").read_text()
    assert read_prepared(data).splits["train"].videos == ("ball",)
    assert prepare_boxes(davis, data) == data
    with pytest.raises(InputError, match="made from"):
        prepare_boxes(tmp_path, data)


def test_boxes_and_grab_cut_are_measured_on_every_15th_frame(davis, tmp_path):
    truth = read_annotations(davis / "instances.json")
    told = []
    found = compare(truth, davis / "JPEGImages", told.append)
    assert {method: list(found[method][0].ious) for method in METHODS} == {method: [15] for method in METHODS}
    assert found["box"][0].mean == pytest.approx(disc().sum() / (22 * 22))
    assert found["grabcut"][0].mean > 0.95
    arguments = (davis / "instances.json", truth, davis / "JPEGImages", tmp_path / "kept.json", told.append)
    assert compare_once(*arguments) == compare_once(*arguments) == found
    assert told == ["ball", "ball"], "the second time it is read from the file"


@pytest.mark.parametrize(
    "override", ["train.supervision=mask", "model.pretrained=true", "train.init_weights=other.safetensors"]
)
def test_more_than_boxes_is_refused(override):
    require_boxes_from_scratch(load_config("tiny"))
    with pytest.raises(InputError):
        require_boxes_from_scratch(load_config("tiny", [override]))


def test_a_run_of_other_settings_is_not_overwritten(tmp_path):
    (tmp_path / LAST).write_bytes(b"weights")
    with pytest.raises(InputError, match="other settings"):
        learn(load_config("tiny"), tmp_path, {"training": "a"}, redo=False)
    assert (tmp_path / LAST).read_bytes() == b"weights"


def test_without_a_run_there_is_nothing_to_measure(tmp_path):
    with pytest.raises(InputError, match="no run"):
        stored_run(tmp_path)


def test_differences_to_the_recipe():
    config = load_config("tiny", ["train.seed=5", "train.steps=7", "data.root=elsewhere"])
    assert differences(load_config("tiny"), config) == ["train.steps=7"]


def test_summary():
    result = made_result()
    assert result.figures == pytest.approx({"objects": 0.7, "frames": 0.7})
    assert result.every_15th["prediction"] == pytest.approx({"objects": 0.7, "frames": 0.7})
    assert result.sequences["ball"]["box"] == pytest.approx(0.1)
    assert result.tracks[0]["rank"] == 2


def test_results_come_back_and_fill_the_table(tmp_path):
    for seed in (1, 0):
        write_result(made_result(seed), tmp_path)
    results = read_results(tmp_path)
    assert results == [made_result(0), made_result(1)]
    head, rows = table_rows(results)
    assert head[-2:] == ["tiny, seed 0", "tiny, seed 1"]
    assert rows[0] == ("ball", pytest.approx([0.1, 1.1, 2.1, 0.7, 0.7]))
    text = markdown(results)
    assert "| mean over objects | - | - | - | 0.700 | 0.700 |" in text
    assert "10 steps, 2 minutes of training (a processor), revision 01234567+" in text
    assert "for 0 of 1 objects" in text
    assert markdown([]) == "No results yet."


def test_results_that_cannot_be_used_are_refused(tmp_path):
    other = dataclasses.replace(made_result(1), data={"training": "b"})
    with pytest.raises(InputError, match="different data"):
        table_rows([made_result(), other])
    result_file(tmp_path, "tiny", 0).write_text('{"recipe": "tiny"}')
    with pytest.raises(InputError, match="davis_boxes-tiny-seed0"):
        read_results(tmp_path)


def test_the_picture_is_small_and_shows_frame_truth_and_prediction(davis):
    truth = read_annotations(davis / "instances.json")
    result = TrackResult(1, 3, 0, 0.5, truth.tracks[0].segmentations)
    best = BestTrack(ObjectScore("ball", 4, dict.fromkeys(range(1, FRAMES), 1.0)), 3, 1, 1)
    thumbnails = strip([best], truth, [result], davis / "JPEGImages")
    assert [len(item.instances) for item in thumbnails] == [0, 0, 1]
    assert not np.array_equal(thumbnails[0].image, thumbnails[1].image)
    assert np.array_equal(thumbnails[2].instances[0].mask, disc())
    assert len(small_png(thumbnails)) < MOST_BYTES
