"""The data sets of the learning benchmark: made once in the work folder, and told apart by a hash of their content."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.learning_rows import Benchmark, ClipSet
from qcen_core.conversion.prepare import prepare
from qcen_core.errors import InputError
from qcen_core.jsonfile import load_json, write_json
from qcen_core.prepared import PREPARED_FILE, read_prepared

VALIDATION_SHARE = 3  # every third image of a hold-out is for validation, the others are for the test
ANNOTATIONS = Path("annotations")


@dataclass(frozen=True, slots=True)
class BenchmarkData:
    """The prepared data sets of a benchmark.

    Attributes:
        training: folder; train split, and hold-out split for validation.
        test: folder; only its hold-out split is used.
        hashes: name of the set to SHA-256 of its content.
    """

    training: Path
    test: Path
    hashes: dict[str, str]


def make_data(benchmark: Benchmark, work: Path, coco: Path | None) -> BenchmarkData:
    """Make the data sets of a benchmark, unless they are there.

    Shapes of the test come from another seed. Cut-outs, too; and the objects and backgrounds of their hold-outs come
    from COCO's validation images, one third of them for validation and the others for the test, so that training,
    validation and test share no image.

    Args:
        benchmark: says what to make.
        work: folder of the benchmark's data and runs.
        coco: COCO folder, for cut-outs.

    Raises:
        InputError: a data set cannot be made, or lies there unlike it was made.
    """
    folders = {"training": work / "training", "test": work / "test"}
    hashes = {}
    for name, clips in (("training", benchmark.training), ("test", benchmark.test)):
        record, folder = work / f"{name}.json", folders[name]
        if not (folder / PREPARED_FILE).is_file():
            _make(benchmark, clips, folder, _coco_part(coco, work, name) if benchmark.dataset == "cutouts" else None)
            write_json({"clips": _describe(benchmark, clips), "sha256": content_hash(folder)}, record)
        made = load_json(record) if record.is_file() else {}
        if not isinstance(made, dict) or made.get("clips") != _describe(benchmark, clips):
            raise InputError("made with other settings", place=folder, hint="remove it, it is made again")
        hashes[name] = content_hash(folder)
        if hashes[name] != made["sha256"]:
            raise InputError("changed since it was made", place=folder, hint="remove it, it is made again")
    return BenchmarkData(folders["training"], folders["test"], hashes)


def content_hash(folder: Path) -> str:
    """SHA-256 over the label files and the frames of a prepared set."""
    prepared = read_prepared(folder)
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.json")):
        digest.update(json.dumps(load_json(path), sort_keys=True).encode())
    for path in sorted(prepared.frames_root.rglob("*.jpg")):
        digest.update(path.relative_to(prepared.frames_root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _describe(benchmark: Benchmark, clips: ClipSet) -> dict[str, object]:
    return {
        "dataset": benchmark.dataset,
        "level": benchmark.level,
        "clips": clips.clips,
        "holdout_clips": clips.holdout_clips,
        "seed": clips.seed,
    }


def _make(benchmark: Benchmark, clips: ClipSet, folder: Path, coco: Path | None) -> None:
    prepare(
        out=folder,
        dataset=benchmark.dataset,
        annotations=coco,
        level=benchmark.level,
        clips=clips.clips,
        holdout_clips=clips.holdout_clips,
        seed=clips.seed,
        keep_masks=True,
        keep_ids=True,
    )


def _coco_part(coco: Path | None, work: Path, name: str) -> Path:
    """A COCO folder whose validation images are those for validation, or those for the test; images are linked."""
    if coco is None:
        raise InputError("cut-outs are made from COCO images", hint="pass a COCO folder with --coco")
    part = work / f"coco_{name}"
    (part / ANNOTATIONS).mkdir(parents=True, exist_ok=True)
    for split in ("train2017", "val2017"):
        file = ANNOTATIONS / f"instances_{split}.json"
        labels = load_json(coco / file)
        if not isinstance(labels, dict) or not isinstance(labels.get("images"), list):
            raise InputError("not an annotation file of COCO", place=coco / file, hint="it lists 'images'")
        if split == "val2017":
            labels = _image_part(labels, for_test=name == "test")
        write_json(labels, part / file)
        if not (part / split).exists():
            (part / split).symlink_to((coco / split).resolve(), target_is_directory=True)
    return part


def _image_part(labels: dict[str, list[dict[str, object]]], *, for_test: bool) -> dict[str, list[dict[str, object]]]:
    images = sorted(labels["images"], key=lambda image: str(image["file_name"]))
    kept = [image for place, image in enumerate(images) if (place % VALIDATION_SHARE > 0) == for_test]
    ids = {image["id"] for image in kept}
    return labels | {"images": kept, "annotations": [a for a in labels["annotations"] if a["image_id"] in ids]}
