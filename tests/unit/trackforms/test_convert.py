"""Which form is which, what gets lost, what stands at the target afterwards, and how much memory it takes."""

import json
import tracemalloc
import zipfile
from fractions import Fraction

import numpy as np
import pytest

from qcen_core.boxfile import write_boxes
from qcen_core.errors import InputError, QcenError
from qcen_core.ops import rle
from qcen_core.prepared import PreparedData, PreparedSplit, write_prepared
from qcen_core.records import BoxDataset, Category, VideoRecord
from qcen_core.trackforms.convert import convert
from qcen_core.trackforms.log_files import write_log
from qcen_core.trackforms.recognise import FORMS, form_of_name, recognise
from qcen_core.trackforms.store import StoredVideo, TrackStore, seen_by_mask
from qcen_core.trackforms.whole import whole
from qcen_core.trackforms.youtubevis_tracks import write_tracks

TARGETS = {
    "frames": "frames.jsonl",
    "results": "results.json",
    "tracks": "tracks.json",
    "csv": "tracks.csv",
    "coco-vid": "coco.json",
}


def block(x, y, size, height=11, width=13):
    mask = np.zeros((height, width), bool)
    mask[y : y + size, x : x + size] = True
    return rle.encode(mask)


@pytest.fixture
def log(tmp_path):
    """A log of three frames: track 2 is seen with 0.25 and 0.75, track 5 with 0.125."""
    with TrackStore([Category(3, "cat")]) as store:
        store.add_video(StoredVideo(1, "film", 11, 13, Fraction(5), Fraction(1, 5)))
        store.add_frames(1, [(f, f, None) for f in range(3)])
        for track, frame, score in ((2, 0, 0.25), (2, 2, 0.75), (5, 1, 0.125)):
            store.add_track(1, track, 0, 0.5)
            store.add_sightings(1, [seen_by_mask(track, frame, score, block(1, 2, 3))])
        write_log(store, store.videos()[0], tmp_path / "frames.jsonl", confidence=0.5)
    return tmp_path / "frames.jsonl"


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_recognised(form, log, tmp_path):
    target = tmp_path / "out" / TARGETS.get(form, form)
    report = convert(log, target, confidence=0.1)
    assert (report.source_form, report.target_form) == ("frames", form)
    assert (report.videos, report.tracks, report.sightings) == (1, 2, 3)
    assert recognise(target) == form
    assert [file.name for file in (tmp_path / "out").iterdir()] == [target.name]
    # And read again, by its content alone.
    again = convert(target, tmp_path / "again.json", to="coco-vid")
    assert (again.source_form, again.tracks, again.sightings) == (form, 2, 3)


def test_the_confidence_is_that_of_the_log(log, tmp_path):
    report = convert(log, tmp_path / "tracks.csv")
    assert (report.tracks, report.sightings) == (1, 1)
    assert "left out: 2 sightings below the confidence" in report.lost
    assert (tmp_path / "tracks.csv").read_text().splitlines()[1].startswith("2,0.400000,2,cat,0.75,1,2,3,3,9,film")
    # Results hold every track, and a log every sighting.
    assert convert(log, tmp_path / "results.json").sightings == 3
    assert convert(log, tmp_path / "results2.json", to="results", confidence=0.9).sightings == 3
    assert convert(log, tmp_path / "log.jsonl").sightings == 3
    assert (tmp_path / "log.jsonl").read_bytes() == log.read_bytes()
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])["confidence"] == 0.5


def test_tracks_of_a_log_are_scored_with_doubt(log, tmp_path):
    convert(log, tmp_path / "results.json")
    scores = [record["score"] for record in json.loads((tmp_path / "results.json").read_text())]
    assert scores == [(0.25 + 0.75) / (2 + 4), 0.125 / (1 + 4)]


