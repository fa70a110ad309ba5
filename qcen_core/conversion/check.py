"""What is wrong with an annotation file and its frames: everything at once, as data.

Reading stops at the first error; a check goes on, so that a person sees the whole of it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from qcen_core.errors import InputError
from qcen_core.jsonfile import is_finite_number
from qcen_core.records import VideoRecord

BORDER_TOLERANCE = 1.0  # pixels a box may leave the frame by; it is clipped then
SMALLEST_SIDE = 1e-3  # pixels; a thinner box has no area

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: under which it is counted.
        place: file and record.
        cause: in one line.
        hint: what to do, in one line.
        annotation: position in the file's list, of the annotation that must be left out or mended.
        frame: the frame whose label must be left out; `None` for the whole annotation.
        video: id of the video that cannot be used.
        loses_labels: whether training would lose labels; else it is for information.
    """

    kind: str
    place: str
    cause: str
    hint: str
    annotation: int | None = None
    frame: int | None = None
    video: int | str | None = None
    loses_labels: bool = True

    def error(self, others: int) -> InputError:
        """The problem as an error that tells how many others there are."""
        hint = f"{self.hint}; or drop what is wrong with --skip-bad"
        if others:
            hint += f" ({others} more: see them all with --check)"
        return InputError(self.cause, place=self.place, hint=hint)


def count_problems(problems: Sequence[Problem]) -> dict[str, int]:
    """How many labels or videos each kind costs, the most frequent kind first."""
    return dict(Counter(problem.kind for problem in problems if problem.loses_labels).most_common())


def check_annotations(content: object, path: Path) -> list[Problem]:
    """Looks for wrong records in the content of a YouTube-VIS annotation file.

    Only records that could be left out are looked at; what makes the whole file useless is for the reader to say.

    Args:
        content: the file's JSON content.
        path: the file, for messages.
    """
    if not isinstance(content, dict):
        return []
    videos = {_key(video, "id"): video for _, video in _objects(content, "videos")}
    categories = {_key(category, "id"): category.get("name") for _, category in _objects(content, "categories")}
    problems = [problem for number, video in videos.items() for problem in _check_length(video, number, path)]
    seen: set[int | str] = set()
    used: set[int | str] = set()
    for index, annotation in _objects(content, "annotations"):
        number, category, video_id = (_key(annotation, key) for key in ("id", "category_id", "video_id"))
        place = f"{path}: annotation {number}"
        used.add(category)
        if number in seen:
            problems.append(Problem("duplicate id", place, f"id {number} occurs twice", "number them anew", index))
        elif category not in categories:
            cause = f"category_id {category} is unknown"
            problems.append(Problem("unknown category", place, cause, "add it to categories", index))
        elif video_id not in videos:
            cause = f"video_id {video_id} is unknown"
            problems.append(Problem("unknown video", place, cause, "add it to videos", index))
        else:
            problems.extend(_check_track(annotation, videos[video_id], index, place))
        seen.add(number)
    for number, name in categories.items():
        if number not in used:
            place, cause = f"{path}: category {number}", f"no annotation shows {name}"
            problems.append(Problem("unused category", place, cause, "nothing needs doing", loses_labels=False))
    return problems


def check_frames(videos: Sequence[VideoRecord], frames_root: Path, on_progress: Progress | None) -> list[Problem]:
    """Looks at every frame file: is it there, can it be decoded to its end, has it the stated size?

    Args:
        videos: the videos.
        frames_root: folder that their frame files are relative to.
        on_progress: called with videos done and all videos.
    """
    problems: list[Problem] = []
    with ThreadPoolExecutor() as pool:
        for done, found in enumerate(pool.map(lambda video: _check_video(video, frames_root), videos), start=1):
            problems.extend(found)
            if on_progress is not None:
                on_progress(done, len(videos))
    return problems


def leave_out(content: dict[str, object], problems: Sequence[Problem]) -> dict[str, object]:
    """The content of an annotation file without the labels and videos that problems were found with."""
    videos = {problem.video for problem in problems if problem.video is not None}
    whole = {p.annotation for p in problems if p.annotation is not None and p.frame is None}
    frames: dict[int, set[int]] = {}
    for problem in problems:
        if problem.annotation is not None and problem.frame is not None:
            frames.setdefault(problem.annotation, set()).add(problem.frame)
    return {
        **content,
        "videos": [video for _, video in _objects(content, "videos") if _key(video, "id") not in videos],
        "annotations": [
            _without_frames(annotation, frames.get(index, set()))
            for index, annotation in _objects(content, "annotations")
            if index not in whole and _key(annotation, "video_id") not in videos
        ],
    }


