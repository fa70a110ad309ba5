"""Paired comparison of results: against evaluations of data sets that are made of the drawn videos."""

import json
from dataclasses import replace

import numpy as np
import pytest

from qcen_core.errors import InputError
from qcen_core.evaluation.compare import FEWEST_VIDEOS, SAMPLES, SEED, compare
from qcen_core.evaluation.evaluate import evaluate
from qcen_core.evaluation.resampling import draw_videos
from qcen_core.ops import rle
from qcen_core.records import Category, ObjectTrack, TrackDataset, TrackResult, VideoRecord

HEIGHT, WIDTH, FRAMES, VIDEOS = 23, 31, 3, 11
CATEGORIES = (Category(4, "cat"), Category(9, "dog"), Category(2, "elk"))


def mask(box):
    filled = np.zeros((HEIGHT, WIDTH), dtype=bool)
    x1, y1, x2, y2 = box
    filled[y1:y2, x1:x2] = True
    return rle.encode(filled)


def made_up(random, masks=True):
    """Ground truth with a few crowds, one class of which is in few videos, and results that more or less lie on it."""
    videos = tuple(VideoRecord(n, f"v{n}", HEIGHT, WIDTH, ("a.jpg", "b.jpg", "c.jpg")) for n in range(1, VIDEOS + 1))
    tracks, results = [], []
    for video in videos[1:]:
        for place in range(random.integers(1, 4)):
            kind = int(random.choice(3, p=[0.55, 0.35, 0.1]))
            boxes = [(x, y, x + 9, y + 11) for x, y in np.add((9 * place, 7), random.integers(0, 3, (FRAMES, 2)))]
            rows = tuple(tuple(float(v) for v in box) for box in boxes)
            covers = tuple(mask(box) for box in boxes)
            crowd = bool(random.random() < 0.15)
            tracks.append(ObjectTrack(len(tracks) + 1, video.id, kind, rows, covers if masks else None, crowd))
            for _ in range(random.integers(0, 4)):
                off = int(random.integers(0, 5))
                there = tuple(mask((x + off, y, x2 + off, y2)) for x, y, x2, y2 in boxes)
                named = kind if random.random() < 0.8 else int(random.integers(3))
                results.append(TrackResult(video.id, len(results) + 1, named, float(random.random()), there))
    return TrackDataset(CATEGORIES, videos, tuple(tracks)), results


def drawn_anew(truth, results, draw):
    """A data set in which each video is as often as it was drawn, and the results that go with it."""
    videos, tracks, found = [], [], []
    for video, times in zip(truth.videos, draw, strict=True):
        for _ in range(times):
            number = len(videos) + 1
            videos.append(replace(video, id=number, name=f"copy {number}"))
            tracks += [replace(t, id=len(tracks) + 1, video_id=number) for t in truth.tracks if t.video_id == video.id]
            found += [replace(result, video_id=number) for result in results if result.video_id == video.id]
    tracks = tuple(replace(track, id=number) for number, track in enumerate(tracks, start=1))
    return TrackDataset(truth.categories, tuple(videos), tracks), found


def figures(report):
    masks = report.measured_on == "mask"
    classes = report.per_class if masks else report.box_per_class
    at_half = report.AP50 if masks else report.box["tube_AP50"]
    return {
        "AP": report.AP if masks else report.box["tube_AP"],
        "AP50": at_half,
        "HOTA": report.hota["HOTA"],
        **classes,
    }


def videos_with(truth, name):
    kinds = [kind for kind, category in enumerate(CATEGORIES) if category.name == name] or range(3)
    return len({track.video_id for track in truth.tracks if track.class_id in kinds and not track.is_crowd})


