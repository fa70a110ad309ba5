"""The files of a YOLO data set: label files, names of classes, frames, and which of them belong together.

Facts about the format, from the documentation of Ultralytics, CVAT and Roboflow:

- The labels of `images/train/a.jpg` are `labels/train/a.txt`, those of `train/images/a.jpg` are `train/labels/a.txt`;
  without a folder `labels` they lie beside the picture.
- `data.yaml` names the classes, as a list or by number; older sets have `obj.names` or `classes.txt`, one name a line
  from 0. Its `path` is the data set's folder on the machine that wrote it, and `train` and `val` lie in it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import yaml

from qcen_core.conversion.formats.file_names import original_stem, split_number, video_series
from qcen_core.conversion.formats.label_lines import read_names, require_distinct_names
from qcen_core.conversion.frame_library import FRAME_FOLDERS, FoundVideo, FrameLibrary, upright_size
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.video.frame_folder import points_outside, require_inside

YAML_SUFFIXES = frozenset({".yaml", ".yml"})
NAME_LISTS = ("obj.names", "classes.txt")
NO_LABELS = frozenset({"classes.txt", "test.txt", "train.txt", "val.txt", "valid.txt"})
JUST_FRAMES = frozenset({"", "frame", "image", "img"})  # beginnings of file names that do not tell the video


@dataclass(frozen=True, slots=True)
class YoloFiles:
    """A YOLO data set on disk.

    Attributes:
        root: folder of the data set.
        labels: the label files, each with its path without `labels` and ending, such as `train/a`.
        names: names of classes by number; `None` where nothing names them.
        keypoints: numbers after each box that are key points, 0 where labels are boxes or outlines.
    """

    root: Path
    labels: tuple[tuple[PurePosixPath, Path], ...]
    names: Mapping[int, str] | None
    keypoints: int = 0


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A label file and the frame that it belongs to, by indices."""

    path: Path
    video: int
    frame: int


def find_files(path: Path) -> YoloFiles:
    """The files of a data set, without its frames.

    `train`, `val` and `test` of `data.yaml` play no part: all label files under the folder are read. Nor does a `path`
    that leads elsewhere, as long as the label files lie beside the `data.yaml`.

    Args:
        path: the data set's folder, a folder of label files, or a `data.yaml`.

    Raises:
        InputError: there are no label files, or what should name the classes cannot be used.
    """
    if path.is_file():
        if path.suffix.lower() not in YAML_SUFFIXES:
            raise InputError("not a YOLO data set", place=path, hint="pass its folder or its data.yaml")
        description: Path | None = path
        content = _load_yaml(path)
    else:
        description, content = _find_description(path)
    root = path.parent if path.is_file() else path
    stated = content.get("path")
    outside = isinstance(stated, str) and points_outside(stated)
    if isinstance(stated, str) and not outside and (root / stated).is_dir():
        root = root / stated
    labels = tuple(_label_files(root))
    if not labels and isinstance(stated, str):
        require_inside(stated, f"{description}: path")
    if not labels:
        raise InputError("there are no label files in it", place=root, hint="YOLO label files are labels/*.txt")
    names = None if description is None else _yaml_names(content, description)
    return YoloFiles(root, labels, names or _listed_names(root), _keypoints(content))


def find_videos(library: FrameLibrary) -> Iterator[FoundVideo | Problem]:
    """The videos of a library, by names without `images`, those that share a folder told apart by their file names.

    `a_000.jpg`, `a_001.jpg` and `b_000.jpg` are two videos. Files that differ by their last number only are one video
    where `video_series` takes them for one; every other picture is a video by itself.

    Args:
        library: the frames.
    """
    for name in library.names:
        video = library.get(name)
        if video is not None and video.video_file is not None:
            yield video
        elif video is not None:
            yield from _split_folder(video, library.root)


def _split_folder(video: FoundVideo, root: Path) -> Iterator[FoundVideo | Problem]:
    @cache
    def size_of(index: int) -> tuple[int, int] | None:
        try:
            return upright_size(root / video.files[index])
        except InputError:
            return None

    series = video_series(video.files, size_of)
    beginning_of = {index: beginning for beginning, indices in series.items() for index in indices}
    groups: dict[int, tuple[int, ...]] = {}  # by their first picture, a picture of no series alone
    for index in range(len(video.files)):
        indices = series[beginning_of[index]] if index in beginning_of else (index,)
        groups.setdefault(indices[0], indices)
    for first, indices in groups.items():
        try:
            size = next(filter(None, map(size_of, indices)), None) or upright_size(root / video.files[first])
        except InputError as error:
            yield Problem("unreadable frame file", error.place or "", error.cause, error.hint or "write it again")
            continue
        files = tuple(video.files[index] for index in indices)
        beginning = beginning_of.get(first)
        own = original_stem(files[0]) if beginning is None else _title(beginning) or beginning.strip("_-. ")
        folder = _without(PurePosixPath(files[0]).parent, FRAME_FOLDERS)
        called = (folder / ("" if len(groups) == 1 else own)).as_posix()
        yield FoundVideo(video.name if called == "." else called, *size, files)


