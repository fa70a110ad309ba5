"""What a run reads: a free video, the videos of a folder, or those of a prepared split."""

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from qcen_core.boxfile import read_boxes
from qcen_core.errors import InputError
from qcen_core.inference.category_match import match_categories
from qcen_core.inference.options import InferOptions
from qcen_core.prepared import read_prepared
from qcen_core.records import Category
from qcen_core.video.excerpt import Excerpt
from qcen_core.video.reader import FrameSource, SourceFrame, kind_of_folder, list_videos, open_source


@dataclass(frozen=True, slots=True)
class InputVideo:
    """One video to be segmented.

    Attributes:
        id: its id in the outputs.
        name: what a person calls it, usable as a file name and unique in its set.
        frames: what `open_source` takes; for a video of a data set the frame files themselves.
        size: (height, width) that its data set states, `None` for a free video.
        frame_files: its frames' names in its data set, `None` for a free video.
    """

    id: int
    name: str
    frames: str | Path | tuple[Path, ...]
    size: tuple[int, int] | None = None
    frame_files: tuple[str, ...] | None = None

    def open(self, options: InferOptions) -> FrameSource:
        """Open its frames, or the part of them that the options choose.

        Raises:
            InputError: there is nothing that can be read, or frames are not of the stated size.
        """
        source = open_source(self.frames, frame_rate=Fraction(options.frame_rate).limit_denominator(1001))
        if self.size is not None and (source.height, source.width) != self.size:
            source.close()
            raise InputError(
                f"a frame of {source.width}x{source.height} pixels, but the data set states "
                f"{self.size[1]}x{self.size[0]} for video {self.name}",
                place=self.frames[0] if isinstance(self.frames, tuple) else self.frames,
                hint="prepare the data set again",
            )
        if options.start == 0 and options.end is None and options.stride == 1:
            return source
        end = None if options.end is None else Fraction(str(options.end))
        return Excerpt(source, start=Fraction(str(options.start)), end=end, stride=options.stride)

    def file_of(self, frame: SourceFrame) -> str | None:
        """The picture that shows a frame, as its data set or its folder names it."""
        return frame.file if self.frame_files is None else self.frame_files[frame.index]


@dataclass(frozen=True, slots=True)
class InputSet:
    """The videos of a run, and the categories that its outputs are written in.

    Attributes:
        source: what was asked for, for the summary.
        videos: in order.
        categories: of the outputs.
        class_of: model class -> output class; a model class that is missing here is left out of the outputs.
        data: folder of the prepared data set, if it is one.
        split: its split.
        ground_truth: annotation file to evaluate against, where there is one.
        frames_root: folder that the videos' frame files are relative to, where there is one.
        notes: what a person should know, one line each.
        independent: whether the videos have nothing to do with each other, so that one that cannot be read is left out.
    """

    source: str
    videos: tuple[InputVideo, ...]
    categories: tuple[Category, ...]
    class_of: Mapping[int, int]
    data: Path | None = None
    split: str | None = None
    ground_truth: Path | None = None
    frames_root: Path | None = None
    notes: tuple[str, ...] = ()
    independent: bool = False


def free_videos(source: str, categories: Sequence[Category], wanted: Sequence[str] | None) -> InputSet:
    """Whatever is no data set: a video file, frames, a stream or camera as video 1, or each video of a folder.

    Args:
        source: a file, a folder of frames or of videos, a pattern of frames, a camera's index or a URL.
        categories: of the model.
        wanted: names of the classes to write, all by default.

    Raises:
        InputError: a wanted class is unknown, or the folder holds nothing that is known.
    """
    class_of = restrict({index: index for index in range(len(categories))}, categories, wanted)
    path = Path(source)
    if path.is_dir() and kind_of_folder(path) == "videos":
        files = list_videos(path)
        names = distinct_names([file.stem for file in files])
        videos = tuple(InputVideo(i + 1, name, file) for i, (name, file) in enumerate(zip(names, files, strict=True)))
        return InputSet(source, videos, tuple(categories), class_of, independent=True)
    frames_root = path if path.is_dir() else None
    video = InputVideo(1, name_of_source(source), source)
    return InputSet(source, (video,), tuple(categories), class_of, frames_root=frames_root)


def name_of_source(source: str) -> str:
    """What a person may call a source, usable as a file name: `01_dog` for `videos/01_dog.mp4`, `camera_0` for `0`."""
    if source.isdecimal():
        return f"camera_{source}"
    if "://" in source:
        return _safe(PurePosixPath(urlsplit(source).path).stem or urlsplit(source).hostname or "stream")
    path = Path(source).resolve()
    if path.is_dir():
        return _safe(path.name)
    holds_pattern = any(sign in path.name for sign in "*?[")
    return _safe(path.parent.name if holds_pattern else path.stem)


def distinct_names(names: Sequence[str]) -> list[str]:
    """Names usable as file names, each once, upper and lower case being one; a repeated one gets a number."""
    given: list[str] = []
    for name in map(_safe, names):
        taken = {other.casefold() for other in given}
        tries = (f"{name}_{number}" for number in itertools.count(2))
        given.append(name if name.casefold() not in taken else next(n for n in tries if n.casefold() not in taken))
    return given


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "video"


def prepared_split(root: Path, split: str, categories: Sequence[Category], wanted: Sequence[str] | None) -> InputSet:
    """Every video of a split of a prepared data set.

    Args:
        root: the data set's folder.
        split: name of the split.
        categories: of the model; matched with those of the data set by name.
        wanted: names of the classes to write, all by default.

    Raises:
        InputError: no such data set or split, no category in common, or a wanted class is unknown.
    """
    prepared = read_prepared(root)
    if split not in prepared.splits:
        raise InputError(f"there is no split '{split}'", place=root, hint="splits: " + ", ".join(prepared.splits))
    chosen = prepared.splits[split]
    dataset = read_boxes(chosen.boxes, prepared.frames_root)
    class_of = match_categories(categories, dataset.categories, str(chosen.boxes))
    left_out = [category.name for index, category in enumerate(categories) if index not in class_of]
    notes = (f"left out, not in the data set: {', '.join(left_out)}",) if left_out else ()
    videos = tuple(
        InputVideo(
            id=video.id,
            name=video.name,
            frames=tuple(dataset.frames_root / file for file in video.frame_files),
            size=(video.height, video.width),
            frame_files=video.frame_files,
        )
        for video in dataset.videos
    )
    return InputSet(
        source=str(root),
        videos=videos,
        categories=dataset.categories,
        class_of=restrict(class_of, categories, wanted),
        data=root,
        split=split,
        ground_truth=chosen.ground_truth,
        frames_root=dataset.frames_root,
        notes=notes,
    )


def restrict(
    class_of: Mapping[int, int], categories: Sequence[Category], wanted: Sequence[str] | None
) -> Mapping[int, int]:
    """The part of a class map whose model classes are wanted.

    Args:
        class_of: model class -> output class.
        categories: of the model.
        wanted: names, `None` for all.

    Raises:
        InputError: the model knows no class of that name.
    """
    if wanted is None:
        return class_of
    names = [category.name for category in categories]
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "known: " + ", ".join(names)
            raise InputError(f"the model knows no class '{name}'", hint=hint)
    return {index: target for index, target in class_of.items() if names[index] in wanted}
