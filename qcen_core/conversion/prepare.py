"""The verb `prepare`: annotations and frames, or made-up clips, become a prepared data set."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from qcen_core.boxfile import PREPARED_FILE, PreparedData, PreparedSplit, write_boxes, write_prepared
from qcen_core.conversion.check import Problem, Progress, count_problems
from qcen_core.conversion.made_data import (
    DEFAULT_LENGTH,
    DEFAULT_SIZE,
    MADE_DATASETS,
    ClipRequest,
    make_clips,
    require_possible,
)
from qcen_core.conversion.own_data import read_own_data
from qcen_core.conversion.split import choose_holdout, hash_names
from qcen_core.conversion.staging import require_free, whole_folder
from qcen_core.conversion.youtubevis import select_videos, to_boxes, to_strong
from qcen_core.errors import InputError
from qcen_core.records import TrackDataset
from qcen_core.trackfile import write_annotations

KNOWN_DATASETS = ("ytvis2019", "ytvis2021", "ovis", "coco", *MADE_DATASETS)


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """What `prepare` wrote, or with `check_only` would write.

    Attributes:
        videos: number of videos, over all splits.
        held_out: number of those that are held out.
        frames: number of frames.
        boxes: number of boxes.
        categories: names of the categories, in class order.
        dropped: what was left out, or with `check_only` is wrong: reason -> count.
        out: the data set's folder; `None` with `check_only`.
        problems: every single problem behind `dropped`, and those that lose no label.
    """

    videos: int
    held_out: int
    frames: int
    boxes: int
    categories: tuple[str, ...]
    dropped: dict[str, int]
    out: Path | None
    problems: tuple[Problem, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be written. `holdout` names the held-out videos; without any there is no such split."""

    tracks: TrackDataset
    frames_root: Path
    holdout: tuple[str, ...]
    name: str
    source: str
    seed: int
    keep_masks: bool
    keep_ids: bool


def prepare(
    *,
    out: Path,
    dataset: str | None = None,
    annotations: Path | None = None,
    frames: Path | None = None,
    name: str | None = None,
    holdout: float = 0.1,
    seed: int = 0,
    keep_masks: bool = False,
    keep_ids: bool = False,
    skip_bad: bool = False,
    overwrite: bool = False,
    level: str = "standard",
    clips: int = 200,
    holdout_clips: int = 50,
    size: tuple[int, int] = DEFAULT_SIZE,
    length: int = DEFAULT_LENGTH,
    categories: int = 0,
    check_only: bool = False,
    on_progress: Progress | None = None,
) -> PrepareReport:
    """Makes a box-only data set; the folder `out` appears whole or not at all.

    Args:
        out: folder of the prepared data set.
        dataset: name of a known data set; `shapes` is generated, all others need `annotations`.
        annotations: YouTube-VIS annotation file; cutouts: COCO folder or COCO annotation file.
        frames: folder that its frame files are relative to; by default `JPEGImages` beside it, else its folder;
            cutouts: folder of the images or of their folders.
        name: name of the new set; by default that of `out`.
        holdout: share of the videos that is held out, 0 to 1.
        seed: of the hold-out, of the order of boxes, and of procedural clips.
        keep_masks: also write masks, for stronger supervision.
        keep_ids: also write identities, for stronger supervision.
        skip_bad: leave wrong labels and unusable videos out and count them, instead of raising.
        overwrite: replace a prepared data set at `out`.
        level: shapes: how hard the clips are.
        clips: shapes and cutouts: clips to train on.
        holdout_clips: shapes and cutouts: clips held out.
        size: shapes and cutouts: (height, width) of a frame.
        length: shapes and cutouts: frames of a clip.
        categories: cutouts: number of categories, the most frequent ones; 0 for one category "object".
        check_only: look for all that is wrong and write nothing.
        on_progress: called with videos done and all videos.

    Raises:
        InputError: an option, the annotation file, a record in it or a frame file cannot be used.
    """
    if dataset is not None and dataset not in KNOWN_DATASETS:
        raise InputError(f"no data set is called {dataset}", hint=f"known are {', '.join(KNOWN_DATASETS)}")
    if not check_only:
        require_free(out, PREPARED_FILE, overwrite=overwrite)
    if dataset in MADE_DATASETS:
        if check_only:
            raise InputError(f"{dataset} is made on the spot: there is nothing to check", hint="leave --check away")
        request = ClipRequest(
            dataset=dataset,
            level=level,
            clips=clips,
            holdout_clips=holdout_clips,
            size=size,
            length=length,
            seed=seed,
            annotations=annotations,
            frames=frames,
            categories=categories,
        )
        require_possible(request)
        _require_outside(out, *(path for path in (annotations, frames) if path is not None))
        with whole_folder(out) as folder:
            made = make_clips(request, folder / "frames", on_progress)
            held = tuple(video.name for video in made.tracks.videos[clips:])
            plan = _Plan(
                made.tracks, folder / "frames", held, name or out.name, made.source, seed, keep_masks, keep_ids
            )
            _write(plan, folder)
        return replace(_report(made.tracks, held, out, ()), dropped=made.dropped)
    if annotations is None:
        raise InputError(
            f"{dataset or 'a data set'} is found only through its annotation file for now",
            hint="pass the annotation file, and the folder of its frames with --frames",
        )
    if not 0 <= holdout <= 1:
        raise InputError(f"a hold-out of {holdout} is no share", hint="pass 0 to 1 as --holdout")
    data = read_own_data(annotations, frames, skip_bad=skip_bad or check_only, on_progress=on_progress)
    held = _choose(data.tracks, holdout, seed)
    report = _report(data.tracks, held, None if check_only else out, data.problems)
    if check_only and report.dropped:
        return report  # what is wrong says more than that nothing usable is left
    _require_usable(data.tracks, annotations, keep_masks)
    if check_only:
        return report
    _require_outside(out, annotations, data.frames_root)
    root, source = data.frames_root.absolute(), str(annotations.absolute())
    with whole_folder(out) as folder:
        _write(_Plan(data.tracks, root, held, name or out.name, source, seed, keep_masks, keep_ids), folder)
    return report


