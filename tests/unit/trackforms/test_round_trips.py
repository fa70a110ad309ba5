"""What a form can hold comes back as it was, form by form and from one form to another and back."""

import tempfile
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_stores import Kind, content, stores

from qcen_core.trackforms.coco_vid import read_coco_vid, write_coco_vid
from qcen_core.trackforms.convert import convert
from qcen_core.trackforms.csv_table import read_csv, write_csv
from qcen_core.trackforms.known_videos import read_known_videos
from qcen_core.trackforms.log_files import log_confidence, read_logs, write_logs
from qcen_core.trackforms.mot import read_mot, write_mot
from qcen_core.trackforms.mots import read_mots_png, read_mots_text, write_mots_png, write_mots_text
from qcen_core.trackforms.palette_png import read_palette_png, write_palette_png
from qcen_core.trackforms.store import TrackStore
from qcen_core.trackforms.youtubevis_results import read_results, write_results
from qcen_core.trackforms.youtubevis_tracks import read_tracks, write_tracks

MASKS = Kind(boxes=False)
DISJOINT = Kind(boxes=False, overlaps=False)
SETTINGS = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def trip(make, write, read, **what):
    """What was in a store, and what is after it was written and read."""
    with tempfile.TemporaryDirectory() as folder, make() as store, TrackStore(()) as back:
        path = Path(folder) / "film.x"
        write(store, path)
        read(back, path)
        return content(store, **what), content(back, **what), store, back


def with_known(make, write, read, **what):
    """As `trip`, the videos being known from an annotation file."""
    with tempfile.TemporaryDirectory() as folder, make() as store, TrackStore(()) as back:
        path, known = Path(folder) / "film", Path(folder) / "known.json"
        write(store, path)
        write_tracks(store, known)
        read(back, path, read_known_videos(known))
        assert back.categories == store.categories
        return content(store, **what), content(back, **what)


@SETTINGS
@given(stores())
def test_tracks_and_coco_vid_hold_everything(make):
    for write, read in ((write_tracks, read_tracks), (write_coco_vid, read_coco_vid)):
        before, after, store, back = trip(make, write, read)
        assert before == after
        assert back.categories == store.categories


@SETTINGS
@given(stores(MASKS))
def test_results_hold_masks_and_scores_of_tracks(make):
    before, after = with_known(make, write_results, read_results, times=False, files=False, frame_scores=False)
    for (*video, _, tracks), (*video_after, _, tracks_after) in zip(before, after, strict=True):
        assert video == video_after
        # No ids: numbered from 1 in their order. A score that is not known is 1.
        scored = [(label, 1.0 if score is None else score, seen) for label, score, seen in tracks.values()]
        assert list(tracks_after.values()) == scored
        assert list(tracks_after) == list(range(1, len(tracks) + 1))


@SETTINGS
@given(stores(DISJOINT))
def test_palette_png_hold_classes_and_scores_beside_them(make):
    what = {"times": False, "files": False, "frame_scores": False, "classes": "name"}
    before, after, *_ = trip(make, write_palette_png, read_palette_png, ids=False, **what)
    assert before == after
    assert len(set(map(str, with_known(make, write_palette_png, read_palette_png, **what)))) == 1


@SETTINGS
@given(stores(DISJOINT), st.sampled_from([(write_mots_png, read_mots_png), (write_mots_text, read_mots_text)]))
def test_mots_hold_masks_and_classes(make, form):
    what = {"times": False, "files": False, "frame_scores": False, "track_scores": False, "classes": "name"}
    before, after, *_ = trip(make, *form, ids=False, **what)
    assert before == after
    before, after = with_known(make, *form, **what)
    assert before == after


@SETTINGS
@given(stores(Kind(unscored=False)))
def test_mot_holds_boxes_and_scores(make):
    what = {"times": False, "files": False, "masks": False, "track_scores": False, "classes": "name"}
    before, after, *_ = trip(make, write_mot, read_mot, ids=False, **what)
    assert before == after


