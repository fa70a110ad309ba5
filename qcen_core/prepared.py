"""The prepared data set on disk: `dataset.yaml`, which says which files and which videos make which split."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from qcen_core.boxfile import VERSION, category_items, read_box_categories, require_version
from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, write_whole
from qcen_core.records import Category

PREPARED_FORMAT = "qcen-dataset"
PREPARED_FILE = "dataset.yaml"
# Written in C it is ten times as quick, where PyYAML was built with it.
_SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class PreparedSplit:
    """The files of one split.

    Attributes:
        boxes: the box-only file.
        strong: annotations with masks or identities for the stronger levels, where somebody asked for them.
        ground_truth: annotations for evaluation only, never for training.
        videos: names of its videos.
    """

    boxes: Path
    strong: Path | None
    ground_truth: Path | None
    videos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreparedData:
    """A prepared data set, as its `dataset.yaml` describes it.

    Attributes:
        root: its folder.
        name: its name.
        frames_root: folder that the frame files are relative to; frames of own data stay where they are.
        categories: the K classes, in class order.
        splits: `train`; unless nothing was held out, `holdout`; and splits without labels, to run a model on.
        source: what it was made from, for people.
        seed: of the hold-out split, or of the procedural clips.
        created: ISO time.
        holdout_sha256: hash of the held-out videos' names, by which two hold-outs are compared; empty without one.
    """

    root: Path
    name: str
    frames_root: Path
    categories: tuple[Category, ...]
    splits: dict[str, PreparedSplit]
    source: str
    seed: int
    created: str
    holdout_sha256: str


def write_prepared(data: PreparedData) -> None:
    """Write `dataset.yaml` into the data set's folder, whole or not at all; paths inside the folder are relative."""
    content = {
        "format": PREPARED_FORMAT,
        "version": VERSION,
        "name": data.name,
        "source": data.source,
        "seed": data.seed,
        "created": data.created,
        "holdout_sha256": data.holdout_sha256,
        "frames_root": _portable(data.frames_root, data.root),
        "categories": category_items(data.categories),
        "splits": {
            name: {
                "boxes": _portable(split.boxes, data.root),
                "strong": None if split.strong is None else _portable(split.strong, data.root),
                "ground_truth": None if split.ground_truth is None else _portable(split.ground_truth, data.root),
                "videos": list(split.videos),
            }
            for name, split in data.splits.items()
        },
    }
    path = data.root / PREPARED_FILE
    write_whole(yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode(), path)


def read_prepared(root: Path) -> PreparedData:
    """Read the `dataset.yaml` of a prepared data set.

    Args:
        root: the data set's folder.

    Raises:
        InputError: there is none, it cannot be used, or the frames it names are gone.
    """
    path = root / PREPARED_FILE
    file = JsonRecord(_load_yaml(path), str(path))
    if file.fields.get("format") != PREPARED_FORMAT:
        raise InputError("not a prepared data set of QCEN", place=path, hint="make one with `qcen prepare`")
    require_version(file)
    splits: dict[str, PreparedSplit] = {}
    for name, fields in _mapping(file, "splits").items():
        split = JsonRecord(fields, f"{path}: split {name}") if isinstance(fields, dict) else None
        if split is None:
            raise InputError("not a mapping", place=f"{path}: split {name}", hint="prepare the data again")
        splits[str(name)] = PreparedSplit(
            boxes=root / split.text("boxes"),
            strong=None if split.is_null("strong") else root / split.text("strong"),
            ground_truth=None if split.is_null("ground_truth") else root / split.text("ground_truth"),
            videos=tuple(str(video) for video in split.items("videos")),
        )
    frames_root = root / file.text("frames_root")
    if not frames_root.is_dir():
        raise InputError(
            f"its frames folder {frames_root} is gone",
            place=path,
            hint="frames are linked, not copied: move them back or prepare the data again",
        )
    return PreparedData(
        root=root,
        name=file.text("name"),
        frames_root=frames_root,
        categories=read_box_categories(file, path),
        splits=splits,
        source=file.text("source"),
        seed=file.integer("seed"),
        created=file.text("created"),
        holdout_sha256=str(file.value("holdout_sha256")),
    )


def _portable(path: Path, root: Path) -> str:
    """Relative to `root` where `path` lies in it, else absolute."""
    path, root = path.absolute(), root.absolute()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _load_yaml(path: Path) -> dict[str, object]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_SAFE_LOADER)  # noqa: S506  # both are safe
    except FileNotFoundError:
        raise InputError(
            f"no prepared data set: {PREPARED_FILE} is missing", place=path.parent, hint="make one with `qcen prepare`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read as text: {error}", place=path, hint="prepare the data again") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        spot = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
        raise InputError(f"not valid YAML{spot}", place=path, hint="prepare the data again") from None
    if not isinstance(content, dict):
        raise InputError("not a mapping of names to values", place=path, hint="prepare the data again")
    return content


def _mapping(record: JsonRecord, key: str) -> dict[object, object]:
    value = record.value(key)
    if not isinstance(value, dict):
        raise InputError(f'"{key}" is not a mapping', place=record.place, hint="prepare the data again")
    return value
