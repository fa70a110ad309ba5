"""Whole object tracks, for evaluation and for the stronger levels of supervision; never for a box-only file."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from qcen_core.conversion.annotations import ANY_CLASS, Annotations, SourceObject
from qcen_core.conversion.check_rows import box_faults, frame_sizes, shows_a_part
from qcen_core.conversion.problems import Problem
from qcen_core.records import BoolArray, Box, Category, ObjectTrack, Rle, TrackDataset, VideoRecord


@dataclass(frozen=True, slots=True)
class TrackAnnotations:
    """Tracks that are in memory already, as `Annotations`."""

    path: Path
    dataset: TrackDataset

    @property
    def categories(self) -> tuple[Category, ...]:
        """The K classes, in class order."""
        return self.dataset.categories

    @property
    def videos(self) -> tuple[VideoRecord, ...]:
        """The videos."""
        return self.dataset.videos

    @property
    def unlabelled(self) -> dict[int, Collection[int]]:
        """Video index -> frames that nobody labelled."""
        return {index: video.unlabelled for index, video in enumerate(self.videos) if video.unlabelled}

    def objects(self) -> Iterator[SourceObject | Problem]:
        """All objects, without masks."""
        return (replace(item, masks=None) for item in self.with_masks(range(len(self.videos))))

    def with_masks(self, videos: Collection[int]) -> Iterator[SourceObject]:
        """The objects of these videos, with their masks."""
        index_of = {video.id: index for index, video in enumerate(self.videos)}
        for track in self.dataset.tracks:
            if index_of[track.video_id] in videos:
                yield _sparse(track, index_of[track.video_id], str(self.path))


def full_tracks(
    annotations: Annotations, chosen: Sequence[int], unlabelled: Mapping[int, Collection[int]] | None = None
) -> tuple[TrackDataset, list[Problem]]:
    """The object tracks of some videos with all that is known of them, boxes cut at the frame's border.

    Boxes that a check of their values finds wrong are left out with their masks; of those that leave their frame a
    region to ignore is left. What a source tells of one object in
    several records becomes one track.

    Args:
        annotations: the source.
        chosen: indices of its videos, in the wanted order.
        unlabelled: video index -> frames that nobody labelled, by default those of the source.

    Returns:
        The tracks, in the order of their first records and numbered from 1, and what was wrong.
    """
    unlabelled = annotations.unlabelled if unlabelled is None else unlabelled
    videos = tuple(
        replace(annotations.videos[index], unlabelled=frozenset(unlabelled.get(index, ()))) for index in chosen
    )
    video_of = dict(zip(chosen, videos, strict=True))
    problems: list[Problem] = []
    found: list[SourceObject] = []
    for item in annotations.with_masks(set(chosen)):
        if isinstance(item, Problem):
            problems.append(item)
        else:
            found += _usable(item, video_of[item.video])
    seen = [part for item in _join(found) if item.frames for part in _by_class(item, len(annotations.categories))]
    tracks = tuple(_dense(item, video_of[item.video], number) for number, item in enumerate(seen, start=1))
    return TrackDataset(annotations.categories, videos, tracks), problems


def to_strong(tracks: TrackDataset, *, masks: bool, ids: bool, seed: int) -> TrackDataset:
    """Leaves of the tracks only what a supervision level may know.

    Args:
        tracks: object tracks.
        masks: keep masks.
        ids: keep identities; without them every object of every frame becomes a track of its own, shuffled.
        seed: of the shuffling.
    """
    kept: list[ObjectTrack] = list(tracks.tracks)
    if not masks:
        kept = [replace(track, segmentations=None) for track in kept]
    if not ids:
        shown = [(track, frame) for track in kept for frame, box in enumerate(track.boxes) if box is not None]
        # By place before by lot: the order of the source must not show, even to who knows the seed.
        shown.sort(key=lambda item: (item[0].video_id, item[0].class_id, item[1], item[0].boxes[item[1]] or ()))
        order = np.random.default_rng(seed).permutation(len(shown))
        kept = [_single_frame(*shown[int(i)]) for i in order]
    return replace(tracks, tracks=tuple(replace(track, id=i + 1) for i, track in enumerate(kept)))


def _sparse(track: ObjectTrack, video: int, file: str) -> SourceObject:
    shown = [(frame, box) for frame, box in enumerate(track.boxes) if box is not None]
    masks = track.segmentations
    return SourceObject(
        place=f"{file}: annotation {track.id}",
        video=video,
        class_id=track.class_id,
        frames=[frame for frame, _ in shown],
        boxes=[box for _, box in shown],
        track=track.id,
        ignore=track.is_crowd,
        masks=None if masks is None else [masks[frame] for frame, _ in shown],
    )


def _usable(item: SourceObject, video: VideoRecord) -> list[SourceObject]:
    """The object where its box is right, and a region to ignore where it leaves its frame; boxes within the frame."""
    boxes = np.array(item.boxes, dtype=np.float64).reshape(-1, 4)
    sizes = np.repeat(frame_sizes([video]), len(boxes), axis=0)
    malformed, thin, outside = box_faults(boxes, sizes)
    clipped = np.clip(boxes, 0, np.tile(sizes, 2)).tolist()

    def part(kept: BoolArray) -> SourceObject:
        places = [i for i in np.flatnonzero(kept).tolist() if item.frames[i] not in video.unlabelled]
        return replace(
            item,
            frames=[item.frames[i] for i in places],
            boxes=[tuple(clipped[i]) for i in places],
            masks=None if item.masks is None else [item.masks[i] for i in places],
        )

    beyond = outside & shows_a_part(boxes, sizes)
    return [part(~(malformed | thin | outside)), replace(part(beyond), ignore=True, track=None)]


def _by_class(item: SourceObject, classes: int) -> list[SourceObject]:
    """A region of no class as one region of each: evaluation goes class by class."""
    if item.class_id != ANY_CLASS:
        return [item]
    return [replace(item, class_id=class_id, track=None) for class_id in range(classes)]


def _join(items: Iterable[SourceObject]) -> Iterator[SourceObject]:
    """Objects that a source tells of frame by frame, each as one, in the order of their first records.

    Records that contradict each other, by two boxes at one frame or by two classes, stay apart: no label is lost.
    """
    records: dict[tuple[object, ...], list[SourceObject]] = {}
    for number, item in enumerate(items):
        key = (number,) if item.track is None else (item.video, item.track, item.class_id, item.ignore)
        records.setdefault(key, []).append(item)
    for first, *others in records.values():
        joined: dict[int, tuple[Box, Rle | None]] = {}
        apart = []
        for item in (first, *others):
            masks = item.masks or [None] * len(item.frames)
            labels = dict(zip(item.frames, zip(item.boxes, masks, strict=True), strict=True))
            if joined.keys() & labels:
                apart.append(item)
            else:
                joined |= labels
        frames = sorted(joined)
        yield replace(
            first,
            frames=frames,
            boxes=[joined[frame][0] for frame in frames],
            masks=[joined[frame][1] for frame in frames],
        )
        yield from apart


def _dense(item: SourceObject, video: VideoRecord, number: int) -> ObjectTrack:
    """One entry a frame."""
    boxes: list[Box | None] = [None] * len(video.frame_files)
    masks: list[Rle | None] = [None] * len(video.frame_files)
    for frame, box in zip(item.frames, item.boxes, strict=True):
        boxes[frame] = box
    for frame, mask in zip(item.frames, item.masks or (), strict=False):
        masks[frame] = mask
    return ObjectTrack(
        id=number,
        video_id=video.id,
        class_id=item.class_id,
        boxes=tuple(boxes),
        segmentations=tuple(masks) if any(masks) else None,
        is_crowd=item.ignore,
    )


def _single_frame(track: ObjectTrack, frame: int) -> ObjectTrack:
    """The object at one frame, as a track of its own."""
    boxes: list[Box | None] = [None] * len(track.boxes)
    boxes[frame] = track.boxes[frame]
    masks = track.segmentations
    if masks is not None:
        masks = tuple(mask if i == frame else None for i, mask in enumerate(masks))
    return replace(track, boxes=tuple(boxes), segmentations=masks)
