"""Published data sets as people have them: YouTube-VIS 2019 and 2021, and OVIS, unpacked somehow or still in zips."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qcen_core.conversion.problems import Progress
from qcen_core.conversion.published.annotation_head import AnnotationHead, read_head
from qcen_core.conversion.published.categories import OFFICIAL_CATEGORIES
from qcen_core.conversion.published.published_layouts import (
    SPLITS,
    annotation_files,
    data_folders,
    frames_folder,
    is_annotation_name,
    looks_like_vos,
    names_like_vos,
)
from qcen_core.conversion.published.zips import look_into, unpack
from qcen_core.errors import InputError

PAGES = {
    "ytvis2019": "https://youtube-vos.org/dataset/vis/",
    "ytvis2021": "https://youtube-vos.org/dataset/vis/",
    "ovis": "https://songbai.site/ovis/",
}
EXPECTED = {
    "ytvis2019": "train.json and train/JPEGImages/, or train.zip beside train.json",
    "ytvis2021": "train/instances.json and train/JPEGImages/, or train.zip",
    "ovis": "annotations_train.json and train/, or train.zip beside annotations_train.json",
}
TRAINING_VIDEOS = {"ytvis2019": 2238, "ytvis2021": 2985, "ovis": 607}
NAMED = 5  # categories in a note


@dataclass(frozen=True, slots=True)
class FoundSplit:
    """One split of a data set.

    Attributes:
        name: `train`, `valid` or `test`.
        annotations: the annotation file.
        frames: folder that its frame files are relative to.
        labelled: whether the file holds annotations; the official files of `valid` and `test` do not.
    """

    name: str
    annotations: Path
    frames: Path
    labelled: bool


@dataclass(frozen=True, slots=True)
class FoundDataset:
    """A data set that was found.

    Attributes:
        splits: those with annotation file and frames, `train` first.
        notes: what was found, is missing or differs from the official set, one line each.
    """

    splits: tuple[FoundSplit, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Annotations of a split: the file, the data set's folder, its head, its frames if found, files not chosen."""

    path: Path
    root: Path
    head: AnnotationHead
    frames: Path | None
    others: tuple[Path, ...]


def find_published(
    name: str, source: Path, unpack_to: Path | None, on_progress: Progress | None = None
) -> FoundDataset:
    """Find annotation files and frames of a published data set.

    Args:
        name: `ytvis2019`, `ytvis2021` or `ovis`.
        source: folder of the data set, in any usual layout, or of its zips; or one zip.
        unpack_to: where zips are unpacked, each into a folder of its name; `None` to unpack nothing.
        on_progress: called with files unpacked and files to unpack.

    Raises:
        InputError: the training split is not there as a whole, is that of another data set, or a file is damaged.
    """
    if name not in PAGES:
        raise InputError(f"no published data set is called {name}", hint=f"known are {', '.join(PAGES)}")
    folders = _folders(name, source)
    found = _search(name, folders)
    left = _zips(source, folders, found)
    if left and not _is_complete(found.get("train")):
        if "train" not in found:
            _require_annotations(name, source, left)
        unpacked = _unpack(left, unpack_to, on_progress)
        folders += data_folders(unpacked)
        found, left = _search(name, folders), []
    if "train" not in found:
        raise _nothing_found(name, source, vos=looks_like_vos(folders))
    notes = [f"{path}: left as it is; unpack it to use what it holds" for path in left]
    splits = []
    for split in SPLITS:
        use, lines = _take(name, split, found.get(split))
        splits += [use] if use is not None else []
        notes += lines
    return FoundDataset(tuple(splits), tuple(notes))


def _folders(name: str, source: Path) -> list[Path]:
    if source.is_dir():
        return data_folders(source)
    if not source.exists():
        hint = f"name its folder with --source, or get {EXPECTED[name]} from {PAGES[name]}"
        raise InputError("there is no such file or folder", place=source, hint=hint)
    if source.suffix.lower() == ".zip":
        return []
    hint = "pass the data set's folder; a single annotation file is read by 'qcen prepare FILE --frames FOLDER'"
    raise InputError("neither a folder nor a zip", place=source, hint=hint)


def _search(name: str, folders: Sequence[Path]) -> dict[str, _Candidate]:
    candidates = {}
    for split in SPLITS:
        files = annotation_files(folders, split)
        if files:
            candidates[split] = _choose(name, split, files, folders)
    return candidates


def _choose(name: str, split: str, files: list[tuple[Path, Path]], folders: Sequence[Path]) -> _Candidate:
    """The first file with this data set's categories, else the first one."""
    read = ((path, root, read_head(path)) for path, root in files)
    first = next(read)
    if _list_of(first[2]) == name:
        chosen = first
    else:
        chosen = next((candidate for candidate in read if _list_of(candidate[2]) == name), first)
    path, root, head = chosen
    other = _list_of(head)
    if split == "train" and other not in (None, name):
        cause = f"these are the annotations of {other}, not of {name}"
        raise InputError(cause, place=path, hint=f"--dataset {other}")
    frames = frames_folder(head, path, [root, *folders], split)
    return _Candidate(path, root, head, frames, tuple(file for file, _ in files if file != path))


def _is_complete(candidate: _Candidate | None) -> bool:
    return candidate is not None and candidate.frames is not None