def match_labels(
    labels: Iterable[tuple[PurePosixPath, Path]], videos: Sequence[FoundVideo], *, by_number: bool
) -> Iterator[LabelFile | Problem]:
    """Finds the frame of every label file, the one that is called the same; two files may come to the same frame.

    Args:
        labels: label files with their paths, as `YoloFiles` has them.
        videos: the videos.
        by_number: frames come from elsewhere, so that a label file whose folder, or the beginning of whose name, is
            called like a video may also belong to the frame with the same last number. So it is with video files
            anyway; their frames are numbered from 0, or from 1 where a label's number is the number of frames.
    """
    by_name: dict[str, list[int]] = {}
    for index, video in enumerate(videos):
        if by_number or video.video_file is not None:
            for name in {video.name, PurePosixPath(video.name).name}:
                by_name.setdefault(name, []).append(index)
    frames = {
        _frame_key(file): (index, frame)
        for index, video in enumerate(videos)
        if video.video_file is None
        for frame, file in enumerate(video.files)
    }
    numbered: dict[int, list[tuple[int, Path]]] = {}
    for key, path in labels:
        place = frames.get(key)
        fit = _video_by_name(key, by_name) if place is None else None
        if place is not None:
            yield LabelFile(path, *place)
        elif fit is not None:
            numbered.setdefault(fit[0], []).append((fit[1], path))
        else:
            yield _without_frame(path, f"no frame is called '{key}'")
    for index, fits in numbered.items():
        video = videos[index]
        numbers = {split_number(original_stem(file))[1]: frame for frame, file in enumerate(video.files)}
        wanted = {number for number, _ in fits}
        first = 1 if video.video_file is not None and 0 not in wanted and len(video.files) in wanted else 0
        for number, path in fits:
            frame = numbers.get(number - first)
            if frame is None:
                yield _without_frame(path, f"'{video.name}' has no frame {number}")
            else:
                yield LabelFile(path, index, frame)


def _without_frame(path: Path, cause: str) -> Problem:
    hint = "a label file is called as its frame: labels/a/012.txt for images/a/012.jpg; or pass --frames"
    return Problem("label without a frame", str(path), cause, hint)


def _video_by_name(key: PurePosixPath, by_name: Mapping[str, Sequence[int]]) -> tuple[int, int] | None:
    """The video that a label file's name or folder speaks of, and the number in its name."""
    beginning, number = split_number(key.name)
    if number is None:
        return None
    title = _title(beginning)
    for name in ((key.parent / title).as_posix(), title, key.parent.as_posix(), key.parent.name):
        fits = by_name.get(name, ())
        if len(fits) == 1:
            return fits[0], number
    all_of_them = {index for fits in by_name.values() for index in fits} if not title else ()
    return (next(iter(all_of_them)), number) if len(all_of_them) == 1 else None


def _title(beginning: str) -> str:
    """The video's name in the beginning of its frames' names: `harbour` of `harbour_frame_`."""
    words = beginning.strip("_-. ")
    shorter = re.sub(r"(^|[_\-. ])(frame|image|img)$", "", words, flags=re.IGNORECASE)
    return "" if words.lower() in JUST_FRAMES else shorter.strip("_-. ")


def _frame_key(file: str) -> PurePosixPath:
    path = PurePosixPath(file)
    return _without(path.parent, {"images"}) / path.stem


def _without(folder: PurePosixPath, names: Iterable[str]) -> PurePosixPath:
    """A folder without the innermost part of these names."""
    parts = list(folder.parts)
    for index in reversed(range(len(parts))):
        if parts[index].lower() in names:
            del parts[index]
            break
    return PurePosixPath(*parts)


def _label_files(root: Path) -> Iterator[tuple[PurePosixPath, Path]]:
    files = {path.relative_to(root): path for path in sorted(root.rglob("*.txt"))}
    files = {key: path for key, path in files.items() if not any(part.startswith(".") for part in key.parts)}
    kept = {key: path for key, path in files.items() if key.name.lower() not in NO_LABELS}
    inside = {key: path for key, path in kept.items() if "labels" in key.parent.parts}
    if not inside:
        inside = {key: path for key, path in kept.items() if not key.name.lower().startswith("readme")}
    for key, path in inside.items():
        yield _without(PurePosixPath(key.parent), {"labels"}) / key.stem, path


def _find_description(folder: Path) -> tuple[Path | None, Mapping[str, object]]:
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() in YAML_SUFFIXES and file.is_file())
    if folder.resolve().name == "labels":
        files += sorted(file for file in folder.parent.glob("data.y*ml") if file.is_file())
    for file in sorted(files, key=lambda file: file.stem != "data"):
        content = _load_yaml(file)
        if "names" in content:
            return file, content
    return None, {}


def _load_yaml(path: Path) -> Mapping[str, object]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        cause = f"cannot be read as YAML: {error}".replace("\n", " ")
        raise InputError(cause, place=path, hint="write or export it again") from None
    return content if isinstance(content, dict) else {}


def _yaml_names(content: Mapping[str, object], path: Path) -> dict[int, str] | None:
    names = content.get("names")
    if not names:
        return None
    pairs = (
        list(enumerate(names)) if isinstance(names, list) else list(names.items() if isinstance(names, dict) else ())
    )
    found: dict[int, str] = {}
    for number, name in pairs:
        sound = isinstance(name, str | int) and not isinstance(name, bool) and str(number).isdecimal()
        if not sound:
            raise InputError(
                f"{name!r} cannot be the name of class {number!r}",
                place=f"{path}: names",
                hint="number the names from 0, and put them in quotes",
            )
        found[int(number)] = str(name)
    if not found:
        raise InputError("names is no list of names", place=path, hint="list them as 0: first, 1: second")
    return require_distinct_names(found, path)


def _listed_names(root: Path) -> dict[int, str] | None:
    folders = [root, root / "labels"] + ([root.parent] if root.resolve().name == "labels" else [])
    for file in (folder / name for folder in folders for name in NAME_LISTS):
        if file.is_file():
            return read_names(file, first=0) or None
    return None


def _keypoints(content: Mapping[str, object]) -> int:
    """How many numbers the key points of a pose set take."""
    shape = content.get("kpt_shape")
    if isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, int) and n > 0 for n in shape):
        return int(shape[0] * shape[1])
    return 0