def _require_usable(tracks: TrackDataset, annotations: Path, keep_masks: bool) -> None:
    if not tracks.videos:
        raise InputError("no usable video", place=annotations, hint="videos are listed under 'videos'; see --check")
    if not any(box is not None for track in tracks.tracks for box in track.boxes):
        raise InputError(
            "not one box to learn from", place=annotations, hint="pass training annotations, not those of a test set"
        )
    if keep_masks and any(track.segmentations is None for track in tracks.tracks):
        raise InputError("some annotations have no masks", place=annotations, hint="leave --keep-masks away")


def _require_outside(out: Path, *sources: Path) -> None:
    """Overwriting must not delete what is being prepared."""
    for source in sources:
        if out.exists() and source.resolve().is_relative_to(out.resolve()):
            raise InputError(f"holds {source}, which is to be prepared", place=out, hint="choose another --out")


def _choose(tracks: TrackDataset, share: float, seed: int) -> tuple[str, ...]:
    shown: dict[int, set[int]] = {video.id: set() for video in tracks.videos}
    for track in tracks.tracks:
        if not track.is_crowd:
            shown[track.video_id].add(track.class_id)
    names = [video.name for video in tracks.videos]
    classes = [frozenset(shown[video.id]) for video in tracks.videos]
    return tuple(names[index] for index in choose_holdout(names, classes, share, seed))


def _report(
    tracks: TrackDataset, held: tuple[str, ...], out: Path | None, problems: tuple[Problem, ...]
) -> PrepareReport:
    return PrepareReport(
        videos=len(tracks.videos),
        held_out=len(held),
        frames=sum(len(video.frame_files) for video in tracks.videos),
        boxes=sum(box is not None for track in tracks.tracks for box in track.boxes),
        categories=tuple(category.name for category in tracks.categories),
        dropped=count_problems(problems),
        out=out,
        problems=problems,
    )


def _write(plan: _Plan, folder: Path) -> None:
    names = {"train": tuple(video.name for video in plan.tracks.videos if video.name not in set(plan.holdout))}
    if plan.holdout:
        names["holdout"] = plan.holdout
    data = PreparedData(
        root=folder,
        name=plan.name,
        frames_root=plan.frames_root,
        categories=plan.tracks.categories,
        splits={split: _write_split(plan, split, videos, folder) for split, videos in names.items()},
        source=plan.source,
        seed=plan.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        holdout_sha256=hash_names(plan.holdout),
    )
    write_prepared(data)


def _write_split(plan: _Plan, split: str, names: tuple[str, ...], folder: Path) -> PreparedSplit:
    part = select_videos(plan.tracks, names)
    boxes = folder / f"{split}.json"
    write_boxes(to_boxes(part, plan.name, plan.frames_root, plan.seed), boxes)
    if split == "holdout":
        ground_truth = folder / "holdout_gt.json"
        write_annotations(part, ground_truth)
        return PreparedSplit(boxes, None, ground_truth, names)
    if not (plan.keep_masks or plan.keep_ids):
        return PreparedSplit(boxes, None, None, names)
    strong = folder / f"{split}_strong.json"
    write_annotations(to_strong(part, masks=plan.keep_masks, ids=plan.keep_ids, seed=plan.seed), strong)
    return PreparedSplit(boxes, strong, None, names)
