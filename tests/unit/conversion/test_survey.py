from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qcen_core.conversion.annotations import ListedAnnotations, SourceObject
from qcen_core.conversion.problems import Problem, count_boxes, count_problems
from qcen_core.conversion.survey import LabelDensity, survey
from qcen_core.errors import InputError
from qcen_core.records import Category, VideoRecord

HEIGHT, WIDTH = 61, 101
CATEGORIES = (Category(9, "cat"), Category(4, "dog"), Category(7, "owl"))
GOOD = (10.0, 10.0, 30.0, 40.0)


def video(number, frames):
    return VideoRecord(number, f"v{number}", HEIGHT, WIDTH, tuple(f"v{number}/{i}.png" for i in range(frames)))


def item(video, boxes, frames=None, class_id=0, **more):
    frames = list(range(len(boxes))) if frames is None else frames
    return SourceObject(f"x.json: object {video}", video, class_id, frames, boxes, **more)


def listed(*items, videos=None, unlabelled=None):
    videos = videos or (video(1, 3), video(2, 2))
    return ListedAnnotations(Path("x.json"), CATEGORIES, videos, items, unlabelled or {})


def look(*items, frames_root=None, skip_bad=True, **more):
    return survey(listed(*items, **more), frames_root, skip_bad=skip_bad)


def test_density_tells_empty_frames_from_unlabelled_ones():
    items = (item(0, [GOOD]), item(0, [GOOD, GOOD], class_id=1), item(1, [GOOD], class_id=1, ignore=True))
    assert look(*items, unlabelled={0: {2}}).density() == LabelDensity(4, 1, 1, 1.0, 2)
    assert look(*items).density() == LabelDensity(5, 2, 0, 0.8, 2)
    assert look().density() == LabelDensity(5, 5, 0, 0.0, 0)
    nobody = look(unlabelled={0: range(3), 1: (0, 1)})
    assert nobody.density() == LabelDensity(0, 0, 5, 0.0, 0)


def test_categories_are_counted_in_boxes_and_videos_without_regions_to_ignore():
    items = (
        item(0, [GOOD, GOOD]),
        item(1, [GOOD]),
        item(1, [GOOD, GOOD], class_id=1),
        item(0, [GOOD], class_id=1, ignore=True),
    )
    assert look(*items).category_counts() == {"cat": (3, 2), "dog": (2, 1), "owl": (0, 0)}
    assert look().category_counts() == {"cat": (0, 0), "dog": (0, 0), "owl": (0, 0)}


@settings(max_examples=80)
@given(
    labels=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2), st.booleans()), max_size=20),
    lengths=st.lists(st.integers(3, 5), min_size=4, max_size=4),
)
def test_counts_are_those_of_a_slow_loop(labels, lengths):
    items = [item(v, [GOOD], frames=[frame], class_id=c, ignore=i) for v, frame, c, i in labels]
    videos = tuple(video(n, length) for n, length in enumerate(lengths, start=1))
    found = look(*items, videos=videos)
    for class_id, category in enumerate(CATEGORIES):
        of_class = [v for v, _, c, ignore in labels if c == class_id and not ignore]
        assert found.category_counts()[category.name] == (len(of_class), len(set(of_class)))
    places = [(v, frame) for v, frame, _, _ in labels]
    density = found.density()
    assert density.empty == sum(lengths) - len(set(places))
    assert density.most_boxes == max((places.count(place) for place in places), default=0)
    assert density.boxes_per_frame == round(len(places) / sum(lengths), 3)


WRONG = (-30.0, 10.0, 30.0, 40.0)
TOLD = Problem("unknown category", "x.json: object 9", "category_id 3 is unknown", "add it")


@pytest.mark.parametrize(
    ("items", "kinds"),
    [
        ((item(0, [GOOD, WRONG]),), {"box outside the frame": 1}),
        ((TOLD, item(0, [GOOD])), {"unknown category": 1}),
        ((item(0, [WRONG, GOOD, (3, 3, 3, 3)]), TOLD), {"unknown category": 1, "box outside the frame": 1}),
    ],
)
def test_the_first_wrong_label_is_raised_or_all_are_left_out(items, kinds):
    with pytest.raises(InputError) as caught:
        look(*items, skip_bad=False)
    assert "--skip-bad" in caught.value.hint
    found = look(*items)
    assert found.rows.select(~found.rows.ignore).boxes.tolist() == [list(GOOD)]
    # Of a box that leaves its frame the part that shows is to be ignored: there is something.
    shown = found.rows.select(found.rows.ignore).boxes.tolist()
    assert shown == [[0.0, 10.0, 30.0, 40.0]] * ("box outside the frame" in kinds)
    assert found.usable == (0, 1)
    counted = count_problems(found.problems)
    assert {kind: counted[kind] for kind in kinds} == kinds


