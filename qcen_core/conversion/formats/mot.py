"""MOTChallenge ground truth: a `gt.txt` a sequence, one box of one object at one frame a line.

Facts about the format, from the instructions of motchallenge.net and from the description of CVAT's export:

- A line is `frame, id, x, y, width, height, active, class, visibility`, `x y` being the left top corner in pixels. The
  sets of 2015 have no class; there the numbers from the eighth on are a place in the world, or -1.
- Frames count from 1. All frames of a sequence were looked at: one without a line holds no object.
- Where `active` is 0 the entry counts neither as an object nor as background. In detections, which have the same form,
  it is a score, and ids are -1.
- CVAT writes the names of the classes to `labels.txt` beside `gt.txt`; class n is line n, from 1.

Boxes are taken as they are: `x y` are continuous pixels from 0, as CVAT and most tools write and read them. By the
instructions the official sets count pixels from 1, and their boxes therefore come out up to one pixel too far right
and down, the size being right. Nothing in a file tells which count it follows, and the boxes of the official sets
also reach over what is hidden, by far more than a pixel.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from qcen_core.conversion.annotations import ListedAnnotations, SourceObject
from qcen_core.conversion.formats.label_lines import FrameLabel, join_tracks, merge_categories, safe_names
from qcen_core.conversion.formats.mot_sequence import MotSequence, find_truth, find_unlabelled, read_sequence
from qcen_core.conversion.frame_library import FoundVideo, FrameLibrary
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.records import VideoRecord


def read_mot(path: Path, library: FrameLibrary | None) -> tuple[ListedAnnotations, Path]:
    """Reads MOTChallenge ground truth; boxes become `x1 y1 x2 y2` pixels, frames count from 0.

    Class names come from `labels.txt` beside `gt.txt`; sequences that are called as those of MOT16, MOT17 and MOT20
    have the official names, others names like `class 3`; without classes all is one category, `object`. Frames come
    from the library by the sequence's name.

    Args:
        path: a `gt.txt` or `det.txt`, a sequence's folder, or a folder of sequences at any depth.
        library: the frames; by default those in the folder of the sequence or sequences.

    Returns:
        The annotations, and the folder that the videos' frame files are relative to: the library's root.

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
    for sequence in sequences:
        video = _find_frames(sequence, folder, library, alone=len(sequences) == 1)
        items += sequence.problems
        if isinstance(video, Problem):
            missing.append(video)
        else:
            items += _remarks(sequence, video)
            items += join_tracks(_labels(sequence, len(found), video, class_of))
            found.append((sequence, video))
    if not found:
        raise InputError(missing[0].cause, place=missing[0].place, hint=missing[0].hint)
    return ListedAnnotations(path, categories, _records(found), (*items, *missing)), library.root


def _records(found: Sequence[tuple[MotSequence, FoundVideo]]) -> tuple[VideoRecord, ...]:
    """Videos in the size that their boxes are stated for; whether frames have that size is checked elsewhere."""
    names = safe_names([sequence.name for sequence, _ in found])
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
        places = [library.get(path.as_posix()) for path in (*inner, *paths) if path.as_posix() in known]
        named = places or [library.get(name) for name in (sequence.name, sequence.folder.name)]
        found = next((video for video in named if video is not None), None) or (library.only() if alone else None)
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
    sequence: MotSequence, index: int, video: FoundVideo, class_of: Mapping[str, int]
) -> Iterator[FrameLabel | Problem]:
    frame_of = _frame_finder(sequence, video)
    for line in sequence.lines:
        name, frame = sequence.class_name(line), frame_of(line.frame)
        if name is None:
            hint = f"its names are those of {', '.join(map(str, sequence.names or ()))}; name it in labels.txt"
            yield Problem("unknown category", line.place, f"class {line.kind} has no name", hint)
        elif frame is None:
            cause = f"there is no frame {line.frame} among the {len(video.files)} of the sequence"
            yield Problem("label without a frame", line.place, cause, "pass all frames of it, or remove the line")
        else:
            yield FrameLabel(
                place=line.place,
                source=str(sequence.file),
                video=index,
                frame=frame,
                class_id=class_of.get(name, 0),  # regions to ignore may be of no class
                box=line.box,
                track=line.track,
                ignore=sequence.ignores(line),
            )


def _frame_finder(sequence: MotSequence, video: FoundVideo) -> Callable[[int], int | None]:
    """From a frame's number in the file to its index, `None` where there is no such frame."""
    first = sequence.first_frame
    numbers = [re.search(r"(\d+)$", PurePosixPath(file).stem) for file in video.files]
    if sequence.info.length in (None, len(video.files)) or not all(numbers) or video.video_file is not None:
        return lambda number: video.frame_index(number, first)
    # Frames are missing, perhaps at the start: only the names of the files tell which ones are left.
    index_of = {int(number[1]): index for index, number in enumerate(numbers) if number}
    return index_of.get