@SETTINGS
@given(stores(Kind(unscored=False, boxes=False, videos=1)), st.booleans())
def test_a_log_holds_all_but_scores_of_tracks(make, file):
    write = partial(write_logs, file=file, confidence=0.4)
    with tempfile.TemporaryDirectory() as folder, make() as store, TrackStore(()) as back:
        path = Path(folder) / "film.x"
        write(store, path)
        read_logs(back, path)
        assert log_confidence(path) == 0.4
        assert content(store, times=False, track_scores=False) == content(back, times=False, track_scores=False)
        for (video,), (video_after,) in zip([store.videos()], [back.videos()], strict=True):
            assert video_after.frame_rate == (video.frame_rate or 1)
            # What nobody said is made up: a frame a tick.
            assert video_after.time_base == (video.time_base or 1 / video_after.frame_rate)
            ticks = [i if t is None else t for i, t, _ in store.listed_frames(video)]
            assert [t for _, t, _ in back.listed_frames(video_after)] == ticks


@SETTINGS
@given(stores())
def test_times_of_a_table_are_microseconds(make):
    with tempfile.TemporaryDirectory() as folder, make() as store, TrackStore(()) as back:
        write_csv(store, Path(folder) / "a.csv")
        read_csv(back, Path(folder) / "a.csv")
        videos = {video.name: video for video in store.videos()}
        for after in back.videos():
            before = videos[after.name]
            frames = list(store.frames(before))
            for frame in back.frames(after):
                if before.time_base is not None and frame.sightings:
                    exact = frames[frame.index].ticks * before.time_base
                    assert abs(frame.ticks * after.time_base - exact) <= Fraction(1, 1_000_000)


@SETTINGS
@given(stores())
def test_a_table_holds_all_but_frames_without_tracks(make):
    before, after = with_known(make, write_csv, read_csv, times=False, files=False, classes="name")
    assert after == [video for video in before if video[-1]]


JSON_FORMS = {"tracks": "tracks.json", "coco-vid": "coco.json"}
LESS = {
    "csv": {"times": False, "files": False},
    "mots": {"times": False, "files": False, "frame_scores": False, "track_scores": False},
    "mots-png": {"times": False, "files": False, "frame_scores": False, "track_scores": False},
    "davis": {"times": False, "files": False, "frame_scores": False},
    "mot": {"times": False, "files": False, "masks": False, "frame_scores": False, "track_scores": False},
}


@pytest.mark.parametrize("other", ["coco-vid", *LESS])
@settings(SETTINGS, max_examples=15)
@given(stores(DISJOINT))
def test_there_and_back_again(other, make):
    """tracks -> another form -> tracks, with the first file telling of the videos where the other form does not."""
    with tempfile.TemporaryDirectory() as name, make() as store, TrackStore(()) as back:
        folder = Path(name)
        first, middle, last = folder / "tracks.json", folder / JSON_FORMS.get(other, "middle"), folder / "back.json"
        write_tracks(store, first)
        convert(first, middle, to=other)
        convert(middle, last, to="tracks", like=first if other in LESS else None)
        read_tracks(back, last)
        what = LESS.get(other, {})
        before, after = content(store, classes="name", **what), content(back, classes="name", **what)
        if other == "csv":  # says nothing of videos without a track
            before = [video for video in before if video[-1]]
        assert before == after
        if other == "coco-vid":
            assert first.read_bytes() == last.read_bytes()


@settings(SETTINGS, max_examples=15)
@given(stores(Kind(boxes=False, unscored=False, unnumbered=False)))
def test_results_there_and_back_again(make):
    with tempfile.TemporaryDirectory() as name, make() as store:
        folder = Path(name)
        write_tracks(store, folder / "tracks.json")
        convert(folder / "tracks.json", folder / "results.json")
        convert(folder / "results.json", folder / "back.json", to="tracks", like=folder / "tracks.json")
        convert(folder / "back.json", folder / "again.json", to="results")
        assert (folder / "results.json").read_bytes() == (folder / "again.json").read_bytes()