def _zips(source: Path, folders: Sequence[Path], found: dict[str, _Candidate]) -> list[Path]:
    """The zips that may hold what is missing: those of the source, else those of the folders that wrap it."""
    if not source.is_dir():
        return [source]
    lying = [[path for path in sorted(folder.iterdir()) if path.suffix.lower() == ".zip"] for folder in folders]
    zips = lying[0] or [path for inside in lying[1:] for path in inside]
    done = [alias for split, candidate in found.items() if _is_complete(candidate) for alias in SPLITS[split]]
    return [path for path in zips if "submission" not in path.stem and not any(word in path.stem for word in done)]


def _require_annotations(name: str, source: Path, zips: Sequence[Path]) -> None:
    """Told before gigabytes are unpacked.

    Raises:
        InputError: there is no annotation file in any of the zips.
    """
    files = [file for path in zips for file in look_into(path).names]
    if not any(map(is_annotation_name, files)):
        raise _nothing_found(name, source, vos=names_like_vos(files))


def _unpack(zips: Sequence[Path], folder: Path | None, on_progress: Progress | None) -> Path:
    twice = next((path for path in zips for other in zips if path != other and path.stem == other.stem), None)
    if twice is not None:
        hint = "pass the folder of one data set as --source"
        raise InputError(f"several zips are called {twice.name}", place=twice, hint=hint)
    contents = [look_into(path) for path in zips]
    if folder is None:
        cause = f"still in zips: {', '.join(path.name for path in zips)}"
        raise InputError(cause, place=zips[0].parent, hint="unpack them, or run without --check")
    unpack(contents, folder, on_progress)
    return folder


def _take(name: str, split: str, candidate: _Candidate | None) -> tuple[FoundSplit | None, list[str]]:
    """The split if it can be used, and what there is to tell of it."""
    if candidate is None:
        return None, [f"{split}: no annotation file found"]
    head, path, other = candidate.head, candidate.path, _list_of(candidate.head)
    if other not in (None, name):
        return None, [f"{split}: {path} holds the videos of {other}; left out"]
    if candidate.frames is None:
        if split == "train":
            raise _no_frames(name, candidate)
        return None, [f"{split}: annotations found, frames missing; left out"]
    if split == "train" and not head.labelled:
        hint = f"use the training annotations of {PAGES[name]}"
        raise InputError("holds no annotations to learn from", place=path, hint=hint)
    labels = "annotations" if head.labelled else "for inference only, without labels:"
    notes = [f"{split}: {len(head.videos):,} videos, {labels} {path}, frames {candidate.frames}"]
    notes += [f"{split}: {other} found, too; not used" for other in candidate.others]
    notes += _compare_categories(name, split, head)
    if split == "train":
        notes += _compare_count(name, len(head.videos))
    return FoundSplit(split, path, candidate.frames, head.labelled), notes


def _compare_count(name: str, videos: int) -> list[str]:
    official = TRAINING_VIDEOS[name]
    if videos < official:
        return [f"train: {videos:,} of {official:,} training videos: an excerpt"]
    if videos > official:
        return [f"train: {videos:,} videos, the official training set has {official:,}"]
    return []


def _compare_categories(name: str, split: str, head: AnnotationHead) -> list[str]:
    given, official = _by_id(head), _official(name)
    if given == official:
        return []
    missing, extra = (sorted(set(a.values()) - set(b.values())) for a, b in ((official, given), (given, official)))
    if not missing and not extra:
        return [f"{split}: the official categories under other ids"]
    parts = [f"without {_listed(missing)}"] * bool(missing) + [f"with {_listed(extra)}"] * bool(extra)
    return [f"{split}: not the official categories: {', '.join(parts)}"]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _by_id(head: AnnotationHead) -> dict[int, str]:
    return {category.id: _plain(category.name) for category in head.categories}


def _official(name: str) -> dict[int, str]:
    return {number: _plain(category) for number, category in enumerate(OFFICIAL_CATEGORIES[name], start=1)}


def _plain(category: str) -> str:
    """Some copies spell names with spaces or other capitals; no two categories of a set differ in that only."""
    return category.lower().replace(" ", "_").replace("-", "_")


def _list_of(head: AnnotationHead) -> str | None:
    """The data set that has just these categories."""
    given = set(_by_id(head).values())
    return next((name for name in OFFICIAL_CATEGORIES if given == set(_official(name).values())), None)


def _no_frames(name: str, candidate: _Candidate) -> InputError:
    example = next((video.file_names[0] for video in candidate.head.videos if video.file_names), None)
    if example is None:
        return InputError("lists no frames", place=candidate.path, hint=f"use the files of {PAGES[name]}")
    looked = f"train/JPEGImages/{example}, train/{example}, JPEGImages/{example} and the like in {candidate.root}"
    hint = f"looked for {looked}; unpack train.zip of {PAGES[name]} there"
    return InputError("the frames that it names are missing", place=candidate.path, hint=hint)


def _nothing_found(name: str, place: Path, *, vos: bool) -> InputError:
    cause = f"no training annotations of {name} there"
    if vos:
        cause = "this is YouTube-VOS (one mask png a frame), not YouTube-VIS"
    return InputError(cause, place=place, hint=f"get {EXPECTED[name]} from {PAGES[name]}")
