"""The verb `prepare`: annotations and frames, or made-up clips, become a prepared data set."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from qcen_core.conversion.box_only import box_only
from qcen_core.conversion.gather import Gathered, gather_made, gather_own, gather_published
from qcen_core.conversion.made.clip_request import ClipRequest
from qcen_core.conversion.made.made_data import DEFAULT_LENGTH, DEFAULT_SIZE, MADE_DATASETS, require_possible
from qcen_core.conversion.problems import Problem, Progress, count_boxes, count_problems
from qcen_core.conversion.published.finder import PAGES
from qcen_core.conversion.split import choose_holdout
from qcen_core.conversion.staging import require_free, whole_folder
from qcen_core.conversion.survey import LabelDensity, Survey, survey
from qcen_core.conversion.write_splits import Plan, write_splits
from qcen_core.errors import InputError
from qcen_core.prepared import PREPARED_FILE
from qcen_core.records import BoxDataset

KNOWN_DATASETS = (*PAGES, *MADE_DATASETS)
PREVIEWED = 24  # videos

Preview = Callable[[BoxDataset], None]


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """What `prepare` wrote, or with `check_only` would write.

    Attributes:
        videos: number of videos, over all splits with labels.
        held_out: number of those that are held out.
        frames: number of their frames.
        boxes: number of boxes to learn from; regions to ignore are not counted.
        categories: category -> number of its boxes and of the videos that it occurs in, in class order.
        density: how densely the frames are labelled.
        inference: split without labels -> number of its videos.
        dropped: what was left out, or with `check_only` is wrong: reason -> count.
        lost_boxes: the same reasons -> boxes that are lost by them.
        out: the data set's folder; `None` with `check_only`.
        notes: what a person should know, one line each.
        problems: every single problem behind `dropped`, and those that lose no label.
    """

    videos: int
    held_out: int
    frames: int
    boxes: int
    categories: dict[str, tuple[int, int]]
    density: LabelDensity
    inference: dict[str, int]
    dropped: dict[str, int]
    lost_boxes: dict[str, int]
    out: Path | None
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = field(default=(), repr=False)


def prepare(
    *,
    out: Path,
    dataset: str | None = None,
    annotations: Path | None = None,
    source: Path | None = None,
    frames: Path | None = None,
    name: str | None = None,
    holdout: float = 0.1,
    seed: int = 0,
    keep_masks: bool = False,
    keep_ids: bool = False,
    skip_bad: bool = False,
    verify: bool = True,
    overwrite: bool = False,
    level: str = "standard",
    clips: int | None = None,
    holdout_clips: int | None = None,
    size: tuple[int, int] = DEFAULT_SIZE,
    length: int = DEFAULT_LENGTH,
    categories: int = 0,
    check_only: bool = False,
    on_progress: Progress | None = None,
    on_preview: Preview | None = None,
) -> PrepareReport:
    """Writes a prepared data set: box-only splits, the hold-out's ground truth and `dataset.yaml`.

    Args:
        out: folder of the data set; it appears whole or not at all.
        dataset: a published or made-up data set, one of `KNOWN_DATASETS`; `None` for annotations of one's own.
        annotations: file or folder of own annotations, of any known format; cutouts and coco: the COCO folder or file.
        source: folder or zip of a published data set, by default `datasets/<name>`.
        frames: where the frames are; by default beside the annotations, as their format has it.
        name: name of the data set, by default that of `out`.
        holdout: share of the videos to hold out, 0 to 1.
        seed: of the hold-out split, or of the made-up clips.
        keep_masks: also write masks, for the levels `mask` and `mask+id`.
        keep_ids: also write identities, for the levels `box+id` and `mask+id`.
        skip_bad: leave out wrong labels and unusable videos and count them, instead of raising.
        verify: look at every frame file.
        overwrite: replace a data set of ours in `out`.
        level: shapes and cutouts: how hard the clips are.
        clips: clips to make for training; coco: images to use, by default all.
        holdout_clips: clips to make and hold out.
        size: shapes and cutouts: (height, width) of a frame.
        length: made-up clips: frames of a clip.
        categories: cutouts: number of categories, the most frequent ones; 0 for one category "object".
        check_only: look for all that is wrong and write nothing.
        on_progress: called with videos done and all videos.
        on_preview: called with some videos that show what is in the data set, while their frames are there.

    Raises:
        InputError: an option, the annotations, a record in them or a frame file cannot be used.
    """
    if dataset is not None and dataset not in KNOWN_DATASETS:
        raise InputError(f"no data set is called {dataset}", hint=f"known are {', '.join(KNOWN_DATASETS)}")
    if not 0 <= holdout <= 1:
        raise InputError(f"a hold-out of {holdout} is no share", hint="pass 0 to 1 as --holdout")
    if not check_only:
        _require_outside(out, *(path for path in (annotations, source, frames) if path is not None))
        require_free(out, PREPARED_FILE, overwrite=overwrite)
    request = None
    if dataset in MADE_DATASETS:
        if check_only:
            hint = "leave --check away" if dataset == "shapes" else "check its file: qcen prepare FILE --check"
            raise InputError(f"{dataset} is made on the spot: there is nothing to check", hint=hint)
        request = ClipRequest(
            dataset=dataset,
            level=level,
            clips=clips,
            holdout_clips=holdout_clips,
            size=size,
            length=length,
            seed=seed,
            annotations=annotations or source or _usual_source(dataset),
            frames=frames,
            holdout=holdout,
            skip_bad=skip_bad,
            categories=categories,
        )
        require_possible(request)
    with _folder_for(out, check_only) as folder:
        if request is not None:
            gathered = gather_made(request, folder, on_progress)
        elif dataset is not None:
            place = source or annotations or Path("datasets") / dataset
            unpack_to = None if check_only else folder
            gathered = gather_published(dataset, place, unpack_to, on_progress=on_progress)
        elif annotations is not None:
            shown = on_preview is not None or not check_only
            gathered = gather_own(annotations, frames, folder if shown else None, on_progress=on_progress)
        else:
            raise InputError("no annotation file is named", hint="pass it, and the folder of its frames with --frames")
        surveyed = survey(
            gathered.annotations,
            gathered.frames_root if verify and request is None and not gathered.unwritten else None,
            skip_bad=skip_bad or check_only,
            check_masks=check_only,
            on_progress=on_progress,
        )
        held = _held_out(gathered, surveyed, holdout, seed)
        report = _report(gathered, surveyed, held, holdout, None if check_only else out)
        if on_preview is not None and surveyed.usable:
            on_preview(_preview(gathered, surveyed, name or out.name, seed))
        if not (check_only and report.dropped):  # what is wrong says more than that nothing usable is left
            _require_usable(surveyed, keep_ids)
        if not check_only:
            plan = Plan(
                surveyed=surveyed,
                frames_root=gathered.frames_root.absolute(),
                held_out=held,
                held_out_content=gathered.held_out_content,
                inference=gathered.inference,
                name=name or out.name,
                source=gathered.source,
                seed=seed,
                keep_masks=keep_masks,
                keep_ids=keep_ids,
                skip_bad=skip_bad,
            )
            problems = (*report.problems, *write_splits(plan, folder))
            lost = count_boxes(problems)
            report = replace(report, problems=problems, dropped=_dropped(gathered, problems), lost_boxes=lost)
    return report


@contextmanager
def _folder_for(out: Path, check_only: bool) -> Iterator[Path]:
    """Where to write: a folder that becomes `out`, or one that is gone after a mere check."""
    if check_only:
        with tempfile.TemporaryDirectory(prefix="qcen-") as folder:
            yield Path(folder)
    else:
        with whole_folder(out) as folder:
            yield folder


def _usual_source(dataset: str) -> Path | None:
    """Where people keep COCO, if it is there."""
    usual = Path("datasets") / "coco"
    return usual if dataset != "shapes" and usual.is_dir() else None


def _require_outside(out: Path, *sources: Path) -> None:
    """Overwriting must not delete what is being prepared."""
    for source in sources:
        if out.exists() and source.resolve().is_relative_to(out.resolve()):
            raise InputError(f"holds {source}, which is to be prepared", place=out, hint="choose another --out")


def _require_usable(surveyed: Survey, keep_ids: bool) -> None:
    path = surveyed.annotations.path
    if not surveyed.usable:
        raise InputError("no usable video", place=path, hint="see what is wrong with --check")
    if surveyed.rows.ignore.all():
        raise InputError(
            "not one box to learn from", place=path, hint="pass training annotations, not those of a test set"
        )
    if keep_ids and not surveyed.rows.identified:
        raise InputError("some annotations have no identity", place=path, hint="leave --keep-ids away")


def _held_out(gathered: Gathered, surveyed: Survey, share: float, seed: int) -> tuple[int, ...]:
    """Indices of the videos to hold out."""
    videos = surveyed.annotations.videos
    if gathered.held_out is not None:
        held = set(gathered.held_out)
        return tuple(index for index in surveyed.usable if videos[index].name in held)
    labelled = [i for i in surveyed.usable if len(surveyed.unlabelled.get(i, ())) < len(videos[i].frame_files)]
    shown: dict[int, set[int]] = {index: set() for index in labelled}
    rows = surveyed.rows.select(~surveyed.rows.ignore)
    for video, class_id in zip(rows.videos.tolist(), rows.class_ids.tolist(), strict=True):
        shown[video].add(class_id)
    names = [videos[index].name for index in labelled]
    chosen = choose_holdout(names, [frozenset(found) for found in shown.values()], share, seed)
    return tuple(labelled[index] for index in chosen)


def _notes(gathered: Gathered, surveyed: Survey, held: tuple[int, ...], share: float) -> tuple[str, ...]:
    """What was gathered, which videos are left out as a whole, and whether there is anything to evaluate on."""
    notes = [*gathered.notes]
    videos = surveyed.annotations.videos
    lost = [video for index, video in enumerate(videos) if index not in surveyed.usable]
    if lost:
        named = ", ".join(video.name for video in lost[:5]) + (" ..." if len(lost) > 5 else "")
        frames = sum(len(video.frame_files) for video in lost)
        notes.append(f"left out as a whole: {len(lost)} of {len(videos)} videos with {frames} frames: {named}")
    if share > 0 and not held and surveyed.usable:
        notes.append("nothing is held out: one usable video cannot be split; there is nothing to evaluate on")
    return tuple(notes)


def _report(
    gathered: Gathered, surveyed: Survey, held: tuple[int, ...], share: float, out: Path | None
) -> PrepareReport:
    return PrepareReport(
        videos=len(surveyed.usable),
        held_out=len(held),
        frames=surveyed.frames,
        boxes=int((~surveyed.rows.ignore).sum()),
        categories=surveyed.category_counts(),
        density=surveyed.density(),
        inference={split: len(videos) for split, videos in gathered.inference.items()},
        dropped=_dropped(gathered, surveyed.problems),
        lost_boxes=count_boxes(surveyed.problems),
        out=out,
        notes=_notes(gathered, surveyed, held, share),
        problems=surveyed.problems,
    )


def _dropped(gathered: Gathered, problems: tuple[Problem, ...]) -> dict[str, int]:
    return {**count_problems(problems), **gathered.dropped}


def _preview(gathered: Gathered, surveyed: Survey, name: str, seed: int) -> BoxDataset:
    """Videos spread evenly over the data set."""
    count = min(PREVIEWED, len(surveyed.usable))
    chosen = [surveyed.usable[index * len(surveyed.usable) // count] for index in range(count)]
    return box_only(surveyed, chosen, name, gathered.frames_root, seed)
