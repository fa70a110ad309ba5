"""The parts of `benchmarks.data_speed`: each is run in a process of its own and tells what it measured."""

import shutil
import time
from pathlib import Path
from typing import Any

import cv2

from benchmarks.peak_memory import peak_bytes

FRAMES = 1200  # that the two sides of the loading comparison read
SHORT_SIDES = (360, 480)


def run_part(part: str, file: Path, workers: int) -> dict[str, Any]:
    match part:
        case "reference":
            return reference(file)
        case "conversion":
            return conversion(file)
        case "opening":
            return opening(file)
        case "loading":
            return loading(file, workers)
        case "plain":
            return plain(file, workers)
        case "memory":
            return memory(file, workers)
    raise ValueError(part)


def reference(file: Path) -> dict[str, Any]:
    import orjson
    from pycocotools import mask as coco_mask

    started = time.perf_counter()
    content = orjson.loads(file.read_bytes())
    for annotation in content["annotations"]:
        for mask in annotation["segmentations"]:
            if mask is not None:
                coco_mask.toBbox(mask)
    return {"seconds": time.perf_counter() - started}


def conversion(file: Path) -> dict[str, Any]:
    from qcen_core.conversion.prepare import prepare

    out = file.parent / "prepared"
    started = time.perf_counter()
    prepare(out=out, annotations=file, frames=file.parent, verify=False, overwrite=True)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_bytes": peak_bytes()}


def opening(file: Path) -> dict[str, Any]:
    from qcen_core.training.training_data import load_training_data

    config = _config(file, workers=0)
    started = time.perf_counter()
    load_training_data(config)
    return {"seconds": time.perf_counter() - started}


def loading(file: Path, workers: int) -> dict[str, Any]:
    from qcen_core.data.loader import batches

    config, clips = _with_frames(file, workers)
    steps = FRAMES // (config.data.clips_per_step * config.data.clip_frames)
    frames, started = 0, 0.0
    for loaded in batches(clips, config.data, first=0, last=steps, seed=0):
        if not started:  # starting the workers is not what is measured
            started = time.perf_counter()
            continue
        frames += len(loaded.batch.targets)
    return {"frames_per_second": frames / (time.perf_counter() - started)}


class PlainFrames:
    """The least that loading can be: a frame read by OpenCV and brought to one of the training sizes."""

    def __init__(self, files: list[str], count: int) -> None:
        self._files = files
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> int:
        image: Any = cv2.imread(self._files[index * 7919 % len(self._files)])
        short = SHORT_SIDES[index % len(SHORT_SIDES)]
        size = (round(short * image.shape[1] / image.shape[0]), short)
        return len(cv2.resize(image, size))  # not the pixels: handing them on does not count on this side


def one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)


def plain(file: Path, workers: int) -> dict[str, Any]:
    from torch.utils.data import DataLoader

    config, _ = _with_frames(file, workers)
    batch = config.data.clips_per_step * config.data.clip_frames
    files = sorted(str(path) for path in (file.parent.parent / "frames").rglob("*.jpg"))
    dataset: Any = PlainFrames(files, FRAMES // batch * batch)
    loader: Any = DataLoader(
        dataset,
        batch_size=batch,
        num_workers=workers,
        collate_fn=list,
        worker_init_fn=one_thread,
        multiprocessing_context="forkserver",
    )
    frames, started = 0, 0.0
    for read in loader:
        if not started:
            started = time.perf_counter()
            continue
        frames += len(read)
    return {"frames_per_second": frames / (time.perf_counter() - started)}


def memory(file: Path, workers: int) -> dict[str, Any]:
    import multiprocessing

    from qcen_core.data.loader import batches

    config, clips = _with_frames(file, workers)
    count = max(clips.videos // config.data.clips_per_step, 40) * 4
    first = last = 0.0
    for index, _ in enumerate(batches(clips, config.data, first=0, last=count, seed=0)):
        if index in (workers * 2, count - workers * 2):
            first, last = last, sum(_resident(child.pid) for child in multiprocessing.active_children())
    return {"batches": count, "first_mb": first, "last_mb": last}


def _resident(pid: int | None) -> float:
    """Megabytes of a process; memory that several share is counted in parts."""
    total = 0.0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            total += int(line.split()[1]) / 1024
    return total


def _config(file: Path, workers: int) -> Any:  # noqa: ANN401  # a QcenConfig, whose import is not for every part
    from qcen_core.config import load_config

    return load_config(
        "tiny",
        [
            f"data.root={file.parent / 'prepared'}",
            f"data.workers={workers}",
            f"data.short_sides={list(SHORT_SIDES)}",
            "data.crop_scale=0.6",
            "data.color_jitter=0.2",
        ],
    )


def _with_frames(file: Path, workers: int) -> tuple[Any, Any]:
    """Configuration and clips of the part of the stand-in that has frames on disk."""
    import orjson

    from qcen_core.conversion.prepare import prepare
    from qcen_core.training.training_data import load_training_data

    frames = file.parent.parent / "frames"
    folder = file.parent.parent / "with_frames"
    part = folder / "train.json"
    if not (folder / "prepared").is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        content = orjson.loads(file.read_bytes())
        content["videos"] = [v for v in content["videos"] if (frames / v["file_names"][-1]).is_file()]
        kept = {video["id"] for video in content["videos"]}
        content["annotations"] = [a for a in content["annotations"] if a["video_id"] in kept]
        part.write_bytes(orjson.dumps(content))
        prepare(out=folder / "prepared", annotations=part, frames=frames, holdout=0)
    config = _config(part, workers)
    return config, load_training_data(config).clips
