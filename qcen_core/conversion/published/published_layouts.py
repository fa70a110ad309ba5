"""Where people keep the files of published data sets: file names, folders, and what is easily taken for them.

The names come from the downloads themselves and from the layouts that public projects ask their users for.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from qcen_core.conversion.published.annotation_head import AnnotationHead
from qcen_core.video.frame_folder import IMAGE_SUFFIXES

SPLITS = {"train": ("train",), "valid": ("valid", "val"), "test": ("test",)}  # and what else they are called

# Relative to the data set's folder; {} is the split.
ANNOTATION_FILES = (
    "{}.json",
    "{}/instances.json",
    "{}/{}/instances.json",
    "{}/{}.json",
    "annotations/{}.json",
    "annotations/annotations_{}.json",
    "annotations_{}.json",
    "annotations/instances_{}_sub.json",
    "instances_{}_sub.json",
    "annotations/instances_{}.json",
    "instances_{}.json",
)
FRAME_FOLDERS = (
    "{}/JPEGImages",
    "{}/{}/JPEGImages",
    "{}_all_frames/JPEGImages",
    "{}/{}_all_frames/JPEGImages",
    "{}_all_frames/{}_all_frames/JPEGImages",
    "{}",
    "{}/{}",
    "JPEGImages",
    "JPEGImages/{}",
    "Images/{}",
    "images/{}",
    "frames/{}",
    "frames",
    "images",
    "",
)
MOST_WRAPPERS = 50  # a folder of more folders is one of videos
WRAPPER_DEPTH = 2  # ovis.zip, unpacked into ovis/, may hold another ovis/
PROBES = 16  # frame files looked for to tell whether a folder is that of the frames


class _VosVideo(msgspec.Struct):
    objects: dict[str, msgspec.Raw]


class _VosFile(msgspec.Struct):
    videos: dict[str, _VosVideo]


def data_folders(root: Path) -> list[Path]:
    """A folder and those in it that may wrap the data set, nearest first."""
    folders, nearest = [root], [root]
    for _ in range(WRAPPER_DEPTH):
        nearest = [child for folder in nearest for child in _children(folder)]
        folders += nearest
    return folders


def annotation_files(folders: Sequence[Path], split: str) -> list[tuple[Path, Path]]:
    """Files that by their names are the annotations of a split, each with its data set's folder; likely ones first.

    Args:
        folders: those that may hold the data set.
        split: `train`, `valid` or `test`.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    for folder in folders:
        for path in _annotation_paths(folder, split):
            if path.is_file():
                found.setdefault(path.resolve(), (path, folder))
    return list(found.values())


def is_annotation_name(name: str) -> bool:
    """Whether a file of a zip may be annotations, by its name."""
    known = {
        PurePosixPath(pattern.replace("{}", alias)).name
        for pattern in ANNOTATION_FILES
        for aliases in SPLITS.values()
        for alias in aliases
    }
    return PurePosixPath(name).name in known


def frames_folder(head: AnnotationHead, annotations: Path, folders: Sequence[Path], split: str) -> Path | None:
    """The folder that the frame files of an annotation file lie under, `None` where they are nowhere.

    Args:
        head: of the annotation file.
        annotations: the file.
        folders: data set's folders to look in, the file's own first.
        split: `train`, `valid` or `test`.
    """
    named = [video.file_names[0] for video in head.videos if video.file_names]
    probes = named[:: max(1, len(named) // PROBES)][:PROBES]
    best, most = None, 0
    for folder in _frame_paths(annotations, folders, split):
        there = sum((folder / name).is_file() for name in probes) if folder.is_dir() else 0
        if there > most:
            best, most = folder, there
        if there == len(probes):
            break
    return best


def looks_like_vos(folders: Sequence[Path]) -> bool:
    """Whether YouTube-VOS lies there: a meta.json that lists objects by video, or one mask picture a frame."""
    places = [folder / part for folder in folders for part in ("", "train", "valid", "train_all_frames")]
    return any(_is_vos_meta(place / "meta.json") or _holds_mask_pictures(place) for place in places)


def names_like_vos(names: Sequence[str]) -> bool:
    """As `looks_like_vos`, of the names of the files in a zip."""
    paths = [PurePosixPath(name) for name in names]
    return any(
        path.name == "meta.json" or (path.suffix == ".png" and path.parts[-3:-2] == ("Annotations",)) for path in paths
    )


def _children(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    inside = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return inside if len(inside) <= MOST_WRAPPERS else []


def _filled(patterns: Sequence[str], split: str) -> Iterator[str]:
    for alias in SPLITS[split]:
        yield from (pattern.replace("{}", alias) for pattern in patterns)


def _annotation_paths(folder: Path, split: str) -> Iterator[Path]:
    yield from (folder / name for name in _filled(ANNOTATION_FILES, split))
    # A split's own folder as the source, or its unpacked zip, such as youtube_vis_2021_train.
    if _split_of(folder.resolve().name) == split:
        yield folder / "instances.json"


def _split_of(folder: str) -> str:
    """The split that a folder's name tells; one that tells none is taken for the training split."""
    words = folder.lower().replace("-", "_").split("_")
    return next((split for split, aliases in SPLITS.items() if not set(aliases).isdisjoint(words)), "train")


def _frame_paths(annotations: Path, folders: Sequence[Path], split: str) -> Iterator[Path]:
    yield annotations.parent / "JPEGImages"
    yield from (folder / name for folder in folders for name in _filled(FRAME_FOLDERS, split))
    yield annotations.parent


def _is_vos_meta(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        msgspec.json.decode(path.read_bytes(), type=_VosFile)
    except (msgspec.DecodeError, UnicodeDecodeError, OSError):
        return False
    return True


def _holds_mask_pictures(folder: Path) -> bool:
    masks, pictures = folder / "Annotations", folder / "JPEGImages"
    if not (masks.is_dir() and pictures.is_dir()):
        return False
    video = next((entry for entry in masks.iterdir() if entry.is_dir()), None)
    return video is not None and any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in video.iterdir())
