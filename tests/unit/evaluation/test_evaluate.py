"""The verb: which figures are filled, what its report says, and what it refuses."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qcen_core.errors import InputError
from qcen_core.evaluation import processes
from qcen_core.evaluation.evaluate import OFFICIAL_FIGURES, evaluate
from qcen_core.ops import rle
from qcen_core.records import Category, ObjectTrack, TrackDataset, TrackResult, VideoRecord
from qcen_core.resultfile import ResultsError, write_results
from qcen_core.trackfile import read_annotations, write_annotations

DATA = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"
HEIGHT, WIDTH = 31, 37
BOX, OTHER = (2.0, 3.0, 12.0, 13.0), (20.0, 3.0, 30.0, 13.0)


def filled(box, height=HEIGHT, width=WIDTH):
    if box is None:
        return None
    mask = np.zeros((height, width), dtype=bool)
    x1, y1, x2, y2 = (int(v) for v in box)
    mask[y1:y2, x1:x2] = True
    return rle.encode(mask)


def track(number, video, boxes, class_id=0, crowd=False, masks=True):
    segmentations = tuple(filled(box) for box in boxes) if masks else None
    return ObjectTrack(number, video, class_id, tuple(boxes), segmentations, crowd)


def result(number, video, boxes, score=0.9, class_id=0):
    return TrackResult(video, number, class_id, score, tuple(filled(box) for box in boxes))


def dataset(*tracks):
    videos = tuple(VideoRecord(n, f"v{n}", HEIGHT, WIDTH, ("a.jpg", "b.jpg")) for n in (8, 3))
    return TrackDataset((Category(5, "cat"), Category(2, "dog")), videos, tracks)


TRUTH = dataset(track(0, 8, [BOX, BOX]), track(1, 3, [OTHER, None], class_id=1))
PERFECT = [result(1, 8, [BOX, BOX]), result(1, 3, [OTHER, None], class_id=1)]


def test_perfect_results_are_one_and_a_track_of_id_0_counts():
    report = evaluate(PERFECT, TRUTH)
    assert [getattr(report, name) for name in OFFICIAL_FIGURES] == [1, 1, 1, 1, None, None, 1, 1, 1, 1, None, None]
    assert report.per_class == report.box_per_class == {"cat": 1, "dog": 1}
    assert report.box == {"tube_AP": 1, "tube_AP50": 1, "frame_AP": 1, "frame_AP50": 1}
    assert report.videos == {"v3": 1, "v8": 1}
    assert (report.association.accuracy, report.association.links) == (1, 1)
    assert report.measured_on == "mask"


def test_no_results_are_zero():
    report = evaluate([], TRUTH)
    assert (report.AP, report.AR100, report.APl) == (0, 0, None)
    assert report.box == {"tube_AP": 0, "tube_AP50": 0, "frame_AP": 0, "frame_AP50": 0}
    assert report.videos == {"v3": 0, "v8": 0}
    assert (report.association.accuracy, report.association.matched) == (None, 0)


def test_no_ground_truth_is_undefined():
    report = evaluate(PERFECT, dataset())
    assert {getattr(report, name) for name in OFFICIAL_FIGURES} | set(report.box.values()) == {None}
    assert report.per_class == {"cat": None, "dog": None}
    assert report.curves.precision == ()
    assert set(report.curves.AP) == {None}
    assert report.videos == {"v3": None, "v8": None}


def test_a_class_without_ground_truth_does_not_count():
    report = evaluate([*PERFECT[:1], result(2, 8, [BOX, BOX], class_id=1)], dataset(TRUTH.tracks[0]))
    assert (report.AP, report.per_class) == (1, {"cat": 1, "dog": None})


def test_boxes_alone_fill_the_figures_of_boxes():
    truth = dataset(track(1, 8, [BOX, BOX], masks=False), track(2, 3, [OTHER, None], class_id=1))
    report = evaluate(PERFECT, truth)
    assert {getattr(report, name) for name in OFFICIAL_FIGURES} == {None}
    assert report.per_class == {"cat": None, "dog": None}
    assert report.box_per_class == {"cat": 1, "dog": 1}
    assert report.box["tube_AP"] == report.box["frame_AP"] == 1
    assert report.measured_on == "box"
    assert report.curves.AP == (1,) * 10
    assert report.videos == {"v3": 1, "v8": 1}


def test_a_swap_of_identities_hurts_tubes_not_frames():
    truth = dataset(track(1, 8, [BOX, BOX]), track(2, 8, [OTHER, OTHER]))
    report = evaluate([result(1, 8, [BOX, OTHER]), result(2, 8, [OTHER, BOX], score=0.8)], truth)
    assert (report.AP, report.box["tube_AP"], report.box["frame_AP"]) == (0, 0, 1)
    assert (report.association.accuracy, report.association.switches) == (0, 2)
    assert report.videos["v8"] == pytest.approx(1 / 3)


def test_a_frame_without_its_result_costs_recall_of_frames():
    report = evaluate([result(1, 8, [BOX, None])], dataset(track(1, 8, [BOX, BOX])))
    assert report.box["frame_AP"] == pytest.approx(51 / 101)
    # IoU over the video is one half: a match at the lowest threshold only.
    assert report.box["tube_AP"] == report.AP == pytest.approx(0.1)
    assert list(report.curves.AP) == [1] + [0] * 9
    assert report.curves.precision[0] == (1,) * 101


def test_frames_count_how_much_of_a_result_lies_on_a_crowd():
    wide = (0.0, 0.0, 37.0, 31.0)
    truth = dataset(track(1, 8, [wide, wide], crowd=True), track(2, 8, [BOX, BOX]))
    report = evaluate([result(1, 8, [OTHER, OTHER]), result(2, 8, [BOX, BOX], score=0.5)], truth)
    # In frames the first result lies on the crowd; over the video its IoU with the crowd is small: a miss.
    assert (report.box["frame_AP"], report.box["tube_AP"], report.AP) == (1, 0.5, 0.5)


def test_association_looks_at_results_that_are_shown():
    assert evaluate([result(1, 8, [BOX, BOX], score=0.2)], TRUTH).association.matched == 0
    assert evaluate([result(1, 8, [BOX, BOX], score=0.2)], TRUTH, shown_score=0.1).association.matched == 2 / 3


def test_files_say_what_the_records_say(tmp_path):
    write_annotations(TRUTH, tmp_path / "gt.json")
    write_results(PERFECT, TRUTH.categories, tmp_path / "results.json")
    report = evaluate(tmp_path / "results.json", tmp_path / "gt.json")
    assert report == evaluate(PERFECT, TRUTH)
    again = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert set(OFFICIAL_FIGURES) | {"per_class", "box", "association", "videos", "curves"} <= set(again)
    assert again["box"]["frame_AP"] == 1
    assert again["association"]["accuracy"] == 1
    assert len(again["curves"]["precision"]) == len(again["curves"]["iou_thresholds"]) == 10


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        (replace(PERFECT[0], video_id=4), "video 4 is not"),
        (replace(PERFECT[0], class_id=2), "class 2 is not"),
        (replace(PERFECT[0], segmentations=(None,)), "1 frames, video 8 has 2"),
        (replace(PERFECT[0], segmentations=(None, filled(BOX, 37, 31))), "not of the 37 x 31 pixels"),
    ],
)
def test_results_that_do_not_fit_are_refused(wrong, cause):
    with pytest.raises(InputError, match=f"result 1: .*{cause}"):
        evaluate([PERFECT[1], wrong], TRUTH)


def files(folder, results=PERFECT, truth=TRUTH):
    write_annotations(truth, folder / "gt.json")
    write_results(results, TRUTH.categories, folder / "results.json")
    return folder / "results.json", folder / "gt.json"


def test_more_is_told_by_class_and_threshold():
    results = [result(1, 8, [BOX, None]), PERFECT[1]]
    report = evaluate(results, TRUTH)
    assert report.per_class_at == {"cat": (1, *[0] * 9), "dog": (1,) * 10}
    assert report.per_class_recall == {"cat": pytest.approx(0.1), "dog": 1}
    assert evaluate(results, dataset()).per_class_at == {"cat": None, "dog": None}
    assert set(report.occlusion.values()) == {None}
    assert report.notes == ()


def test_occlusion_is_that_of_the_more_hidden_half():
    frames = (0.25, 0.75)
    truth = dataset(
        replace(track(1, 8, [BOX, BOX]), occlusion=frames), replace(track(2, 3, [OTHER, None]), occlusion=(0.0, None))
    )
    report = evaluate([result(1, 8, [BOX, BOX])], truth)
    assert report.occlusion == {
        "AP_light": 0, "AP_medium": None, "AP_heavy": 1, "AR_light": 0, "AR_medium": None, "AR_heavy": 1
    }  # fmt: skip
    untold = dataset(truth.tracks[0], track(2, 3, [OTHER, None]))
    assert set(evaluate([], untold).occlusion.values()) == {None}


def test_a_truth_of_id_0_is_thankless_with_quirks_only():
    truth = dataset(track(0, 8, [BOX, BOX]), track(1, 8, [OTHER, OTHER]))
    results = [result(1, 8, [BOX, BOX]), result(2, 8, [OTHER, OTHER], score=0.8)]
    assert evaluate(results, truth).AP == 1
    report = evaluate(results, truth, official_quirks=True)
    # By score: a false one, then a true one of two.
    assert pytest.approx(51 / 2 / 101) == report.AP
    assert report.official_quirks


def test_odd_scores_are_noted(tmp_path):
    report = evaluate(*files(tmp_path, [replace(PERFECT[0], score=1.5), PERFECT[1]]))
    assert report.notes == ("1 of 2 scores are not between 0 and 1",)
    assert evaluate(*files(tmp_path, [])).notes == ("there are no results",)
    assert evaluate(*files(tmp_path, [])).AP == 0


@pytest.mark.parametrize("count", [1, 2])
def test_wrong_files_are_told_in_full_however_they_are_read(tmp_path, count):
    results, truth = files(tmp_path)
    records = json.loads(results.read_text())
    records[0]["video_id"], records[1]["segmentations"][0]["counts"] = 4, "04"
    results.write_text(json.dumps(records))
    with pytest.raises(ResultsError, match="result 0: video_id 4 is unknown") as caught:
        evaluate(results, truth, processes=count)
    assert [error.place for error in caught.value.problems.errors] == [
        f"{results}: result 0", f"{results}: result 1, frame 0"
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "[", "{}", "[3]", '[{"video_id": 8, "category_id": 5, "score": NaN}]'])
def test_files_of_another_kind_are_refused(tmp_path, text):
    results, truth = files(tmp_path)
    results.write_text(text)
    with pytest.raises(InputError, match=r"results\.json"):
        evaluate(results, truth)
    with pytest.raises(InputError, match="no such file"):
        evaluate(tmp_path / "absent.json", truth)


def test_masks_in_other_forms_are_read_the_slow_way(tmp_path):
    results, truth = files(tmp_path)
    records = json.loads(results.read_text())
    x1, y1, x2, y2 = BOX
    records[0]["segmentations"][0] = [[x1, y1, x2, y1, x2, y2, x1, y2]]
    results.write_text(json.dumps(records))
    assert evaluate(results, truth).AP == 1


def test_what_is_predicted_at_unlabelled_frames_is_not_judged(tmp_path):
    videos = tuple(replace(video, unlabelled=frozenset({1})) for video in TRUTH.videos)
    truth = replace(dataset(track(1, 8, [BOX, None])), videos=videos)
    assert evaluate(*files(tmp_path, [result(1, 8, [BOX, OTHER])], truth)).AP == 1


def test_results_are_called_by_their_place_in_the_file(tmp_path):
    found = [result(5, 8, [None, OTHER]), result(7, 8, [BOX, BOX])]
    truth = dataset(track(1, 8, [BOX, None]))
    partly = replace(truth, videos=tuple(replace(video, unlabelled=frozenset({1})) for video in truth.videos))
    for report in (evaluate(*files(tmp_path, found, partly)), evaluate(*files(tmp_path, found, truth))):
        assert report.worst[0]["objects"][0]["matched"] == ((0, 0, 2),)
    assert evaluate(found, truth).worst[0]["objects"][0]["matched"] == ((0, 0, 2),)


def test_ground_truth_without_videos_is_refused():
    with pytest.raises(InputError, match="no video"):
        evaluate([], replace(dataset(), videos=()))


def test_results_with_damaged_masks_are_refused():
    damaged = replace(PERFECT[0], segmentations=({"size": [HEIGHT, WIDTH], "counts": "04"}, None))
    with pytest.raises(InputError, match="video 8: a mask is damaged"):
        evaluate([damaged], TRUTH)


def test_a_small_file_starts_no_process_and_a_lost_one_is_made_up_for(tmp_path, monkeypatch):
    results, truth = files(tmp_path)
    expected = evaluate(results, truth)
    with processes.helpers(results, None) as started:
        assert started == []
    monkeypatch.setattr(processes.sys, "executable", "/bin/false")
    assert evaluate(results, truth, processes=3) == expected
    monkeypatch.setattr(processes.sys, "executable", str(tmp_path / "absent"))
    assert evaluate(results, truth, processes=3) == expected


def test_processes_are_ended_where_the_ground_truth_fails(tmp_path):
    started = []
    with contextlib.suppress(InputError), processes.helpers(files(tmp_path)[0], 2) as helpers:
        started += helpers
        read_annotations(tmp_path / "absent.json")
    assert [helper.poll() is not None for helper in started] == [True]


@pytest.mark.skipif(not (DATA / "davis").is_dir(), reason="needs DAVIS, which is no part of the project")
def test_davis_against_itself_is_perfect():
    truth = read_annotations(DATA / "davis" / "instances.json")
    results = [TrackResult(t.video_id, 1, t.class_id, 1.0, t.segmentations) for t in truth.tracks]
    report = evaluate(results, truth)
    assert report.AP == report.box["tube_AP"] == report.box["frame_AP"] == report.association.accuracy == 1
    assert set(report.videos.values()) == {1}


def test_videos_without_any_result_are_told():
    mask = rle.encode(np.ones((5, 7), dtype=bool))
    videos = tuple(VideoRecord(number, f"v{number}", 5, 7, ("0.jpg",)) for number in (1, 2, 3))
    objects = tuple(ObjectTrack(n, n, 0, ((0.0, 0.0, 7.0, 5.0),), (mask,)) for n in (1, 2))
    truth = TrackDataset((Category(1, "cat"),), videos, objects)
    report = evaluate([TrackResult(1, 1, 0, 0.9, (mask,))], truth)
    assert report.notes == ("1 video with objects has no result: all their objects count as missed",)
    both = [TrackResult(number, 1, 0, 0.9, (mask,)) for number in (1, 2)]
    assert evaluate(both, truth).notes == ()


def test_results_in_memory_are_judged_as_those_of_a_file(tmp_path):
    mask = rle.encode(np.ones((5, 7), dtype=bool))
    videos = (VideoRecord(1, "v", 5, 7, ("0.jpg", "1.jpg", "2.jpg"), unlabelled=frozenset({1, 2})),)
    seen = ((0.0, 0.0, 7.0, 5.0), None, None)
    truth = TrackDataset((Category(1, "cat"),), videos, (ObjectTrack(1, 1, 0, seen, (mask, None, None)),))
    results = [TrackResult(1, 1, 0, 0.9, (mask, mask, mask))]
    write_results(results, truth.categories, tmp_path / "r.json")
    assert evaluate(results, truth).AP == evaluate(tmp_path / "r.json", truth).AP == 1


def test_objects_without_masks_among_others_are_told():
    mask = rle.encode(np.ones((5, 7), dtype=bool))
    videos, box = (VideoRecord(1, "v", 5, 7, ("0.jpg",)),), ((0.0, 0.0, 7.0, 5.0),)
    objects = (ObjectTrack(1, 1, 0, box, (mask,)), ObjectTrack(2, 1, 0, box, None))
    report = evaluate([TrackResult(1, 1, 0, 0.9, (mask,))], TrackDataset((Category(1, "cat"),), videos, objects))
    assert report.notes == ("1 of 2 objects have no masks: only boxes are measured",)


def test_ground_truth_without_an_object_is_told():
    mask = rle.encode(np.ones((5, 7), dtype=bool))
    truth = TrackDataset((Category(1, "cat"),), (VideoRecord(1, "v", 5, 7, ("0.jpg",)),), ())
    report = evaluate([TrackResult(1, 1, 0, 0.9, (mask,))], truth)
    assert report.notes == ("the ground truth has no object: there is nothing to measure",)
    assert report.AP is None