def test_what_gets_lost_is_told(log, tmp_path):
    lost = convert(log, tmp_path / "mot", confidence=0.1).lost
    assert "MOTChallenge text holds no masks: 3 masks became boxes" in lost
    lost = convert(tmp_path / "mot", tmp_path / "mots").lost
    assert "MOTS text holds no boxes: left out 3 boxes without a mask" in lost
    assert convert(log, tmp_path / "coco.json", confidence=0).lost == ()


def test_a_stopped_run_is_told(log, tmp_path):
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-2]) + lines[-2][:20])
    report = convert(log, tmp_path / "tracks.csv", confidence=0)
    assert report.sightings == 2
    assert report.lost == ("frames.jsonl ends before its video does: the run was stopped",)


def test_results_as_zip(log, tmp_path):
    convert(log, tmp_path / "results.json")
    convert(log, tmp_path / "results.zip")
    with zipfile.ZipFile(tmp_path / "results.zip") as packed:
        assert packed.read("results.json") == (tmp_path / "results.json").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["frames.jsonl", "results.json", "results.zip"]


def test_several_logs_lie_in_a_folder(log, tmp_path):
    second = json.loads(log.read_text().splitlines()[0])
    second["video"] |= {"id": 2, "name": "second"}
    folder = tmp_path / "logs"
    folder.mkdir()
    lines = log.read_text().splitlines(keepends=True)
    (folder / "a.jsonl").write_text("".join(lines))
    (folder / "b.jsonl").write_text("".join([json.dumps(second, separators=(",", ":")) + "\n", *lines[1:]]))
    assert convert(folder, tmp_path / "tracks.json").videos == 2
    convert(tmp_path / "tracks.json", tmp_path / "more", to="frames")
    assert sorted(file.name for file in (tmp_path / "more").iterdir()) == ["film.jsonl", "second.jsonl"]
    with pytest.raises(InputError, match="holds one video, not 2"):
        convert(tmp_path / "tracks.json", tmp_path / "more.jsonl")


@pytest.mark.parametrize("form", ["mot", "mots"])
def test_a_first_video_without_tracks_tells_nothing(form, tmp_path):
    with TrackStore([Category(3, "cat")]) as store:
        for number in (1, 2):
            store.add_video(StoredVideo(number, f"film_{number}", 11, 13))
            store.add_frames(number, [(0, None, None)])
        store.add_track(2, 1, 0, None)
        store.add_sightings(2, [seen_by_mask(1, 0, 0.5, block(1, 2, 3))])
        write_tracks(store, tmp_path / "tracks.json")
    convert(tmp_path / "tracks.json", tmp_path / form)
    assert (tmp_path / form / "film_1" / "gt" / "gt.txt").read_text() == ""
    assert recognise(tmp_path / form) == form


@pytest.mark.parametrize(
    ("name", "to", "cause"),
    [
        ("x", None, "does not say which form"),
        ("x.json", None, "does not say which form"),
        ("x.txt", None, "does not say which form"),
        ("x.json", "mp4", "no form 'mp4'"),
        ("x.txt", "mot", "is a folder"),
    ],
)
def test_names_that_tell_nothing(name, to, cause, tmp_path):
    with pytest.raises(InputError, match=cause):
        form_of_name(tmp_path / name, to)


def test_targets_that_exist(log, tmp_path):
    target = tmp_path / "tracks.csv"
    target.write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        convert(log, target)
    assert target.read_text() == "precious"
    convert(log, target, overwrite=True)
    assert recognise(target) == "csv"
    convert(log, tmp_path / "davis")
    (tmp_path / "davis" / "film" / "old.txt").write_text("")
    with pytest.raises(InputError, match="exists already"):
        convert(log, tmp_path / "davis")
    convert(log, tmp_path / "davis", overwrite=True)
    assert not (tmp_path / "davis" / "film" / "old.txt").exists()
    (tmp_path / "mot").mkdir()
    (tmp_path / "mot" / "letters.txt").write_text("precious")
    with pytest.raises(InputError, match="holds something else, not tracks of the form mot"):
        convert(log, tmp_path / "mot", overwrite=True)
    assert (tmp_path / "mot" / "letters.txt").read_text() == "precious"


