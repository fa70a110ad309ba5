"""MOTChallenge ground truth: a `gt.txt` a sequence, one box of one object at one frame a line.

Facts about the format, from the instructions of motchallenge.net and from the description of CVAT's export:

- A line is `frame, id, x, y, width, height, active, class, visibility`, `x y` being the left top corner in pixels. The
  sets of 2015 have no class; there the numbers from the eighth on are a place in the world, or -1.
- Frames count from 1. All frames of a sequence were looked at: one without a line holds no object.
- Where `active` is 0 the entry counts neither as an object nor as background. In detections, which have the same form,
  it is a score, and ids are -1.
- CVAT writes the names of the classes to `labels.txt` beside `gt.txt`; class n is line n, from 1.

Boxes are taken as they are: `x y` are continuous pixels from 0, as CVAT and most tools write and read them. By the
instructions the official sets count pixels from 1: from `x y` of sequences that are called as theirs (`MOT17-02` and
the like, of MOT16, MOT17 and MOT20) and have no `labels.txt`, 1 is taken away.

What cannot be used is kept out of training: a box whose class has no name, or whose track has a box at that frame
already, becomes a region to ignore, and the frame of a line that cannot be read is taken as one that nobody labelled.
Where not even the frame can be read, the sequence stays as it is.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

from qcen_core.conversion.annotations import ANY_CLASS, ListedAnnotations, SourceObject
from qcen_core.conversion.formats.file_names import distinct_file_names
from qcen_core.conversion.formats.found_videos import find_video
from qcen_core.conversion.formats.incomplete_frames import leave_out_frames
from qcen_core.conversion.formats.label_lines import FrameLabel, join_tracks, merge_categories
from qcen_core.conversion.formats.mot_sequence import MotSequence, find_truth, find_unlabelled, read_sequence
from qcen_core.conversion.formats.read_labels import ReadLabels
from qcen_core.conversion.frame_library import FoundVideo, FrameLibrary
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.records import VideoRecord


def read_mot(path: Path, library: FrameLibrary | None) -> ReadLabels:
    """Reads MOTChallenge ground truth; boxes become `x1 y1 x2 y2` pixels, frames count from 0.

    Class names come from `labels.txt` beside `gt.txt`; sequences that are called as those of MOT16, MOT17 and MOT20
    have the official names, others names like `class 3`; without classes all is one category, `object`. Frames come
    from the library by the sequence's name.

    Args:
        path: a `gt.txt` or `det.txt`, a sequence's folder, or a folder of sequences at any depth.
        library: the frames; by default those in the folder of the sequence or sequences.

    Raises:
        InputError: there is no ground truth or no frames, or a file cannot be used at all.
    """
    folder, files = find_truth(path)
    sequences = [read_sequence(file) for file in files]
    library = library or FrameLibrary(folder)
    categories = merge_categories(pair for sequence in sequences for pair in sequence.class_names.items())
    class_of = {category.name: index for index, category in enumerate(categories)}
    found: list[tuple[MotSequence, FoundVideo]] = []
    items: list[SourceObject | Problem] = list(find_unlabelled(folder))
    missing: list[Problem] = []
    unlabelled: dict[int, frozenset[int]] = {}
    for sequence in sequences:
        video = _find_frames(sequence, folder, library, alone=len(sequences) == 1)
        items += sequence.problems
        if isinstance(video, Problem):
            missing.append(video)
        else:
            items += _remarks(sequence, video)
            frame_of = _frame_finder(sequence, video)
            items += join_tracks(_labels(sequence, len(found), video, class_of, frame_of))
            incomplete = {frame for number in sequence.incomplete if (frame := frame_of(number)) is not None}
            if incomplete:
                unlabelled[len(found)] = frozenset(incomplete)
            found.append((sequence, video))
    if not found:
        raise InputError(missing[0].cause, place=missing[0].place, hint=missing[0].hint)
    items = [*leave_out_frames(items, unlabelled, path), *missing]
    annotations = ListedAnnotations(path, categories, _records(found), tuple(items), unlabelled)
    return ReadLabels(annotations, library.root, library)


def _records(found: Sequence[tuple[MotSequence, FoundVideo]]) -> tuple[VideoRecord, ...]:
    """Videos in the size that their boxes are stated for; whether frames have that size is checked elsewhere."""
    names = distinct_file_names([sequence.name for sequence, _ in found])
    return tuple(
        VideoRecord(number, name, sequence.info.height or video.height, sequence.info.width or video.width, video.files)
        for number, (name, (sequence, video)) in enumerate(zip(names, found, strict=True), start=1)
    )


def _find_frames(sequence: MotSequence, folder: Path, library: FrameLibrary, *, alone: bool) -> FoundVideo | Problem:
    """The frames of a sequence: by its place, by its name, or the only ones where there is but one of each."""
    roots = (library.root.absolute(), folder)
    paths = [sequence.folder.relative_to(root) for root in roots if sequence.folder.is_relative_to(root)]
    inner = [path / (sequence.info.frames or "") for path in (*paths, Path(sequence.name))]
    known = set(library.names)
    try:
        place = next((path.as_posix() for path in (*inner, *paths) if path.as_posix() in known), None)
        names = [sequence.name, sequence.folder.name] if place is None else [place]
        found = find_video(names, library, alone=alone)
    except InputError as error:
        return Problem("sequence without frames", str(sequence.file), error.line(), error.hint or "write them again")
    if found is None:
        cause = f"there are no frames of '{sequence.name}' in {library.root}"
        return Problem("sequence without frames", str(sequence.file), cause, "pass the folder of frames as --frames")
    return found


def _remarks(sequence: MotSequence, video: FoundVideo) -> Iterator[Problem]:
    """What is unusual and costs no label by itself."""
    place = str(sequence.file)
    if sequence.first_frame == 0:
        cause = "there is a frame 0, so frames are counted from 0 here"
        yield Problem("frames from 0", place, cause, "MOTChallenge counts them from 1: check it", loses_labels=False)
    length = sequence.info.length
    if length is not None and length != len(video.files):
        cause = f"seqinfo.ini says {length} frames, there are {len(video.files)}"
        yield Problem("frame count mismatch", place, cause, "pass all frames of it", loses_labels=False)


def _labels(
    sequence: MotSequence,
    index: int,
    video: FoundVideo,
    class_of: Mapping[str, int],
    frame_of: Callable[[int], int | None],
) -> Iterator[FrameLabel | Problem]:
    for line in sequence.lines:
        name, frame = sequence.class_name(line), frame_of(line.frame)
        if name is None:
            hint = f"its names are those of {', '.join(map(str, sequence.names or ()))}; name it in labels.txt"
            yield Problem("unknown category", line.place, f"class {line.kind} has no name", hint)
        if frame is None and name is not None:
            cause = f"there is no frame {line.frame} among the {len(video.files)} of the sequence"
            yield Problem("label without a frame", line.place, cause, "pass all frames of it, or remove the line")
        if frame is not None:
            yield FrameLabel(
                place=line.place,
                source=str(sequence.file),
                video=index,
                frame=frame,
                class_id=ANY_CLASS if name is None else class_of.get(name, ANY_CLASS),
                box=line.box,
                track=line.track,
                ignore=name is None or sequence.ignores(line),
            )


def _frame_finder(sequence: MotSequence, video: FoundVideo) -> Callable[[int], int | None]:
    """From a frame's number in the file to its index, `None` where there is no such frame."""
    first, length, count = sequence.first_frame, sequence.info.length, len(video.files)
    if length == count:
        return lambda number: number - first if 0 <= number - first < count else None
    endings = [re.search(r"(\d+)$", PurePosixPath(file).stem) for file in video.files]
    numbers = [int(ending[1]) for ending in endings if ending]
    counting = len(numbers) == count and (count < 2 or min(b - a for a, b in pairwise(numbers)) == 1)
    if length is None or not counting or video.video_file is not None:
        return lambda number: video.frame_index(number, first)
    # Frames are missing, perhaps at the start: only the names of the files tell which ones are left.
    ahead = first if numbers[0] == 0 else 0
    index_of = {number + ahead: index for index, number in enumerate(numbers)}
    return index_of.get
