"""Sequences in MOTChallenge form: which there are, what their `seqinfo.ini` says, and the lines of their `gt.txt`."""

import configparser
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qcen_core.conversion.formats.label_lines import any_number, malformed, read_lines, read_names, whole_number
from qcen_core.conversion.formats.label_names import is_ignored
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.records import Box
from qcen_core.video.frame_folder import require_inside

FORM = "frame, id, x, y, width, height, and up to four more numbers: active, class, visibility"
OFFICIAL = re.compile(r"MOT(16|17|20)-\d+", re.IGNORECASE)
OFFICIAL_NAMES = (
    "pedestrian",
    "person on vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non motorized vehicle",
    "static person",
    "distractor",
    "occluder",
    "occluder on the ground",
    "occluder full",
    "reflection",
    "crowd",
)
FIRST_REGION = 8  # of the official classes: from here on they are no objects
ANYTHING = "object"


@dataclass(frozen=True, slots=True)
class MotLine:
    """One box, as it is stated.

    Attributes:
        place: file and line.
        frame: number of the frame.
        track: id of the object, `None` where it is negative.
        box: `x1 y1 x2 y2` pixels, counted from 0.
        active: whether the entry counts.
        kind: the eighth number, which need not be a class.
    """

    place: str
    frame: int
    track: int | None
    box: Box
    active: bool
    kind: float | None


@dataclass(frozen=True, slots=True)
class SequenceInfo:
    """What `seqinfo.ini` says: name, folder of the frames, their number and size; nothing where there is none."""

    name: str | None = None
    frames: str | None = None
    length: int | None = None
    height: int | None = None
    width: int | None = None


@dataclass(frozen=True, slots=True)
class MotSequence:
    """A sequence and its ground truth file.

    Attributes:
        file: the file.
        folder: the sequence's folder, absolute.
        info: from its `seqinfo.ini`.
        lines: the boxes.
        problems: lines that are no boxes.
        incomplete: numbers of the frames that such lines speak of, as far as they can be told.
        names: names of classes by number, `None` where lines have no class.
        official: whether classes are those of the official sets.
    """

    file: Path
    folder: Path
    info: SequenceInfo
    lines: tuple[MotLine, ...]
    problems: tuple[Problem, ...]
    incomplete: frozenset[int]
    names: Mapping[int, str] | None
    official: bool

    @property
    def name(self) -> str:
        """What the sequence is called."""
        return self.info.name or self.folder.name

    @property
    def first_frame(self) -> int:
        """Number of the first frame: 1, unless a line speaks of a frame 0."""
        return 0 if any(line.frame == 0 for line in self.lines) else 1

    @property
    def class_names(self) -> Mapping[int, str]:
        """Names of the classes of objects by number; of the official ones those that have an entry that counts."""
        if self.names is None:
            return {1: ANYTHING}
        if self.official:
            used = {line.kind for line in self.lines if not self.ignores(line)}
            return {number: name for number, name in self.names.items() if number in used}
        return {number: name for number, name in self.names.items() if not is_ignored(name)}

    def class_name(self, line: MotLine) -> str | None:
        """The name of a line's class, `None` where its class has none."""
        if self.names is None:
            return ANYTHING
        return self.names.get(int(line.kind)) if line.kind is not None and line.kind.is_integer() else None

    def ignores(self, line: MotLine) -> bool:
        """Whether a line is neither object nor background."""
        region = self.official and line.kind is not None and line.kind >= FIRST_REGION
        return not line.active or region or is_ignored(self.class_name(line) or "")


def find_truth(path: Path) -> tuple[Path, tuple[Path, ...]]:
    """The folder of the sequence or sequences, absolute, and the ground truth files in it.

    Args:
        path: a ground truth file, a sequence's folder, or a folder of sequences at any depth.

    Raises:
        InputError: there is none.
    """
    if path.is_file():
        return _folder_of(path), (path,)
    for file in (path / "gt" / "gt.txt", path / "gt.txt"):
        if file.is_file():
            return _folder_of(file), (file,)
    files = tuple(sorted(path.rglob("gt.txt")))
    if not files:
        raise InputError("there is no gt/gt.txt in it", place=path, hint="pass a gt.txt, or the folder of sequences")
    return path.absolute(), files


def find_unlabelled(folder: Path) -> Iterator[Problem]:
    """Names the sequences without ground truth, as those of the official test sets are.

    Args:
        folder: a folder of sequences.
    """
    for info in sorted(folder.rglob("seqinfo.ini")):
        sequence = info.parent
        if not (sequence / "gt" / "gt.txt").is_file() and not (sequence / "gt.txt").is_file() and sequence != folder:
            cause, hint = "there is no gt/gt.txt in it", "nothing needs doing if nobody labelled it"
            yield Problem("sequence without ground truth", str(sequence), cause, hint, loses_labels=False)


