"""Label Studio's JSON of video projects, read into plain records; nothing is placed in a video yet.

Two exports are read: JSON, a list of tasks that each have `data` and a list of `annotations` with a `result`; and
JSON-MIN, where each record is one annotation of a task, with `data` and results side by side.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.jsonfile import load_json
from qcen_core.video.reader import VIDEO_SUFFIXES

# Results that say something about a region or the task, and are no region themselves.
NO_REGIONS = frozenset(
    {"choices", "datetime", "labels", "number", "pairwise", "rating", "relation", "taxonomy", "textarea"}
)


@dataclass(frozen=True, slots=True)
class Region:
    """One object: `value` is what the file tells of it, `labels` its labels wherever they stand."""

    place: str
    value: dict[str, object]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """One task.

    Attributes:
        place: for messages.
        url: where Label Studio has the video from; empty where that is not told.
        regions: of the annotation that counts; `None` where there is none, so that nobody has labelled the video.
        problems: what was wrong on the way.
        complete: whether these are all regions; else one of them cannot be read, and nobody knows where it was.
    """

    place: str
    url: str
    regions: tuple[Region, ...] | None
    problems: tuple[Problem, ...] = ()
    complete: bool = True

    def names(self) -> list[str]:
        """What the video may be called, the likeliest first: uploads get eight hexadecimal digits put before."""
        try:
            parts = urlsplit(self.url)
            path = next(iter(parse_qs(parts.query).get("d", [])), "") or unquote(parts.path)
        except ValueError:
            path = self.url
        name = PurePosixPath(path.replace("\\", "/")).name
        prefix, dash, rest = name.partition("-")
        uploaded = dash and len(prefix) == 8 and set(prefix) <= set("0123456789abcdef")
        return [wanted for wanted in (path, name, rest if uploaded else "") if wanted]


def load_tasks(path: Path) -> list[Task | Problem]:
    """Read all tasks of a file.

    Raises:
        InputError: the file cannot be read, or is no export of Label Studio.
    """
    content = load_json(path)
    records = content if isinstance(content, list) else [content]
    if not any(isinstance(record, dict) and (_is_task(record) or _is_minimal(record)) for record in records):
        hint = "export the project as JSON or JSON-MIN"
        raise InputError("holds no video tasks of Label Studio", place=path, hint=hint)
    tasks: list[Task | Problem] = []
    minimal: dict[object, list[tuple[dict[str, object], str]]] = {}
    for index, record in enumerate(records):
        place = f"{path}: task {record.get('id', index)}" if isinstance(record, dict) else f"{path}: task {index}"
        if isinstance(record, dict) and _is_task(record):
            tasks.append(_read_task(record, place))
        elif isinstance(record, dict) and _is_minimal(record):
            minimal.setdefault(str(record.get("id", f"at {index}")), []).append((record, place))
        else:
            tasks.append(Problem("malformed record", place, "not a task", "export the project again"))
    return tasks + [_read_minimal(annotations) for annotations in minimal.values()]


def _is_task(record: dict[str, object]) -> bool:
    return isinstance(record.get("data"), dict)


def _is_minimal(record: dict[str, object]) -> bool:
    return bool(_video_url(record))


def _video_url(data: dict[str, object]) -> str:
    """The field `video`, else the first one that is the address of a video file."""
    url = data.get("video")
    if isinstance(url, str) and url:
        return url
    texts = (value for value in data.values() if isinstance(value, str))
    return next((text for text in texts if any(suffix in text.lower() for suffix in VIDEO_SUFFIXES)), "")


def _read_task(record: dict[str, object], place: str) -> Task:
    data, annotations = record["data"], record.get("annotations")
    url = _video_url(data) if isinstance(data, dict) else ""
    listed = [entry for entry in annotations if isinstance(entry, dict)] if isinstance(annotations, list) else []
    wrong = annotations is not None and (not isinstance(annotations, list) or len(listed) < len(annotations))
    problems = [_malformed(place, "annotations are not a list of objects")] if wrong else []
    finished = [entry for entry in listed if not entry.get("was_cancelled")]
    if not finished:
        return Task(place, url, None, tuple(problems))
    problems += _left_out(len(listed) - 1, place)
    result = finished[-1].get("result")
    if not isinstance(result, list):
        return Task(place, url, None, (*problems, _malformed(place, "the result is not a list")))
    regions, lost, others = _read_result(result, place)
    return Task(place, url, regions, (*problems, *lost, *others), complete=not lost)


def _read_result(result: Sequence[object], place: str) -> tuple[tuple[Region, ...], list[Problem], list[Problem]]:
    """The regions of an annotation, with labels that other results of the same id hold.

    Returns:
        The regions; why others cannot be read; and what else there is that is no region.
    """
    entries = [entry for entry in result if isinstance(entry, dict)]
    problems = [_malformed(place, "a result that is no object")] * (len(result) - len(entries))
    labels: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        labels.setdefault(str(entry.get("id")), ())
        labels[str(entry.get("id"))] += _labels(entry.get("value"))
    regions, kinds = [], Counter[str]()
    for index, entry in enumerate(entries):
        where, value, kind = f"{place}, region {entry.get('id', index)}", entry.get("value"), str(entry.get("type"))
        if kind != "videorectangle":
            kinds.update({kind} - NO_REGIONS)
        elif isinstance(value, dict):
            own = _labels(value) or (labels[str(entry["id"])] if "id" in entry else ())
            regions.append(Region(where, value, own))
        else:
            problems.append(_malformed(where, "the value is not an object"))
    hint = "draw rectangles around these objects, or leave them out"
    others = [
        Problem("not a box", place, f"{count} of kind {kind}, which is no box", hint)
        for kind, count in sorted(kinds.items())
    ]
    return tuple(regions), problems, others


def _read_minimal(annotations: Sequence[tuple[dict[str, object], str]]) -> Task:
    """A task of which each annotation is a record of its own; the last one counts."""
    record, place = annotations[-1]
    regions, problems = [], list(_left_out(len(annotations) - 1, place))
    for key, results in record.items():
        for index, value in enumerate(results if isinstance(results, list) else []):
            where = f"{place}, {key} {index}"
            if isinstance(value, dict) and "sequence" in value:
                regions.append(Region(where, value, _labels(value)))
            elif isinstance(value, dict):
                problems.append(Problem("not a box", where, "a result without a sequence of boxes", "draw rectangles"))
    return Task(place, _video_url(record), tuple(regions), tuple(problems))


def _labels(value: object) -> tuple[str, ...]:
    """Labels, else choices, of a value; lists that hold something else tell none."""
    for key in ("labels", "choices"):
        names = value.get(key) if isinstance(value, dict) else None
        if isinstance(names, list) and names:
            return tuple(name for name in names if isinstance(name, str) and name)
    return ()


def _left_out(count: int, place: str) -> Iterator[Problem]:
    if count > 0:
        cause = f"{count} more annotations of this task, cancelled or older, are left out"
        yield Problem("annotation left out", place, cause, "delete those that are not wanted", loses_labels=False)


def _malformed(place: str, cause: str) -> Problem:
    return Problem("malformed record", place, cause, "export the project again")
