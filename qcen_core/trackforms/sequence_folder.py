"""A folder a video as MOTChallenge has it: `seqinfo.ini`, `gt/gt.txt`, and the names of classes in `gt/labels.txt`.

Class n is line n of `labels.txt`, from 1. In MOTS, 10 is no class but marks regions to ignore: there line 10 says so.
"""

import configparser
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.records import Category, VideoRecord
from qcen_core.trackforms.checks import check_size, safe_name
from qcen_core.trackforms.known_videos import KnownVideos, add_known_video
from qcen_core.trackforms.store import StoredVideo, TrackStore
from qcen_core.trackforms.text_rows import text_lines

LABELS = "labels.txt"
IGNORED = "ignored"
_INFO = "seqinfo.ini"
_RATE_DENOMINATOR = 10_000  # enough for the rates of television, which are decimals in the file


@dataclass(frozen=True, slots=True)
class SequenceFile:
    """A text file of one video.

    Attributes:
        name: of the video.
        file: the text.
        info: what `seqinfo.ini` says by key in lower case; nothing where there is none.
        labels: class number -> name.
    """

    name: str
    file: Path
    info: dict[str, str]
    labels: dict[int, str]

    def number(self, key: str) -> int | None:
        """A number above 0 that `seqinfo.ini` states.

        Raises:
            InputError: it is something else.
        """
        text = self.info.get(key.lower(), "")
        if text and not (text.isdecimal() and 0 < int(text) < 2**31):
            place = self.file.parent.parent / _INFO
            raise InputError(f"{key} is {text!r}, not a number above 0", place=place, hint="correct it")
        return int(text) if text else None

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames a second, where it is stated."""
        try:
            rate = Fraction(self.info.get("framerate", "0")).limit_denominator(_RATE_DENOMINATOR)
        except (ValueError, ZeroDivisionError):
            return None
        return rate if rate > 0 else None


def class_numbers(categories: Sequence[Category], *, but: int | None = None) -> list[int]:
    """The number of each class in a file: from 1, one number being passed over."""
    numbers = range(1, len(categories) + 2)
    return [number for number in numbers if number != but][: len(categories)]


def write_labels(categories: Sequence[Category], path: Path, *, but: int | None = None) -> None:
    """Write the names of classes, one a line.

    Raises:
        InputError: a name holds a line end.
    """
    names = dict(zip(class_numbers(categories, but=but), (category.name for category in categories), strict=True))
    for name in names.values():
        if len(name.splitlines()) != 1 or name != name.strip():
            hint = "choose a form without labels.txt, such as tracks or coco-vid"
            raise InputError(f"class {name!r} cannot stand in a line of labels.txt", hint=hint)
    lines = [names.get(number, IGNORED) for number in range(1, max(names, default=0) + 1)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_labels(path: Path) -> dict[int, str]:
    """Class number -> name; nothing where there is no such file."""
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read as text: {error}", place=path, hint="write it again") from None
    return {number: line.strip() for number, line in enumerate(lines, start=1) if line.strip()}


def write_info(video: StoredVideo, length: int, folder: Path) -> None:
    """Write `seqinfo.ini`; the frame rate is left out where nobody knows it."""
    rate = [] if video.frame_rate is None else [f"frameRate={_decimal(video.frame_rate)}"]
    lines = [
        "[Sequence]",
        f"name={video.name}",
        "imDir=img1",
        *rate,
        f"seqLength={length}",
        f"imWidth={video.width}",
        f"imHeight={video.height}",
        "imExt=.jpg",
    ]
    (folder / _INFO).write_text("\n".join(lines) + "\n", encoding="utf-8")


def find_sequences(path: Path) -> list[SequenceFile]:
    """The text files of a sequence's folder or a folder of sequences at any depth, or a single one.

    Raises:
        InputError: there is none, or what lies beside one cannot be read.
    """
    files = [path] if path.is_file() else sorted(path.rglob("gt.txt"))
    if not files:
        raise InputError("there is no gt/gt.txt in it", place=path, hint="pass a gt.txt, or the folder of sequences")
    return [_sequence(file) for file in files]


def add_sequence_video(
    store: TrackStore, sequence: SequenceFile, known: KnownVideos | None, size: tuple[int, int] | None, length: int
) -> StoredVideo:
    """Take the video of a text file, and its frames, into a store.

    Args:
        store: to fill.
        sequence: the file.
        known: the videos that there are.
        size: (height, width) that its masks state, where it has any.
        length: number of frames that its lines speak of.

    Raises:
        InputError: the video or its size is unknown, or a line speaks of a frame beyond its end.
    """
    if known is not None:
        record = known.named(sequence.name, sequence.file)
        stated: int | None = len(record.frame_files)
    else:
        height, width = sequence.number("imHeight"), sequence.number("imWidth")
        if size is not None:
            height, width = height or size[0], width or size[1]
        if height is None or width is None:
            hint = "write imHeight and imWidth in seqinfo.ini, or pass the annotation file of its videos as --like"
            raise InputError("the size of its frames cannot be told", place=sequence.file, hint=hint)
        check_size(height, width, sequence.file)
        stated = sequence.number("seqLength")
        number = 1 + max((video.id for video in store.videos()), default=0)
        record = VideoRecord(number, sequence.name, height, width, ("",) * max(length, stated or 0))
    if stated is not None and length > stated:
        raise InputError(f"it speaks of frame {length}, the video has {stated}", place=sequence.file, hint="correct it")
    return add_known_video(store, record, rate=sequence.frame_rate, files=known is not None)


def _sequence(file: Path) -> SequenceFile:
    folder = file.absolute().parent
    info: dict[str, str] = {}
    if folder.name in {"gt", "det"}:
        folder = folder.parent
        if (folder / _INFO).is_file():
            info = _read_info(folder / _INFO)
    name = info.get("name") or (folder.name if file.stem in {"gt", "det"} else file.stem)
    return SequenceFile(safe_name(name, 1), file, info, read_labels(file.parent / LABELS))


def _read_info(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string("\n".join(line for _, line in text_lines(path)))
    except configparser.Error as error:
        cause = f"cannot be read: {error}".replace("\n", " ")
        raise InputError(cause, place=path, hint="correct it, or remove it") from None
    return dict(parser["Sequence"]) if parser.has_section("Sequence") else {}


def _decimal(rate: Fraction) -> str:
    return str(rate) if rate.denominator == 1 else repr(float(rate))