def read_sequence(file: Path) -> MotSequence:
    """Reads a ground truth file and what lies beside it.

    Raises:
        InputError: a file cannot be read, or no line of the ground truth is a box.
    """
    folder, labels = _folder_of(file), file.parent / "labels.txt"
    info = _read_info(folder / "seqinfo.ini")
    rows = [(f"{file}: line {n}", text) for n, text in enumerate(read_lines(file), start=1) if text]
    # A line that is cut off is shorter than most; its last number is not to be trusted.
    usual = Counter(len(_cells(text)) for _, text in rows).most_common(1)
    official = not labels.is_file() and any(OFFICIAL.match(name) for name in (info.name or "", folder.name))
    read = [_read_line(text, place, usual[0][0], origin=1.0 if official else 0.0) for place, text in rows]
    lines = tuple(line for line in read if isinstance(line, MotLine))
    if rows and not lines:
        raise InputError(f"none of its {len(rows)} lines is a MOT box", place=file, hint=f"a line is {FORM}")
    problems = tuple(item for item in read if isinstance(item, Problem))
    spoilt = (text for (_, text), item in zip(rows, read, strict=True) if isinstance(item, Problem))
    incomplete = frozenset(frame for text in spoilt if (frame := _frame_number(text)) is not None)
    names = _class_names(lines, labels, official)
    return MotSequence(file, folder, info, lines, problems, incomplete, names, official)


def _folder_of(file: Path) -> Path:
    folder = file.absolute().parent
    return folder.parent if folder.name in {"gt", "det"} else folder


def _read_info(path: Path) -> SequenceInfo:
    if not path.is_file():
        return SequenceInfo()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string("\n".join(read_lines(path)))
    except configparser.Error as error:
        cause = f"cannot be read: {error}".replace("\n", " ")
        raise InputError(cause, place=path, hint="correct it, or remove it") from None
    section = parser["Sequence"] if parser.has_section("Sequence") else {}
    numbers: dict[str, int | None] = {}
    for key in ("seqLength", "imHeight", "imWidth"):
        text = section.get(key, "")
        if text and not (text.isdecimal() and int(text)):
            raise InputError(f"{key} is {text!r}, not a number above 0", place=path, hint="correct it, or remove it")
        numbers[key] = int(text) if text else None
    frames = section.get("imDir") or None
    if frames:
        require_inside(frames, f"{path}: imDir")
    return SequenceInfo(section.get("name") or None, frames, *numbers.values())


def _cells(text: str) -> list[str]:
    cells = [cell.strip() for cell in (text.split(",") if "," in text else text.split())]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _read_line(text: str, place: str, usual: int, origin: float) -> MotLine | Problem:
    """A line, or what is wrong with it.

    Args:
        text: the line.
        place: file and line.
        usual: how many columns most lines of its file have.
        origin: what the file calls the left border of the leftmost pixel, and the upper one of the uppermost.
    """
    cells = _cells(text)
    if not 6 <= len(cells) <= 10:
        return malformed(place, f"{len(cells)} columns", text, FORM)
    if len(cells) < usual:
        return malformed(place, f"{len(cells)} columns, most lines have {usual}; it may be cut off", text, FORM)
    try:
        frame, track = whole_number(cells[0]), whole_number(cells[1])
        x, y, width, height, *more = (any_number(cell) for cell in cells[2 : min(8, usual)])
    except ValueError as error:
        return malformed(place, str(error), text, FORM)
    x, y = x - origin, y - origin
    return MotLine(
        place=place,
        frame=frame,
        track=track if track >= 0 else None,
        box=(x, y, x + width, y + height),
        active=not more or more[0] != 0,
        kind=more[1] if len(more) > 1 else None,
    )


def _frame_number(text: str) -> int | None:
    """The frame that a line speaks of, where at least that can be read."""
    try:
        return whole_number(_cells(text)[0])
    except (ValueError, IndexError):
        return None


def _class_names(lines: Sequence[MotLine], labels: Path, official: bool) -> Mapping[int, str] | None:
    kinds = {line.kind for line in lines if line.kind is not None} - {-1.0}
    if lines and not kinds:
        return None
    if labels.is_file():
        return read_names(labels, first=1)
    if official:
        return dict(enumerate(OFFICIAL_NAMES, start=1))
    if not all(kind.is_integer() for kind in kinds):
        return None  # a place in the world
    return {int(kind): f"class {int(kind)}" for kind in sorted(kinds) if kind >= 0}
