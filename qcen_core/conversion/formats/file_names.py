"""What the names of frame files and of videos tell: which pictures are one video, and how to call it on disk."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

# What tools add to a file's name: Roboflow behind it, the old ending and a hash; Label Studio before it, a number.
_HASH = re.compile(r"(_(bmp|jpe?g|png|tiff?|webp))?\.rf\.[0-9A-Za-z_-]+$", re.IGNORECASE)
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")
_NUMBERED = re.compile(r"(.*?)(\d{1,18})", re.DOTALL)


def original_stem(file: str) -> str:
    """The name of a picture as it was before a labelling tool got it, without its ending."""
    return _UPLOAD.sub("", _HASH.sub("", PurePosixPath(file).stem))


def split_number(stem: str) -> tuple[str, int | None]:
    """A name as what stands before its last number, and that number; `None` where it does not end in one."""
    match = _NUMBERED.fullmatch(stem)
    return (match[1], int(match[2])) if match else (stem, None)


def video_series(files: Sequence[str], size_of: Callable[[int], tuple[int, int] | None]) -> dict[str, tuple[int, ...]]:
    """Which pictures of a folder are frames of one video: two or more of names alike up to a trailing number.

    Their numbers are distinct and they have one size. (Pictures of unordered sets are often numbered, too, but differ
    in size.)

    Args:
        files: the pictures.
        size_of: (height, width) of the picture at an index, `None` where it is not known; asked for no more than it
            takes to find two sizes.

    Returns:
        Beginning of the names -> indices of its pictures by ascending number, in the order of `files`.
    """
    series: dict[str, dict[int, int]] = {}
    repeated: set[str] = set()
    for index, file in enumerate(files):
        beginning, number = split_number(original_stem(file))
        if number is not None and series.setdefault(beginning, {}).setdefault(number, index) != index:
            repeated.add(beginning)
    return {
        beginning: tuple(members[number] for number in sorted(members))
        for beginning, members in series.items()
        if len(members) > 1 and beginning not in repeated and _of_one_size(members.values(), size_of)
    }


def _of_one_size(indices: Iterable[int], size_of: Callable[[int], tuple[int, int] | None]) -> bool:
    first: tuple[int, int] | None = None
    for index in indices:
        size = size_of(index)
        first = first or size
        if size not in (None, first):
            return False
    return True


def distinct_file_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names that are usable as file names and distinct, upper and lower case being one."""
    uses: dict[str, int] = {}
    distinct = []
    for number, text in enumerate(names, start=1):
        plain = re.sub(r"[^\w.-]+", "_", text).strip("._") or f"video_{number}"
        name = plain
        while name.casefold() in uses:
            uses[plain.casefold()] += 1
            name = f"{plain}_{uses[plain.casefold()]}"
        uses[name.casefold()] = 1
        distinct.append(name)
    return tuple(distinct)