def _objects(content: dict[str, object], key: str) -> list[tuple[int, dict[str, object]]]:
    """The objects of a list with their positions in it."""
    items = content.get(key)
    return [(i, item) for i, item in enumerate(items) if isinstance(item, dict)] if isinstance(items, list) else []


def _key(record: dict[str, object], name: str) -> int | str:
    """An id that can be looked up, whatever the file holds there."""
    value = record.get(name)
    return value if isinstance(value, int | str) else repr(value)


def _check_length(video: dict[str, object], number: int | str, path: Path) -> Iterator[Problem]:
    files = video.get("file_names")
    count, place = len(files) if isinstance(files, list) else 0, f"{path}: video {number}"
    if count == 0:
        yield Problem("video without frames", place, "the video has no frames", "list them in file_names", video=number)
    elif video.get("length", count) != count:
        cause = f"length is {video.get('length')} but file_names lists {count} frames"
        yield Problem("frame count mismatch", place, cause, "make the two agree", video=number)


def _without_frames(annotation: dict[str, object], frames: set[int]) -> dict[str, object]:
    if not frames:
        return annotation
    changed = dict(annotation)
    for key in ("bboxes", "segmentations", "areas"):
        values = annotation.get(key)
        if isinstance(values, list):
            changed[key] = [None if i in frames else value for i, value in enumerate(values)]
    return changed


def _check_track(annotation: dict[str, object], video: dict[str, object], index: int, place: str) -> Iterator[Problem]:
    files = video.get("file_names")
    length = len(files) if isinstance(files, list) else 0
    if length == 0:
        return  # the video itself is named already
    for key in ("bboxes", "segmentations"):
        values = annotation.get(key)
        if isinstance(values, list) and len(values) != length:
            cause = f"{key} has {len(values)} frames, video {video.get('id')} has {length}"
            yield Problem("frame count mismatch", place, cause, "write one entry a frame, null for absent", index)
            return
    boxes = annotation.get("bboxes")
    for frame, box in enumerate(boxes if isinstance(boxes, list) else ()):
        fault = _box_fault(box, video.get("width"), video.get("height"))
        if fault is not None:
            yield Problem(fault[0], f"{place}, frame {frame}", *fault[1:], annotation=index, frame=frame)


def _box_fault(box: object, width: object, height: object) -> tuple[str, str, str] | None:
    """Kind, cause and hint, or `None` where a box is right or absent."""
    if box is None or box == []:
        return None
    numbers = [value for value in box if isinstance(value, int | float)] if isinstance(box, list) else []
    if not isinstance(box, list) or len(box) != 4 or not all(is_finite_number(value) for value in box):
        return "malformed box", f"a box is four numbers x, y, width, height, not {box}", "correct it"
    if not isinstance(width, int) or not isinstance(height, int):
        return None
    x, y, box_width, box_height = numbers
    if box_width < SMALLEST_SIDE or box_height < SMALLEST_SIDE:
        return "zero-area box", f"the box {box} has no area", "write null where an object is not visible"
    beyond = max(-x, -y, x + box_width - width, y + box_height - height)
    visible = min(x + box_width, width) - max(x, 0), min(y + box_height, height) - max(y, 0)
    if beyond > BORDER_TOLERANCE or min(visible) < SMALLEST_SIDE:
        return "box outside the frame", f"the box {box} leaves the {width} x {height} frame", "correct it"
    return None


def _check_video(video: VideoRecord, frames_root: Path) -> list[Problem]:
    problems = []
    for frame, file in enumerate(video.frame_files):
        fault = _frame_fault(frames_root / file, video)
        if fault is not None:
            kind, cause, hint = fault
            place = f"{frames_root / file}: video {video.id}, frame {frame}"
            problems.append(Problem(kind, place, cause, hint, video=video.id))
    return problems


def _frame_fault(path: Path, video: VideoRecord) -> tuple[str, str, str] | None:
    """Kind, cause and hint, or `None` for a good frame file."""
    if not path.is_file():
        return "missing frame file", "there is no such frame file", "pass the folder of the frames with --frames"
    try:
        with Image.open(path) as image:
            width, height = image.size
            # An eighth of the size: the whole file is still read, at a third of the time. OpenCV would not do:
            # it fills the rest of a cut-off picture with grey and says nothing.
            image.draft("L", (max(1, width // 8), max(1, height // 8)))
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return "unreadable frame file", f"cannot be decoded: {error}", "download or write the frame again"
    if (height, width) != (video.height, video.width):
        cause = f"the frame is {width} x {height}, the annotations say {video.width} x {video.height}"
        return "wrong frame size", cause, "correct width and height of the video, or pass the right frames"
    return None
