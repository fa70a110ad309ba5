"""Logs of frames as a form among others: checked as they are read, and written from a store."""

from dataclasses import replace
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.trackforms.checks import check_size, require_safe_name, require_sound
from qcen_core.trackforms.frame_log import (
    FrameLogWriter,
    LoggedFrame,
    LoggedInstance,
    LogHead,
    logged_frames,
    read_end,
    read_head,
    read_into,
)
from qcen_core.trackforms.store import StoredVideo, TrackStore
from qcen_core.trackforms.wording import counted

SUFFIX = ".jsonl"


def write_log(
    store: TrackStore, video: StoredVideo, path: Path, *, least_score: float | None = None, confidence: float = 0.0
) -> tuple[str, ...]:
    """Write the log of one video, as `qcen infer` would have.

    Args:
        store: the tracks.
        video: one of its videos.
        path: the file; it is written in place.
        least_score: of a sighting in its frame, for it to be written; all by default.
        confidence: least score of an instance that is shown, which the log states.

    Returns:
        What the form could not hold, one line each.

    Raises:
        QcenError: the disk takes no more.
    """
    labels = store.labels(video, least_score)
    boxes_only = unscored = 0
    if video.time_base is None and video.frame_rate is not None:
        video = replace(video, time_base=1 / video.frame_rate)
    with FrameLogWriter(path, LogHead(video, store.categories, confidence)) as log:
        for frame in store.frames(video, least_score):
            seen = [sighting for sighting in frame.sightings if sighting.track_id in labels]
            boxes_only += sum(sighting.mask is None for sighting in seen)
            unscored += sum(sighting.score is None for sighting in seen)
            instances = [
                LoggedInstance(
                    sighting.track_id,
                    store.categories[labels[sighting.track_id][0]].name,
                    1.0 if sighting.score is None else sighting.score,
                    sighting.mask,
                )
                for sighting in seen
                if sighting.mask is not None
            ]
            instances.sort(key=lambda instance: -instance.score)
            ticks = frame.index if frame.ticks is None else frame.ticks
            log.write(LoggedFrame(frame.index, ticks, frame.file, tuple(instances)))
        log.finish(store.frame_count(video), ())
    notes = []
    if boxes_only:
        notes.append(f"a log of frames holds masks only: left out {counted(boxes_only, 'box', 'boxes')}")
    if unscored:
        notes.append(f"a log of frames needs scores: {counted(unscored, 'mask')} without one got 1")
    return tuple(notes)


def write_logs(
    store: TrackStore, path: Path, *, file: bool, least_score: float | None = None, confidence: float = 0.0
) -> tuple[str, ...]:
    """Write the log of the only video to a file, or those of all videos to `<video>.jsonl` in a folder.

    Args:
        store: the tracks.
        path: the file or folder, which is made.
        file: which of the two it is.
        least_score: as for `write_log`.
        confidence: as for `write_log`.

    Raises:
        InputError: a file for several videos.
    """
    videos = store.videos()
    if not file:
        path.mkdir()
        notes = [
            write_log(store, video, path / f"{video.name}{SUFFIX}", least_score=least_score, confidence=confidence)
            for video in videos
        ]
        return tuple(note for lines in notes for note in lines)
    if len(videos) != 1:
        raise InputError(f"a log holds one video, not {len(videos)}", hint="give a folder as target")
    return write_log(store, videos[0], path, least_score=least_score, confidence=confidence)


def read_logs(store: TrackStore, path: Path) -> tuple[str, ...]:
    """Read a log, or those in a folder, into an empty store; every mask is checked before.

    Returns:
        What was left out, one line each.

    Raises:
        InputError: there is no log, one cannot be read, or two do not go together.
    """
    files = [path] if path.is_file() else sorted(path.glob(f"*{SUFFIX}"))
    if not files:
        raise InputError("there is no log of frames in it", place=path, hint="pass the frames.jsonl of `qcen infer`")
    notes = []
    for number, file in enumerate(files):
        head = _checked_head(store, file, first=number == 0)
        _check_frames(file, head)
        read_into(store, file)
        if read_end(file) is None:
            notes.append(f"{file.name} ends before its video does: the run was stopped")
    return tuple(notes)


def log_confidence(path: Path) -> float:
    """The confidence that a log, or the first one of a folder, states.

    Raises:
        InputError: there is no log, or it cannot be read.
    """
    return read_head(path if path.is_file() else min(path.glob(f"*{SUFFIX}"))).confidence


def _checked_head(store: TrackStore, file: Path, *, first: bool) -> LogHead:
    place = f"{file}: line 1"
    try:
        head = read_head(file)
    except (ValueError, ZeroDivisionError):
        raise InputError("frame rate or time base is no fraction", place=place, hint="infer anew") from None
    video = head.video
    require_safe_name(video.name, place)
    check_size(video.height, video.width, place)
    if first:
        for category in head.categories:
            store.add_category(category)
    elif head.categories != store.categories:
        raise InputError("its categories are not those of the logs before", place=place, hint="convert it by itself")
    if any(other.id == video.id or other.name == video.name for other in store.videos()):
        raise InputError(f"video {video.name} occurs twice", place=place, hint="convert one of the logs by itself")
    return head


def _check_frames(file: Path, head: LogHead) -> None:
    """Check what `read_into` takes on trust."""
    for index, frame in enumerate(logged_frames(file, head)):
        place = f"{file}: frame {frame.index}"
        if frame.index != index:
            raise InputError(f"frame {frame.index} where frame {index} is due", place=place, hint="infer anew")
        masks = [instance.mask for instance in frame.instances]
        require_sound(masks, head.video, [f"{place}, track {instance.track_id}" for instance in frame.instances])
        if len({instance.track_id for instance in frame.instances}) < len(masks):
            hint = "an id is one object of a video"
            raise InputError("a track is listed twice in one frame", place=place, hint=hint)