@pytest.mark.parametrize("form", ["tracks.json", "davis"])
def test_whole_or_not_at_all(form, log, tmp_path, monkeypatch):
    """A disk that is full in the middle leaves what was there."""
    target = tmp_path / "new" / form
    convert(log, target)
    before = {file: file.read_bytes() for file in target.parent.rglob("*") if file.is_file()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TrackStore, "frames" if form == "davis" else "tracks", full)
    with pytest.raises(QcenError, match="the disk is full"):
        convert(log, target, overwrite=True)
    assert {file: file.read_bytes() for file in target.parent.rglob("*") if file.is_file()} == before
    with pytest.raises(QcenError, match="the disk is full"):
        convert(log, tmp_path / "other" / "deep" / form)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["frames.jsonl", "new"]


def test_whole_puts_a_file_only_at_the_end(tmp_path):
    with whole(tmp_path / "a" / "b.txt") as place:
        place.write_text("text")
        assert not (tmp_path / "a" / "b.txt").exists()
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b.txt"]


def long_log(path, length):
    """A log in which a new track comes every ten frames and stays for twenty."""
    head = {
        "format": "qcen-frames", "version": 1, "categories": [{"id": 1, "name": "cat"}], "confidence": 0.0,
        "video": {"id": 1, "name": "film", "height": 61, "width": 67, "frame_rate": "5", "time_base": "1/5"},
    }  # fmt: skip
    noise = np.random.default_rng(3).random((61, 67)) > 0.5
    mask = rle.encode(noise)["counts"]
    with path.open("w") as file:
        file.write(json.dumps(head, separators=(",", ":")) + "\n")
        for frame in range(length):
            instances = [
                {"track_id": 1 + frame // 10 + k, "class": "cat", "score": 0.5, "bbox": [0, 0, 9, 9], "mask": mask}
                for k in range(2)
            ]
            line = {"frame": frame, "time_s": frame / 5, "ticks": frame, "file": None, "instances": instances}
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
        file.write(f'{{"end":{length},"notes":[]}}\n')


@pytest.mark.slow
@pytest.mark.parametrize("form", [form for form in FORMS if form not in {"davis", "mots-png"}])
def test_memory_does_not_grow_with_the_video(form, tmp_path):
    """Ten times the frames, masks alone being 3 MB more: memory grows by a fraction of that."""
    peaks = []
    for length in (100, 1000):
        long_log(tmp_path / f"{length}.jsonl", length)
        target = tmp_path / f"{length}-{form}"
        tracemalloc.start()
        convert(tmp_path / f"{length}.jsonl", target, to=form)
        convert(target, tmp_path / f"back-{length}-{form}.json", to="coco-vid", from_=form)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 500_000


def test_the_folder_of_a_run_stands_for_its_log(log, tmp_path):
    run = tmp_path / "run"
    (run / "frames").mkdir(parents=True)
    (run / "run.json").write_text("{}")
    log.rename(run / "frames" / "film.jsonl")
    assert convert(run, tmp_path / "a.csv").source_form == "frames"
    (run / "frames" / "film.jsonl").rename(run / "frames.jsonl")
    convert(run, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_prepared_data_set_tells_the_videos(log, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    video = VideoRecord(4, "film", 11, 13, ("a.jpg", "b.jpg", "c.jpg"))
    categories = (Category(3, "cat"),)
    write_boxes(BoxDataset("d", root, categories, (video,)), root / "holdout.json")
    split = PreparedSplit(root / "holdout.json", None, None, ("film",))
    write_prepared(PreparedData(root, "d", root, categories, {"holdout": split}, "test", 0, "2026-01-01", ""))
    convert(log, tmp_path / "t.csv")
    convert(tmp_path / "t.csv", tmp_path / "tracks.json", like=root)
    content = json.loads((tmp_path / "tracks.json").read_text())
    assert [(v["id"], v["file_names"]) for v in content["videos"]] == [(4, ["a.jpg", "b.jpg", "c.jpg"])]
