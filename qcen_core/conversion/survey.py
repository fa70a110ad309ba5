"""All that there is to know of annotations before anything is made of them: their boxes, and everything wrong."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from qcen_core.conversion.annotations import Annotations
from qcen_core.conversion.box_rows import BoxRows, collect_rows
from qcen_core.conversion.check_frames import check_frames, check_shared_frames
from qcen_core.conversion.check_rows import check_boxes, check_categories, check_duplicates, frame_sizes
from qcen_core.conversion.problems import Problem, Progress
from qcen_core.records import BoolArray


@dataclass(frozen=True, slots=True)
class LabelDensity:
    """How densely the frames are labelled.

    Attributes:
        labelled: frames that somebody labelled.
        empty: those of them that hold no object.
        unlabelled: frames that nobody labelled.
        boxes_per_frame: mean over the labelled frames.
        most_boxes: in one frame.
    """

    labelled: int
    empty: int
    unlabelled: int
    boxes_per_frame: float
    most_boxes: int


@dataclass(frozen=True, slots=True)
class Survey:
    """Annotations that were looked through.

    Attributes:
        annotations: the source.
        rows: the boxes that can be used, cut at the border of their frames.
        usable: indices of the videos that can be used.
        unlabelled: video index -> frames that nobody labelled, or that lost a label whose place is not known.
        problems: what was left out, and what is worth knowing.
    """

    annotations: Annotations
    rows: BoxRows
    usable: tuple[int, ...]
    unlabelled: Mapping[int, Collection[int]]
    problems: tuple[Problem, ...]

    @property
    def frames(self) -> int:
        """Number of frames of the usable videos."""
        return sum(len(self.annotations.videos[index].frame_files) for index in self.usable)

    def density(self) -> LabelDensity:
        """How densely the frames of the usable videos are labelled."""
        unlabelled = sum(len(self.unlabelled.get(index, ())) for index in self.usable)
        longest = max((len(video.frame_files) for video in self.annotations.videos), default=0)
        counts = np.unique(self.rows.videos * longest + self.rows.frames, return_counts=True)[1]
        labelled = self.frames - unlabelled
        return LabelDensity(
            labelled=labelled,
            empty=labelled - len(counts),
            unlabelled=unlabelled,
            boxes_per_frame=round(len(self.rows) / max(labelled, 1), 3),
            most_boxes=int(counts.max(initial=0)),
        )

    def category_counts(self) -> dict[str, tuple[int, int]]:
        """Category -> its boxes and the videos that it occurs in, regions to ignore left aside."""
        seen = ~self.rows.ignore
        boxes = Counter(self.rows.class_ids[seen].tolist())
        count = len(self.annotations.videos)
        pairs = np.unique(self.rows.class_ids[seen] * count + self.rows.videos[seen])
        videos = Counter((pairs // max(count, 1)).tolist())
        return {c.name: (boxes[index], videos[index]) for index, c in enumerate(self.annotations.categories)}


def survey(
    annotations: Annotations,
    frames_root: Path | None,
    *,
    skip_bad: bool,
    check_masks: bool = False,
    on_progress: Progress | None = None,
) -> Survey:
    """Reads all boxes, looks at their values, and at every frame file.

    Args:
        annotations: the source.
        frames_root: folder that frame files are relative to; `None` to take the frames on trust.
        skip_bad: leave out wrong labels and unusable videos, instead of raising.
        check_masks: look at all masks, even where none is needed.
        on_progress: called with videos done and all videos.

    Raises:
        InputError: unless they are left out, a record or a frame that cannot be used.
    """
    rows, problems = collect_rows(annotations)
    found, right, beyond = check_boxes(rows, annotations.videos)
    problems += found
    unasked = _at_unlabelled_frames(rows, annotations)
    problems += [
        Problem(
            "label at an unlabelled frame", rows.place(row), "it lies at a frame listed as unlabelled", "correct it"
        )
        for row in np.flatnonzero(unasked).tolist()
    ]
    if check_masks:
        masked = annotations.with_masks(range(len(annotations.videos)))
        problems += [item for item in masked if isinstance(item, Problem)]
    _require_none(problems, skip_bad)
    problems += check_shared_frames(annotations.videos)
    _require_none(problems, skip_bad)
    if frames_root is not None:
        problems += check_frames(annotations.videos, frames_root, on_progress)
        _require_none(problems, skip_bad)
    problems = _with_boxes_of_videos(problems, rows)
    spoilt = {problem.video for problem in problems if problem.video is not None}
    usable = tuple(index for index in range(len(annotations.videos)) if index not in spoilt)
    unlabelled = _unlabelled(rows, annotations, np.asarray(~np.isfinite(rows.boxes).all(axis=1)))
    # What leaves its frame is no label to learn from, but there is something: neither object nor background.
    rows = replace(rows, ignore=rows.ignore | beyond)
    rows = rows.select((right | beyond) & ~unasked & np.isin(rows.videos, usable))
    rows = replace(rows, boxes=np.clip(rows.boxes, 0, np.tile(frame_sizes(annotations.videos)[rows.videos], 2)))
    rows = rows.select(~_at_frames(rows, unlabelled))
    problems += check_duplicates(rows)
    problems += check_categories(rows, annotations.categories, str(annotations.path))
    return Survey(annotations, rows, usable, unlabelled, tuple(problems))


def _at_unlabelled_frames(rows: BoxRows, annotations: Annotations) -> BoolArray:
    return _at_frames(rows, annotations.unlabelled)


def _at_frames(rows: BoxRows, frames_of: Mapping[int, Collection[int]]) -> BoolArray:
    """(N,) whether each row lies at one of these frames of its video."""
    found = np.zeros(len(rows), np.bool_)
    for video, frames in frames_of.items():
        found |= (rows.videos == video) & np.isin(rows.frames, list(frames))
    return found


def _unlabelled(rows: BoxRows, annotations: Annotations, lost: BoolArray) -> dict[int, frozenset[int]]:
    """Frames that nobody labelled, and those that lost a label without a place: they are no background either."""
    frames_of = {video: set(frames) for video, frames in annotations.unlabelled.items()}
    for video, frame in zip(rows.videos[lost].tolist(), rows.frames[lost].tolist(), strict=True):
        frames_of.setdefault(video, set()).add(frame)
    return {video: frozenset(frames) for video, frames in frames_of.items()}


def _with_boxes_of_videos(problems: Sequence[Problem], rows: BoxRows) -> list[Problem]:
    """The problems, the first one of each lost video with all boxes of the video."""
    counted: list[Problem] = []
    told: set[int] = set()
    for problem in problems:
        if problem.video is not None:
            boxes = 0 if problem.video in told else int((rows.videos == problem.video).sum())
            told.add(problem.video)
            problem = replace(problem, boxes=boxes)
        counted.append(problem)
    return counted


def _require_none(problems: Sequence[Problem], skip_bad: bool) -> None:
    fatal = [problem for problem in problems if problem.loses_labels]
    if fatal and not skip_bad:
        raise fatal[0].error(others=len(fatal) - 1)
