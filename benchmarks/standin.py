"""Stand-ins for published data sets: made-up annotations and frames of the true sizes, to measure on.

    python -m benchmarks.standin ytvis2021 OUT [--frames-for N]

Writes OUT/train.json and, of the first N videos, OUT/train/JPEGImages, which `qcen prepare --dataset ytvis2021 --source
OUT` reads. Masks and pictures come from pools: shapes do not move as objects do, and nothing can be learned from them.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.command_line import console, run_app
from qcen_core.conversion.published.categories import OVIS, YTVIS2021
from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.records import BoolArray, IntArray

POOL = 400  # masks, each used in many places
PICTURES = 16
CELL = 4  # pixels of a frame to one of what a network draws
FRAME_STEP = 5  # every fifth frame of a video is annotated, and file names tell


@dataclass(frozen=True, slots=True)
class Standin:
    """How large a data set is.

    Attributes:
        videos: number of videos.
        frames: over all videos, which have half to one and a half times as many as the mean.
        tracks: over all videos; every video has at least one. About half are absent in part of the frames.
        size: (height, width) of a frame.
        categories: their names.
    """

    videos: int
    frames: int
    tracks: int
    size: tuple[int, int]
    categories: tuple[str, ...]


STANDINS = {
    "ytvis2021": Standin(2985, 90_160, 6283, (720, 1280), YTVIS2021),
    # Only the number of videos is known exactly; most frames of OVIS are of this size.
    "ovis": Standin(607, 62_000, 3600, (1080, 1920), OVIS),
}


def frame_files(standin: Standin, seed: int = 0) -> list[list[str]]:
    """For each video the names of its frames, relative to the folder of the frames."""
    lengths = share_out(standin.frames, standin.videos, np.random.default_rng([seed, 0]))
    return [
        [f"{video:08x}/{FRAME_STEP * frame:05d}.jpg" for frame in range(length)]
        for video, length in enumerate(lengths.tolist(), start=1)
    ]


def share_out(total: int, parts: int, rng: np.random.Generator) -> IntArray:
    """(parts,) int64 of at least 1 that sum to `total`, half to one and a half times the mean each."""
    weights = rng.uniform(0.5, 1.5, parts)
    borders = np.round((total - parts) * np.cumsum(weights) / weights.sum()).astype(np.int64)
    shares: IntArray = np.diff(borders, prepend=0) + 1
    return shares


def write_annotations(path: Path, standin: Standin, seed: int = 0) -> None:
    """Write a YouTube-VIS annotation file with boxes, areas and masks.

    Args:
        path: the file; its folder must be there.
        standin: how large.
        seed: of everything in it.
    """
    height, width = standin.size
    files = frame_files(standin, seed)
    videos = [
        {"id": number, "height": height, "width": width, "length": len(names), "file_names": names}
        for number, names in enumerate(files, start=1)
    ]
    categories = [{"id": i, "name": name, "supercategory": "object"} for i, name in enumerate(standin.categories, 1)]
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": {"description": "stand-in"}, "licenses": [],\n')
        file.write(f'"videos": {json.dumps(videos)},\n"categories": {json.dumps(categories)},\n"annotations": [\n')
        for number, text in enumerate(_annotations(standin, [len(names) for names in files], seed), start=1):
            file.write((",\n" if number > 1 else "") + f'{{"id": {number}, {text}}}')
        file.write("\n]}\n")


def _annotations(standin: Standin, lengths: list[int], seed: int) -> Iterator[str]:
    """What follows the id of each annotation. Text, not objects: most of it is the same few hundred masks."""
    rng = np.random.default_rng([seed, 1])
    height, width = standin.size
    pool = [_texts(mask) for mask in blobs(POOL, standin.size, rng)]
    for video, (length, count) in enumerate(zip(lengths, share_out(standin.tracks, standin.videos, rng), strict=True)):
        for _ in range(count):
            chosen = rng.integers(len(pool), size=length)
            seen = presence(length, rng)
            columns = [
                ", ".join(pool[mask][kind] if there else "null" for mask, there in zip(chosen, seen, strict=True))
                for kind in range(3)
            ]
            yield (
                f'"video_id": {video + 1}, "category_id": {rng.integers(len(standin.categories)) + 1}, "iscrowd": 0, '
                f'"height": {height}, "width": {width}, "length": {length}, '
                f'"bboxes": [{columns[0]}], "areas": [{columns[1]}], "segmentations": [{columns[2]}]'
            )


def presence(length: int, rng: np.random.Generator) -> BoolArray:
    """(length,) bool, the frames that show an object: all, or half of the time all but a stretch of them."""
    seen = np.ones(length, np.bool_)
    if length > 1 and rng.random() < 0.5:
        hidden = rng.integers(1, length // 2 + 1)
        first = rng.integers(length - hidden + 1)
        seen[first : first + hidden] = False
    return seen


def blobs(count: int, size: tuple[int, int], rng: np.random.Generator) -> list[BoolArray]:
    """Objects of several parts and rough outlines, (H, W) bool each; some leave the frame, none is empty.

    They are drawn at a quarter of the size, as networks do. At 720p one takes about 1 kB; the masks of DAVIS, made that
    small and large again, take 2 kB.
    """
    height, width = size
    y, x = np.mgrid[0:height:CELL, 0:width:CELL].astype(np.float32)
    found = []
    for _ in range(count):
        radius = height * np.exp(rng.uniform(np.log(0.1), np.log(0.4)))
        centre_x, centre_y = rng.uniform([0.1 * width, 0.15 * height], [0.9 * width, 0.85 * height])
        slant, flatness = rng.uniform(0, np.pi), rng.uniform(0.4, 1)
        along = (x - centre_x) * np.cos(slant) + (y - centre_y) * np.sin(slant)
        across = (y - centre_y) * np.cos(slant) - (x - centre_x) * np.sin(slant)
        inside = 1 - np.hypot(along, across / flatness) / radius
        for length, strength in ((radius / 2, 0.2), (radius / 6, 0.1)):
            coarse = rng.standard_normal((int(height / length) + 2, int(width / length) + 2)).astype(np.float32)
            inside += strength * cv2.resize(coarse, inside.shape[::-1], interpolation=cv2.INTER_CUBIC)
        inside[int(centre_y) // CELL, int(centre_x) // CELL] = 1
        found.append(cv2.resize(inside, (width, height)) > 0)
    return found


def _texts(mask: BoolArray) -> tuple[str, str, str]:
    """Box, area and mask as JSON."""
    encoded = rle.encode(mask)
    x1, y1, x2, y2 = rle.bounding_box(encoded) or (0.0, 0.0, 0.0, 0.0)
    return json.dumps([x1, y1, x2 - x1, y2 - y1]), str(rle.area(encoded)), json.dumps(encoded)


def write_frames(folder: Path, standin: Standin, videos: int, seed: int = 0, *, copies: bool = False) -> int:
    """Write the frames of the first videos as JPEGs.

    Args:
        folder: that file names are relative to; it is made.
        standin: how large the data set is.
        videos: how many of its videos get frames.
        seed: that of the annotations.
        copies: every frame lies on the disk by itself; else frames are links to a few files, which a disk's cache
            makes quicker to read than a real data set is.

    Returns:
        Number of frames.
    """
    rng = np.random.default_rng([seed, 2])
    written = [name for names in frame_files(standin, seed)[:videos] for name in names]
    pool: list[Path] = []
    for index, name in enumerate(written):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if len(pool) < PICTURES:
            jpeg = cv2.imencode(".jpg", picture(standin.size, rng), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
            path.write_bytes(jpeg.tobytes())
            pool.append(path)
        else:
            _put(pool[index % PICTURES], path, copies=copies)
    return len(written)


def _put(source: Path, path: Path, *, copies: bool) -> None:
    if not copies:
        try:
            os.link(source, path)
        except OSError:  # no links on this disk, or too many of one file
            pass
        else:
            return
    shutil.copyfile(source, path)


def picture(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: noise of several scales, the coarse ones strong, about as hard to compress as a photograph."""
    height, width = size
    image = np.full((height, width, 3), 128, np.float32)
    for scale, strength in ((4, 60), (16, 30), (64, 15), (256, 6)):
        coarse = rng.normal(0, strength, (scale, 2 * scale, 3)).astype(np.float32)
        image += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def make(
    name: Annotated[str, typer.Argument(help=f"one of {', '.join(STANDINS)}")],
    out: Annotated[Path, typer.Argument(help="folder of the data set")],
    frames_for: Annotated[int, typer.Option(help="write the frames of so many videos", min=0)] = 0,
    copies: Annotated[bool, typer.Option("--copies", help="every frame a file of its own, not a link")] = False,
    seed: Annotated[int, typer.Option(help="of everything in it")] = 0,
) -> None:
    if name not in STANDINS:
        raise InputError(f"no stand-in is called {name}", hint=f"known are {', '.join(STANDINS)}")
    standin = STANDINS[name]
    annotations = out / "train.json"
    out.mkdir(parents=True, exist_ok=True)
    write_annotations(annotations, standin, seed)
    frames = write_frames(out / "train" / "JPEGImages", standin, frames_for, seed, copies=copies)
    size = annotations.stat().st_size / 1e6
    console.print(
        f"{annotations}: {standin.videos} videos, {standin.frames} frames, {standin.tracks} tracks, {size:.0f} MB; "
        f"{frames} frames written",
        highlight=False,
    )


def main() -> int:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(help=__doc__)(make)
    return run_app(app)


if __name__ == "__main__":
    sys.exit(main())
