"""All that there is to know of annotations before anything is made of them: their boxes, and everything wrong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from qcen_core.conversion.annotations import Annotations
from qcen_core.conversion.box_rows import BoxRows, collect_rows
from qcen_core.conversion.check_frames import check_frames
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
        problems: what was left out, and what is worth knowing.
    """

    annotations: Annotations
    rows: BoxRows
    usable: tuple[int, ...]
    problems: tuple[Problem, ...]

    @property
    def frames(self) -> int:
        """Number of frames of the usable videos."""
        return sum(len(self.annotations.videos[index].frame_files) for index in self.usable)

    def density(self) -> LabelDensity:
        """How densely the frames of the usable videos are labelled."""
        unlabelled = sum(len(self.annotations.unlabelled.get(index, ())) for index in self.usable)
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
    found, right = check_boxes(rows, annotations.videos)
    problems += found
    unasked = _at_unlabelled_frames(rows, annotations)
    problems += [
        Problem(
            "label at an unlabelled frame",
            rows.place(row),
            "the frame is listed as one that nobody labelled",
            "correct the one or the other",
        )
        for row in np.flatnonzero(unasked).tolist()
    ]
    right &= ~unasked
    if check_masks:
        masked = annotations.with_masks(range(len(annotations.videos)))
        problems += [item for item in masked if isinstance(item, Problem)]
    _require_none(problems, skip_bad)
    if frames_root is not None:
        problems += check_frames(annotations.videos, frames_root, on_progress)
        _require_none(problems, skip_bad)
    spoilt = {problem.video for problem in problems if problem.video is not None}
    usable = tuple(index for index in range(len(annotations.videos)) if index not in spoilt)
    rows = rows.select(right & np.isin(rows.videos, usable))
    rows = replace(rows, boxes=np.clip(rows.boxes, 0, np.tile(frame_sizes(annotations.videos)[rows.videos], 2)))
    problems += check_duplicates(rows)
    problems += check_categories(rows, annotations.categories, str(annotations.path))
    return Survey(annotations, rows, usable, tuple(problems))


def _at_unlabelled_frames(rows: BoxRows, annotations: Annotations) -> BoolArray:
    """(N,) whether each row lies at a frame that nobody labelled."""
    found = np.zeros(len(rows), np.bool_)
    for video, frames in annotations.unlabelled.items():
        found |= (rows.videos == video) & np.isin(rows.frames, list(frames))
    return found


def _require_none(problems: Sequence[Problem], skip_bad: bool) -> None:
    fatal = [problem for problem in problems if problem.loses_labels]
    if fatal and not skip_bad:
        raise fatal[0].error(others=len(fatal) - 1)