def test_how_many_more_there_are_is_told():
    with pytest.raises(InputError) as caught:
        look(item(0, [WRONG] * 3), TOLD, skip_bad=False)
    assert caught.value.cause == TOLD.cause
    assert "(3 more: see them all with --check)" in caught.value.hint


def test_what_loses_no_label_is_never_raised():
    found = look(item(0, [GOOD]), item(0, [GOOD]), skip_bad=False)
    assert sorted(p.kind for p in found.problems) == ["near-duplicate box", "unused category", "unused category"]
    assert count_problems(found.problems) == {}
    assert len(found.rows) == 2


def test_boxes_are_cut_at_the_border():
    found = look(item(0, [(-1.0, -0.5, 101.75, 62.0)]))
    assert found.rows.boxes.tolist() == [[0, 0, WIDTH, HEIGHT]]


@pytest.fixture
def frames(tmp_path):
    for number, count in ((1, 3), (2, 2)):
        (tmp_path / f"v{number}").mkdir()
        for index in range(count):
            Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / f"v{number}" / f"{index}.png")
    return tmp_path


def test_a_video_of_which_a_frame_is_missing_goes_with_its_labels(frames):
    items = (item(0, [GOOD, GOOD]), item(1, [GOOD], class_id=2))
    assert look(*items, frames_root=frames, skip_bad=False).usable == (0, 1)
    (frames / "v1" / "2.png").unlink()
    with pytest.raises(InputError, match="no such frame file"):
        look(*items, frames_root=frames, skip_bad=False)
    found = look(*items, frames_root=frames)
    assert (found.usable, found.frames, found.rows.videos.tolist()) == ((1,), 2, [1])
    assert count_problems(found.problems) == {"missing frame file": 1}
    assert found.category_counts() == {"cat": (0, 0), "dog": (0, 0), "owl": (1, 1)}
    assert found.density() == LabelDensity(2, 1, 0, 0.5, 1)
    assert look(*items, frames_root=None, skip_bad=False).usable == (0, 1)


def test_nothing_is_left(frames):
    for number in (1, 2):
        (frames / f"v{number}" / "0.png").unlink()
    found = look(item(0, [GOOD]), frames_root=frames)
    assert (found.usable, len(found.rows), found.frames) == ((), 0, 0)
    assert found.density() == LabelDensity(0, 0, 0, 0.0, 0)


def test_a_problem_of_a_whole_video_leaves_it_out():
    spoilt = Problem("wrong frame size", "x.json: video 1", "cause", "hint", video=0)
    found = look(item(0, [GOOD]), spoilt, item(1, [GOOD]))
    assert (found.usable, found.rows.videos.tolist()) == ((1,), [1])


class Masked(ListedAnnotations):
    """Of each object of the second video the mask cannot be read."""

    def with_masks(self, videos):
        for found in super().with_masks(videos):
            yield found if found.video == 0 else Problem("unreadable mask", found.place, "cut off", "write it again")


def test_masks_are_looked_at_only_where_asked_for():
    source = Masked(Path("x.json"), CATEGORIES, (video(1, 1), video(2, 1)), (item(0, [GOOD]), item(1, [GOOD])))
    assert count_problems(survey(source, None, skip_bad=False).problems) == {}
    assert count_problems(survey(source, None, skip_bad=True, check_masks=True).problems) == {"unreadable mask": 1}
    with pytest.raises(InputError, match="cut off"):
        survey(source, None, skip_bad=False, check_masks=True)


def test_a_label_at_a_frame_that_nobody_labelled_is_a_contradiction():
    surveyed = look(item(0, [GOOD, GOOD], frames=[0, 2]), unlabelled={0: [2]})
    assert [problem.kind for problem in surveyed.problems if problem.loses_labels] == ["label at an unlabelled frame"]
    assert len(surveyed.rows) == 1
    assert surveyed.density().empty >= 0


def test_a_frame_that_lost_a_label_without_a_place_is_no_background():
    nowhere = (float("nan"), 1.0, 2.0, 3.0)
    found = look(item(0, [GOOD, nowhere]), item(0, [GOOD, GOOD], class_id=1))
    assert found.unlabelled == {0: {1}}
    assert found.rows.frames.tolist() == [0, 0]
    assert found.density().unlabelled == 1


def test_boxes_that_are_lost_are_counted():
    told = replace(TOLD, boxes=7)
    found = look(told, item(0, [GOOD, GOOD, GOOD]), item(1, [WRONG]), videos=(video(1, 3), video(1, 2)))
    lost = count_boxes(found.problems)
    # The second video's frames are named as the first one's: it is left out, with its box.
    assert lost == {"unknown category": 7, "box outside the frame": 1, "frames of another video": 1}
    assert found.usable == (0,)
