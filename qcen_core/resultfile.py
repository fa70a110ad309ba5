"""YouTube-VIS results files: predicted tracks, what is wrong with them, and the archive that servers take."""

import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import msgspec

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, decode_json, write_json, write_whole
from qcen_core.records import Category, TrackDataset, TrackResult, VideoRecord
from qcen_core.trackfile import track_class, track_masks, track_video, visible

MOST_LISTED = 20
Read = TypeVar("Read")


@dataclass(slots=True)
class ResultProblems:
    """What is wrong with a results file; more and more while it is read.

    Attributes:
        records: how many records were looked at.
        errors: the first problems, each with its record as place; no more than `MOST_LISTED`.
        kinds: how many problems there are of each kind, listed or not.
        notes: what is no error, but worth knowing.
    """

    records: int = 0
    errors: list[InputError] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of problems."""
        return self.kinds.total()

    def add(self, kind: str, error: InputError) -> None:
        """Count a problem, and list it among the first."""
        self.kinds[kind] += 1
        if len(self.errors) < MOST_LISTED:
            self.errors.append(error)

    def attempt(self, kind: str, read: Callable[[], Read]) -> Read | None:
        """What is read, or `None` where it raises an `InputError`, which is added."""
        try:
            return read()
        except InputError as error:
            self.add(kind, error)
            return None

    def lines(self) -> list[str]:
        """The first problems, one a line, and how many more there are of each kind."""
        told = [error.line() for error in self.errors]
        if self.count > len(told):
            kinds = ", ".join(f"{kind} {count}" for kind, count in self.kinds.most_common())
            told.append(f"and {self.count - len(told)} more; problems by kind: {kinds}")
        return told

    def require_none(self) -> None:
        """Go on where nothing is wrong.

        Raises:
            ResultsError: there is a problem.
        """
        if self.errors:
            raise ResultsError(self)


class ResultsError(InputError):
    """A results file that cannot be used: its first problem, and all others as `problems`."""

    def __init__(self, problems: ResultProblems) -> None:
        first, others = problems.errors[0], problems.count - 1
        hint = first.hint if not others else f"{first.hint} ({others} more problem{'s' * (others > 1)} in this file)"
        super().__init__(first.cause, place=first.place, hint=hint)
        self.problems = problems

    def __reduce__(self) -> tuple[object, ...]:
        """The problems survive the way between processes."""
        return type(self), (self.problems,)


def read_results(path: Path, dataset: TrackDataset, *, any_length: bool = False) -> tuple[TrackResult, ...]:
    """Read a YouTube-VIS results file against the data set it was predicted for.

    The form has no track ids: the tracks of each video are numbered from 1 in the order of the file. What is predicted
    at frames that nobody labelled is left out: nobody can say whether it is right.

    Args:
        path: the file.
        dataset: videos and categories.
        any_length: a track may have more or fewer masks than its video has frames.

    Raises:
        InputError: the file or a record in it cannot be used, or does not fit the data set; a `ResultsError` that
            tells all problems where records are wrong.
    """
    problems = ResultProblems()
    results = tuple(_read(path, dataset, problems, any_length=any_length))
    problems.require_none()
    return results


def check_results(path: Path, dataset: TrackDataset) -> ResultProblems:
    """Look for all that is wrong with a results file: whether an evaluation server would take it.

    Args:
        path: the file.
        dataset: videos and categories that the results are of; its tracks are not needed.

    Raises:
        InputError: the file cannot be read at all, or is no list of records.
    """
    problems = ResultProblems()
    for _ in _read(path, dataset, problems):
        pass
    return problems


def result_notes(results: int, odd_scores: int) -> list[str]:
    """What is worth knowing, without being an error.

    Args:
        results: how many there are.
        odd_scores: how many of them have a score that is not between 0 and 1.
    """
    if not results:
        return ["there are no results"]
    return [f"{odd_scores} of {results} scores are not between 0 and 1"] if odd_scores else []


def write_results(results: Sequence[TrackResult], categories: Sequence[Category], path: Path) -> None:
    """Write a YouTube-VIS results file, as the public evaluation servers take it, whole or not at all."""
    content = [
        {
            "video_id": result.video_id,
            "category_id": categories[result.class_id].source_id,
            "score": float(result.score),
            "segmentations": [visible(mask) for mask in result.segmentations],
        }
        for result in results
    ]
    write_json(content, path)


def write_submission(results: Path, out: Path, dataset: TrackDataset) -> ResultProblems:
    """Pack a results file for an evaluation server: a zip archive with `results.json` alone, at its root.

    The same results make the same bytes, whenever and wherever they are packed.

    Args:
        results: the results file.
        out: the archive; it appears whole or not at all.
        dataset: videos and categories that the results are of.

    Returns:
        What the check found: no errors, but maybe notes.

    Raises:
        InputError: the results file has problems; nothing is written then.
    """
    problems = check_results(results, dataset)
    problems.require_none()
    # The first moment that zip can tell, and the permissions of a plain file made on Unix.
    entry = zipfile.ZipInfo("results.json", date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(entry, results.read_bytes(), compresslevel=6)
    write_whole(packed.getvalue(), out)
    return problems


def _read(
    path: Path, dataset: TrackDataset, problems: ResultProblems, *, any_length: bool = False
) -> Iterator[TrackResult]:
    """The records that can be used, in the order of the file; what is wrong with the others is added to `problems`."""
    video_of = {video.id: video for video in dataset.videos}
    class_of = {category.source_id: index for index, category in enumerate(dataset.categories)}
    numbers: Counter[int] = Counter()
    odd_scores = 0
    for index, fields in enumerate(_records(path)):
        problems.records += 1
        place = f"{path}: result {index}"
        if not isinstance(fields, dict):
            hint = "each record is an object in braces"
            problems.add("record", InputError("not a JSON object", place=place, hint=hint))
            continue
        result = _read_record(JsonRecord(fields, place), video_of, class_of, problems, any_length=any_length)
        if result is None:
            continue
        odd_scores += not 0 <= result.score <= 1
        numbers[result.video_id] += 1
        judged = judged_result(result, video_of[result.video_id], numbers[result.video_id])
        if judged is not None:
            yield judged
    problems.notes += result_notes(problems.records, odd_scores)
    if 2 * problems.kinds["video"] > problems.records:
        problems.notes.append("most of its videos are unknown: these seem to be results of another data set")


def _read_record(
    record: JsonRecord,
    video_of: dict[int, VideoRecord],
    class_of: dict[int, int],
    problems: ResultProblems,
    *,
    any_length: bool,
) -> TrackResult | None:
    """One record as a result without a number, or `None` where something is wrong with it."""
    video = problems.attempt("video", lambda: track_video(record, video_of))
    class_id = problems.attempt("category", lambda: track_class(record, class_of))
    score = problems.attempt("score", lambda: record.number("score"))
    if video is None:
        # Without its video nobody knows how many masks of which size there must be.
        problems.attempt("segmentations", lambda: record.items("segmentations"))
        return None
    masks = problems.attempt("segmentations", lambda: track_masks(record, video, any_length=any_length))
    if class_id is None or score is None or masks is None:
        return None
    return TrackResult(video.id, 0, class_id, score, masks)


def judged_result(result: TrackResult, video: VideoRecord, number: int) -> TrackResult | None:
    """The result with its number, at the frames that somebody labelled; `None` where nothing of it is left."""
    masks = result.segmentations
    judged = tuple(None if frame in video.unlabelled else mask for frame, mask in enumerate(masks))
    return None if any(masks) and not any(judged) else replace(result, track_id=number, segmentations=judged)


def _records(path: Path) -> Iterator[object]:
    """The content of each record, one after the other, so that there is never more than one beside the text."""
    content = decode_json(path, list[msgspec.Raw])
    if not isinstance(content, list):
        raise InputError(
            "not a results file, which is a list of tracks", place=path, hint="pass the results.json of `qcen infer`"
        )
    for item in content:
        try:
            yield msgspec.json.decode(item) if isinstance(item, msgspec.Raw) else item
        except ValueError:  # what msgspec refuses Python may still read
            yield json.loads(bytes(item))
