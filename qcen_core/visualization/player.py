"""The player of a page: ground truth beside prediction, frame by frame, video by video."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, decode_json
from qcen_core.records import TrackDataset, TrackResult, VideoRecord
from qcen_core.trackfile import read_annotations, track_class, track_masks
from qcen_core.visualization.html_report import Drawing, Section, Text
from qcen_core.visualization.player_data import player_data
from qcen_core.visualization.result_strips import measured_quality, worst_first

WORST_SHOWN = 10
SHOWN_SCORE = 0.3
_ORDER = "The worst video comes first; at the end stand a typical one and the best one, where there are more. "
_WORDS = (
    "A result has the colour of the object that it follows; a colour that is only on the right belongs to nothing on "
    "the left. Space plays and pauses, the arrow keys step, Home and End jump."
)


class _OfVideo(msgspec.Struct):
    video_id: int


def read_player(
    results: Path, ground_truth: Path, frames_root: Path | None, figures: Mapping[str, Any]
) -> dict[str, Any]:
    """What the player of an evaluation shows: its worst videos, a typical one and the best one.

    Args:
        results: the results file, which the evaluation read without complaint.
        ground_truth: the annotation file.
        frames_root: folder of its frames; `None`, or one without them, puts the masks on grey.
        figures: the JSON object of `report.json`.

    Returns:
        As `player_data` makes it.

    Raises:
        InputError: a file cannot be read.
    """
    truth = read_annotations(ground_truth)
    listed = listed_videos(truth.videos, figures)
    found = results_of(results, truth, [video for video, _ in listed])
    return player_data(listed, truth, found, frames_root, figures, figures.get("shown_score", SHOWN_SCORE))


def player_section(data: Mapping[str, Any], title: str = "Ground truth beside prediction") -> Section | None:
    """The player of `data`, which the page must hold as its data; `None` where there is no video."""
    if not data.get("videos"):
        return None
    ranked = any(video["note"] for video in data["videos"])
    return Section(title, (Text((_ORDER if ranked else "") + _WORDS), Drawing(_HTML)))


def listed_videos(
    videos: Sequence[VideoRecord], figures: Mapping[str, Any], count: int = WORST_SHOWN
) -> list[tuple[VideoRecord, str]]:
    """The worst videos, a typical one and the best one, each with a note.

    Args:
        videos: all there are.
        figures: the JSON object of `report.json`: `worst` says which they are, else `videos` tells how good they are.
        count: how many of the worst.
    """
    by_name = {video.name: video for video in videos}
    told = [by_name[entry["video"]] for entry in figures.get("worst") or () if entry.get("video") in by_name]
    ordered = worst_first(videos, figures)
    worst = (told or ordered)[:count]
    listed = {video.name: (video, _note("", video, figures)) for video in worst}
    measured = [video for video in ordered if measured_quality(video, figures) is not None]
    if measured:
        for kind, video in (("typical", measured[len(measured) // 2]), ("best", measured[-1])):
            listed.setdefault(video.name, (video, _note(kind, video, figures)))
    return list(listed.values())


def results_of(path: Path, truth: TrackDataset, videos: Sequence[VideoRecord]) -> list[TrackResult]:
    """The results of a few videos, numbered as `read_results` numbers them; all others are passed over unread.

    Masks of frames that a video does not have are left out, those of frames that a result does not tell are `None`.

    Args:
        path: a YouTube-VIS results file.
        truth: the data set it was predicted for.
        videos: those wanted.

    Raises:
        InputError: the file is no list of results, or a record of these videos cannot be used.
    """
    content = decode_json(path, list[msgspec.Raw])
    if not isinstance(content, list):
        raise InputError("not a results file, which is a list of tracks", place=path, hint="pass a results.json")
    video_of = {video.id: video for video in videos}
    class_of = {category.source_id: index for index, category in enumerate(truth.categories)}
    numbers = dict.fromkeys(video_of, 0)
    found = []
    for index, item in enumerate(content):
        if isinstance(item, msgspec.Raw):
            if msgspec.json.decode(item, type=_OfVideo).video_id not in video_of:
                continue
            item = _decoded(item)
        if item["video_id"] not in video_of:
            continue
        video = video_of[item["video_id"]]
        record = JsonRecord(item, f"{path}: result {index}")
        numbers[video.id] += 1
        masks, count = track_masks(record, video, any_length=True), len(video.frame_files)
        fitted = (*masks[:count], *[None] * (count - len(masks)))
        class_id, score = track_class(record, class_of), record.number("score")
        found.append(TrackResult(video.id, numbers[video.id], class_id, score, fitted))
    return found


def _decoded(item: msgspec.Raw) -> dict[str, object]:
    try:
        return cast("dict[str, object]", msgspec.json.decode(item))
    except ValueError:  # what msgspec refuses Python may still read
        return cast("dict[str, object]", json.loads(bytes(item)))


def _note(kind: str, video: VideoRecord, figures: Mapping[str, Any]) -> str:
    quality = measured_quality(video, figures)
    return ", ".join(part for part in (kind, "" if quality is None else f"IoU {100 * quality:.0f} %") if part)


_HTML = """
<div class="player" id="player" role="group" aria-label="Player of ground truth and prediction">
<div class="gallery" role="group" aria-label="Videos, the worst first"></div>
<h3 class="player-title" aria-live="polite"></h3>
<div class="stages" tabindex="0" role="group" aria-label="Frames; space plays, arrow keys step">
<figure><figcaption>Ground truth</figcaption><canvas role="img" aria-label="Ground truth"></canvas></figure>
<figure><figcaption>Prediction</figcaption><canvas role="img" aria-label="Prediction"></canvas></figure>
</div>
<input class="seek" type="range" min="0" value="0" step="1" aria-label="Frame">
<div class="controls">
<button type="button" data-do="back" aria-label="One frame back">&#9664;&#xFE0E;</button>
<button type="button" data-do="play" class="play">Play</button>
<button type="button" data-do="forward" aria-label="One frame forward">&#9654;&#xFE0E;</button>
<output class="place"></output>
<label>Speed <select class="speed"><option value="0.5">half</option><option value="1" selected>normal</option>
<option value="2">double</option><option value="4">fourfold</option></select></label>
<label><input type="checkbox" class="with-masks" checked> masks</label>
<label><input type="checkbox" class="with-labels" checked> labels</label>
</div>
<noscript>The player needs JavaScript.</noscript>
</div>
"""
