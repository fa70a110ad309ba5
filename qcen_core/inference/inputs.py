"""What a run reads: one free video, or every video of a prepared split."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qcen_core.boxfile import read_boxes
from qcen_core.errors import InputError
from qcen_core.inference.results import match_categories
from qcen_core.prepared import read_prepared
from qcen_core.records import Category
from qcen_core.video.reader import FrameFolder, FrameSource, open_source


@dataclass(frozen=True, slots=True)
class InputVideo:
    """One video to be segmented.

    Attributes:
        id: its id in the outputs.
        frames: a video file, a folder of frames, or the frame files themselves.
        name: what a person calls it; `None` takes the source's own name.
        size: (height, width) that its data set states, `None` for a free video.
        frame_files: its frames' names in its data set, `None` for a free video.
    """

    id: int
    frames: Path | tuple[Path, ...]
    name: str | None = None
    size: tuple[int, int] | None = None
    frame_files: tuple[str, ...] | None = None

    def open(self) -> FrameSource:
        """Open its frames.

        Raises:
            InputError: there is nothing that can be read, or frames are not of the stated size.
        """
        if isinstance(self.frames, Path):
            return open_source(self.frames)
        source = FrameFolder(self.frames, name=self.name)
        if self.size is not None and (source.height, source.width) != self.size:
            raise InputError(
                f"a frame of {source.width}x{source.height} pixels, but the data set states "
                f"{self.size[1]}x{self.size[0]} for video {self.name}",
                place=self.frames[0],
                hint="prepare the data set again",
            )
        return source


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
    """

    source: Path
    videos: tuple[InputVideo, ...]
    categories: tuple[Category, ...]
    class_of: Mapping[int, int]
    data: Path | None = None
    split: str | None = None
    ground_truth: Path | None = None
    frames_root: Path | None = None
    notes: tuple[str, ...] = ()


def free_video(source: Path, categories: Sequence[Category], wanted: Sequence[str] | None) -> InputSet:
    """A video file or a folder of frames, as video 1.

    Args:
        source: the file or folder.
        categories: of the model.
        wanted: names of the classes to write, all by default.

    Raises:
        InputError: a wanted class is unknown.
    """
    class_of = restrict({index: index for index in range(len(categories))}, categories, wanted)
    frames_root = source if source.is_dir() else None
    return InputSet(source, (InputVideo(1, source),), tuple(categories), class_of, frames_root=frames_root)


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
            frames=tuple(dataset.frames_root / file for file in video.frame_files),
            name=video.name,
            size=(video.height, video.width),
            frame_files=video.frame_files,
        )
        for video in dataset.videos
    )
    return InputSet(
        source=root,
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