@pytest.mark.parametrize("masks", [True, False])
def test_it_is_an_evaluation_of_the_drawn_videos(masks, monkeypatch):
    monkeypatch.setattr("qcen_core.evaluation.compare.FEWEST_VIDEOS", 1)
    random = np.random.default_rng(4)
    truth, first = made_up(random, masks)
    second = [replace(result, score=float(random.random())) for result in first if random.random() < 0.8]
    samples, seed = 29, 7
    (found,) = compare([first, second], truth, ["a", "b"], samples=samples, seed=seed)
    differences = {name: [] for name in found.figures | found.per_class}
    for draw in draw_videos(VIDEOS, samples, seed):
        a, b = (figures(evaluate(*drawn_anew(truth, results, draw)[::-1])) for results in (first, second))
        for name in differences:
            if a[name] is not None:
                differences[name].append(b[name] - a[name])
    a, b = (evaluate(results, truth) for results in (first, second))
    assert min(len(values) for values in differences.values()) < samples  # a class that some samples lack
    assert any(track.is_crowd for track in truth.tracks)
    for name, difference in (found.figures | found.per_class).items():
        assert (difference.a, difference.b) == (pytest.approx(figures(a)[name]), pytest.approx(figures(b)[name])), name
        assert difference.difference == pytest.approx(figures(b)[name] - figures(a)[name], abs=1e-12)
        assert difference.videos == videos_with(truth, name)
        ends = np.percentile(differences[name], (2.5, 97.5))
        assert (difference.low, difference.high) == pytest.approx(tuple(ends), abs=1e-12), name
    assert {name: (row.a, row.b) for name, row in found.per_video.items()} == {
        name: (a.videos[name], b.videos[name]) for name in a.videos
    }
    assert found.per_video["v1"].difference is None
    assert found.measured_on == ("mask" if masks else "box")


def test_videos_are_drawn_evenly_and_as_many_as_there_are():
    draws = draw_videos(VIDEOS, 2003, 5)
    assert set(draws.sum(axis=1).tolist()) == {VIDEOS}
    assert np.abs(draws.mean(axis=0) - 1).max() < 0.1
    # The chance that a video is not drawn at all.
    assert abs((draws == 0).mean() - (1 - 1 / VIDEOS) ** VIDEOS) < 0.02
    assert (draws == draw_videos(VIDEOS, 2003, 5)).all()
    assert (draws != draw_videos(VIDEOS, 2003, 6)).any()


def test_a_result_does_not_differ_from_itself():
    truth, results = made_up(np.random.default_rng(2))
    (found,) = compare([results, list(results)], truth, ["a", "b"])
    rows = (*found.figures.values(), *found.per_class.values())
    assert {row.videos >= FEWEST_VIDEOS for row in rows} == {True, False}
    for difference in rows:
        interval = (0, 0) if difference.videos >= FEWEST_VIDEOS else (None, None)
        assert (difference.difference, difference.low, difference.high) == (0, *interval)
    assert {row.difference for row in found.per_video.values()} == {0, None}
    assert (found.samples, found.seed, found.videos) == (SAMPLES, SEED, VIDEOS)
    assert found.notes == ()


def test_the_interval_tells_a_class_that_was_spoilt():
    truth, _ = made_up(np.random.default_rng(13))
    perfect = [TrackResult(t.video_id, t.id, t.class_id, 0.9, t.segmentations) for t in truth.tracks if not t.is_crowd]
    spoilt = [replace(row, class_id=2) if row.class_id == 0 else row for row in perfect]
    third = [replace(row, score=0.8) for row in perfect]
    found, same = compare([perfect, spoilt, third], truth, ["good", "bad", "other"])
    assert found.names == ("good", "bad")
    assert same.names == ("good", "other")
    assert found.figures["AP"].high < 0
    assert found.per_class["cat"].low == found.per_class["cat"].high == -1
    assert (found.per_class["dog"].low, found.per_class["dog"].high) == (0, 0)
    assert found.figures["HOTA"].difference == 0  # classes play no part there
    assert same.figures["AP"].low == same.figures["AP"].high == 0
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(told["figures"]["AP"]) == {"a", "b", "difference", "low", "high", "videos"}
    assert {"names", "videos", "samples", "figures", "per_class", "per_video"} <= set(told)


def test_undefined_figures_stay_undefined():
    truth, results = made_up(np.random.default_rng(2))
    (found,) = compare([results, []], replace(truth, tracks=()), ["a", "b"], samples=13)
    assert {found.figures["AP"].a, found.figures["AP"].difference, found.figures["AP"].low} == {None}
    assert {row.difference for row in found.per_class.values()} == {None}
    assert found.notes == (
        f"b has no result in {len({row.video_id for row in results})} of the videos where a has some",
    )


def test_results_of_other_videos_are_refused():
    truth, results = made_up(np.random.default_rng(2))
    early, late = ([row for row in results if (row.video_id < 6) == first] for first in (True, False))
    with pytest.raises(InputError, match=r"^b: has results in \d videos, a in \d others$"):
        compare([early, late], truth, ["a", "b"])
    with pytest.raises(InputError, match="video 12 is not in the ground truth"):
        compare([early, [replace(late[0], video_id=12)]], truth, ["a", "b"])
    with pytest.raises(ValueError, match="one set of results"):
        compare([early], truth, ["a"])
