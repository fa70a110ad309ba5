"""Annotations and frames of one's own, read and checked to the last frame before anything is made of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qcen_core.conversion.check import Problem, Progress, check_annotations, check_frames, leave_out
from qcen_core.conversion.youtubevis import clip_boxes
from qcen_core.errors import InputError
from qcen_core.jsonfile import load_json
from qcen_core.records import TrackDataset
from qcen_core.trackfile import parse_annotations


@dataclass(frozen=True, slots=True)
class OwnData:
    """Annotations that can be used.

    Attributes:
        tracks: object tracks without what was wrong, boxes clipped to the frame.
        frames_root: folder that frame files are relative to.
        problems: what was left out, and what is worth knowing.
    """

    tracks: TrackDataset
    frames_root: Path
    problems: tuple[Problem, ...]


def read_own_data(annotations: Path, frames: Path | None, *, skip_bad: bool, on_progress: Progress | None) -> OwnData:
    """Reads a YouTube-VIS annotation file and looks at every frame that it names.

    Args:
        annotations: the file.
        frames: folder of the frames; by default `JPEGImages` beside the file, else the file's folder.
        skip_bad: leave out wrong labels and unusable videos, instead of raising.
        on_progress: called with videos done and all videos.

    Raises:
        InputError: the file cannot be used, or, unless they are left out, a record or a frame in it.
    """
    content = load_json(annotations)
    if isinstance(content, dict) and "images" in content:
        raise InputError(
            "a COCO file of images; only videos in YouTube-VIS form can be prepared for now",
            place=annotations,
            hint="pass a YouTube-VIS annotation file, or make clips of the images with --dataset cutouts",
        )
    problems = check_annotations(content, annotations)
    _require_none(problems, skip_bad)
    if isinstance(content, dict) and any(problem.loses_labels for problem in problems):
        content = leave_out(content, problems)
    tracks = clip_boxes(parse_annotations(content, annotations))
    root = _frames_root(annotations, frames)
    problems += check_frames(tracks.videos, root, on_progress)
    _require_none(problems, skip_bad)
    return OwnData(_without_videos(tracks, problems), root, tuple(problems))


def _frames_root(annotations: Path, frames: Path | None) -> Path:
    if frames is None:
        beside = annotations.parent / "JPEGImages"
        return beside if beside.is_dir() else annotations.parent
    if not frames.is_dir():
        raise InputError("there is no such folder of frames", place=frames, hint="correct --frames")
    return frames


def _require_none(problems: Sequence[Problem], skip_bad: bool) -> None:
    fatal = [problem for problem in problems if problem.loses_labels]
    if fatal and not skip_bad:
        raise fatal[0].error(others=len(fatal) - 1)


def _without_videos(tracks: TrackDataset, problems: Sequence[Problem]) -> TrackDataset:
    unusable = {problem.video for problem in problems if problem.video is not None}
    return replace(
        tracks,
        videos=tuple(video for video in tracks.videos if video.id not in unusable),
        tracks=tuple(track for track in tracks.tracks if track.video_id not in unusable),
    )
