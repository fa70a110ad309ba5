"""What a call of `prepare` is about: where annotations and frames come from, whatever the kind of data set."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from qcen_core.conversion.annotations import Annotations
from qcen_core.conversion.formats.recognise import read_own_data
from qcen_core.conversion.formats.youtubevis_file import YouTubeVisFile
from qcen_core.conversion.full_tracks import TrackAnnotations
from qcen_core.conversion.made.clip_request import ClipRequest
from qcen_core.conversion.made.made_data import make_clips
from qcen_core.conversion.problems import Problem, Progress
from qcen_core.conversion.published.finder import find_published
from qcen_core.conversion.video_frames import require_alike, write_video_frames
from qcen_core.records import VideoRecord

FRAMES = "frames"  # folder inside a prepared data set, for frames that are not where they came from


@dataclass(frozen=True, slots=True)
class Gathered:
    """Annotations, and where their frames are.

    Attributes:
        annotations: those to train on and to hold out.
        frames_root: folder that frame files are relative to.
        source: where it all comes from, in one line.
        held_out: names of the videos to hold out, where that is settled already.
        unwritten: whether the frames are in video files still.
        held_out_content: what the held-out videos were made of, where their names do not tell it.
        inference: split -> its videos, which nobody labelled.
        notes: what a person should know, one line each.
        dropped: reason -> count, of what was left out on the way.
    """

    annotations: Annotations
    frames_root: Path
    source: str
    held_out: tuple[str, ...] | None = None
    inference: dict[str, tuple[VideoRecord, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)
    unwritten: bool = False
    held_out_content: str = ""


def gather_made(request: ClipRequest, folder: Path, on_progress: Progress | None) -> Gathered:
    """Makes clips and writes their frames into the new data set.

    Args:
        request: what to make.
        folder: of the new data set.
        on_progress: called with clips done and all clips.

    Raises:
        InputError: the annotations or images that they are made of cannot be used.
    """
    made = make_clips(request, folder / FRAMES, on_progress)
    return Gathered(
        annotations=TrackAnnotations(Path(request.dataset), made.tracks),
        frames_root=folder / FRAMES,
        source=made.source,
        held_out=made.held_out,
        dropped=made.dropped,
        held_out_content=made.held_out_content,
    )


def gather_published(name: str, source: Path, folder: Path | None, *, on_progress: Progress | None) -> Gathered:
    """Finds a published data set as people have it.

    Args:
        name: "ytvis2019", "ytvis2021" or "ovis".
        source: where it is.
        folder: of the new data set, where zips are unpacked to; `None` if nothing may be written.
        on_progress: called with files unpacked and all files.

    Raises:
        InputError: it is not there, is another data set, or cannot be used.
    """
    found = find_published(name, source, None if folder is None else folder / FRAMES, on_progress)
    train, *others = found.splits
    notes = [*found.notes]
    # What was unpacked moves with the data set, what lies elsewhere does not: they have no root in common.
    apart = [split for split in others if _is_below(split.frames, folder) != _is_below(train.frames, folder)]
    notes += [f"{split.name}: left out; unpack all of its zips, or none of them" for split in apart]
    others = [split for split in others if split not in apart]
    root = Path(os.path.commonpath([split.frames.absolute() for split in (train, *others)]))
    inference = {}
    for split in others:
        if split.labelled:
            notes.append(f"{split.name}: it holds annotations, and only those of train are used; prepare it by itself")
            continue
        file = YouTubeVisFile(split.annotations, folder=_below(root, split.frames))
        inference[split.name] = file.videos
        notes += [f"{split.name}: {item.place}: {item.cause}" for item in file.objects() if isinstance(item, Problem)]
    annotations = YouTubeVisFile(train.annotations, folder=_below(root, train.frames))
    if folder is not None:  # where it is written to is not where it will be
        notes = [note.replace(str(folder), "the data set") for note in notes]
    return Gathered(annotations, root, f"{name}, {source.absolute()}", None, inference, tuple(notes))


def gather_own(path: Path, frames: Path | None, folder: Path | None, *, on_progress: Progress | None) -> Gathered:
    """Reads annotations of one's own, and takes frames out of video files where they are in such.

    Args:
        path: file or folder of annotations, of any known format.
        frames: where their frames are; by default beside them.
        folder: of the new data set; `None` if no frames of video files need be written.
        on_progress: called with video files done and all of them.

    Raises:
        InputError: the annotations cannot be used as a whole, or their frames are not found.
    """
    own = read_own_data(path, frames)
    source = f"{own.form}, {path.absolute()}"
    count = sum(len(video.frame_files) for video in own.annotations.videos)
    read_as = f"read as {own.form}: {count} frames taken for {len(own.annotations.videos)} videos"
    named = {video.frame_files for video in own.annotations.videos}
    found = [] if own.library is None else [video for video in own.library.opened if video.files in named]
    if not require_alike(found, own.frames_root):
        return Gathered(own.annotations, own.frames_root, source, notes=(read_as, *_oddities(own.annotations)))
    notes = (
        read_as,
        *_unnamed(own.annotations),
        *(f"{video.video_file}: {line}" for video in found for line in video.notes),
    )
    if folder is None:
        return Gathered(own.annotations, own.frames_root, source, notes=notes, unwritten=True)
    write_video_frames(found, folder / FRAMES, on_progress)
    return Gathered(own.annotations, folder / FRAMES, source, notes=notes)


def _oddities(annotations: Annotations) -> tuple[str, ...]:
    stills = sum(len(video.frame_files) == 1 for video in annotations.videos)
    if not stills:
        return _unnamed(annotations)
    told = f"{stills} of {len(annotations.videos)} videos are single images; --dataset coco makes clips of such"
    return (*_unnamed(annotations), told)


def _unnamed(annotations: Annotations) -> tuple[str, ...]:
    names = [category.name for category in annotations.categories if re.fullmatch(r"class \d+", category.name)]
    if not names:
        return ()
    named = ", ".join(f"'{name}'" for name in names[:3]) + (", ..." if len(names) > 3 else "")
    return (f"nothing names the classes {named}; put their names into data.yaml, classes.txt or labels.txt",)


def _is_below(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.absolute().is_relative_to(folder.absolute())


def _below(root: Path, folder: Path) -> str:
    """How a folder's files are named from the root: what is put before their names."""
    below = folder.absolute().relative_to(root).as_posix()
    return "" if below == "." else f"{below}/"
