"""What an evaluation found, as sections of a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from qcen_core.visualization.breakdown import breakdown_section
from qcen_core.visualization.calibration import calibration_section
from qcen_core.visualization.confusion import confusion_section
from qcen_core.visualization.curves import LineChart, Series, draw_chart, precision_recall_chart
from qcen_core.visualization.error_split import error_section
from qcen_core.visualization.hota_figures import tracking_section
from qcen_core.visualization.html_report import Block, Card, Charts, Columns, Page, Section, Text, Tile, Tiles
from qcen_core.visualization.html_table import Table
from qcen_core.visualization.player import player_section
from qcen_core.visualization.timelines import timeline_section

_WORST_VIDEOS = 12
_SHOWN_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
_NOTES = {
    "AP": "mean over IoU 0.50 to 0.95",
    "AP50": "at IoU 0.50",
    "AP75": "at IoU 0.75",
    "AR1": "recall, best result of a video",
    "AR10": "recall, ten best",
}
_AP_WORDS = (
    "AP, average precision, is the main figure, 0 to 100: how many of the results are right (precision) at every "
    "share of objects found (recall), averaged over classes. A result is right if it overlaps an object of its class "
    "by at least the IoU, taken over the whole video. So AP falls when objects are missed, when outlines are loose, "
    "and when a track changes its object."
)
_CURVE_WORDS = (
    "Going through the results from the surest on, recall grows to the right as objects are found, and precision "
    "falls as wrong results come in. The area under a line is the AP at its threshold; where a line drops to 0, no "
    "result reaches the objects that are left."
)
_STRICT_WORDS = (
    "The same AP for each overlap that is asked for. A line that falls early means: objects are found, but their "
    "outlines are loose or their tracks incomplete."
)


def evaluation_page(
    figures: Mapping[str, Any], subtitle: str, player: Mapping[str, Any] | None = None, title: str = "Evaluation"
) -> Page:
    """The whole report of an evaluation.

    Args:
        figures: the JSON object that `qcen evaluate` writes to `report.json`.
        subtitle: what was compared with what.
        player: frames and masks to play, as `player.read_player` makes them.
        title: heading of the page.
    """
    return Page(title, subtitle, evaluation_sections(figures, player), data=player)


def evaluation_sections(figures: Mapping[str, Any], player: Mapping[str, Any] | None = None) -> tuple[Section, ...]:
    """Key figures, curves, errors and tables of an evaluation, the player before the timelines that lead to it.

    Args:
        figures: the JSON object that `qcen evaluate` writes to `report.json`; keys that are missing leave out
            what they feed.
        player: frames and masks to play; the page must hold it as its data.
    """
    sections = (
        _key_figures(figures),
        error_section(figures),
        None if player is None else player_section(player),
        timeline_section(figures, with_player=player is not None) or _videos(figures),
        tracking_section(figures),
        _per_class(figures),
        breakdown_section(figures),
        confusion_section(figures),
        calibration_section(figures),
    )
    return tuple(section for section in sections if section is not None and section.blocks)


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal, `-` where it is undefined."""
    return "-" if value is None else f"{100 * value:.1f}"


def _key_figures(figures: Mapping[str, Any]) -> Section:
    on_masks = figures.get("AP") is not None
    tiles = [Tile(name, percent(figures[name]), note) for name, note in _NOTES.items() if name in figures and on_masks]
    box: Mapping[str, Any] = figures.get("box") or {}
    notes = {"tube_AP": ("Box AP", "boxes of whole tracks"), "frame_AP": ("Frame box AP", "boxes of single frames")}
    tiles += [Tile(label, percent(box[key]), note) for key, (label, note) in notes.items() if key in box]
    hota = figures.get("hota")
    if isinstance(hota, Mapping) and hota.get("HOTA") is not None:
        tiles.append(Tile("HOTA", percent(hota["HOTA"]), "detection and tracking"))
    blocks: list[Block] = [Tiles(tuple(tiles)), Text(_AP_WORDS)] if tiles else []
    if figures.get("measured_on") == "box":
        blocks.append(Text("The ground truth has no masks: only boxes are measured."))
    elif not on_masks and "AP" in figures:
        blocks.append(Text("The ground truth shows no object, so that there is nothing to find."))
    blocks += [Text(note) for note in figures.get("notes") or ()]
    curves = _curves(figures)
    if curves:
        blocks.append(Columns(tuple(curves)))
    return Section("Accuracy", (*blocks, *_by_size(figures)))


def _by_size(figures: Mapping[str, Any]) -> list[Block]:
    sizes = [name for name in ("APs", "APm", "APl", "ARs", "ARm", "ARl") if figures.get(name) is not None]
    words = {"s": "small", "m": "medium", "l": "large"}
    rows = tuple((f"{name[:2]} of {words[name[-1]]} objects", percent(figures[name])) for name in sizes)
    return [Table(("by size", "%"), rows)] if rows else []


def _curves(figures: Mapping[str, Any]) -> list[Block]:
    curves = figures.get("curves")
    if not isinstance(curves, Mapping) or not any(curves.get("precision") or ()):
        return []
    thresholds: Sequence[float] = curves["iou_thresholds"]
    chosen = [
        (threshold, precision)
        for threshold, precision in zip(thresholds, curves["precision"], strict=True)
        if any(abs(threshold - shown) < 1e-6 for shown in _SHOWN_THRESHOLDS)
    ]
    chart = precision_recall_chart(curves["recall"], [p for _, p in chosen], [t for t, _ in chosen])
    cards: list[Block] = [Card("Precision and recall", (_CURVE_WORDS,), (Charts((draw_chart(chart),)),))]
    measured_on = "boxes" if figures.get("measured_on") == "box" else "masks"
    measured = [(t, 100 * ap) for t, ap in zip(thresholds, curves.get("AP") or (), strict=False) if ap is not None]
    if len(measured) > 1:
        series = Series("AP", [t for t, _ in measured], [ap for _, ap in measured], markers=True)
        strict = LineChart("AP by IoU, %", (series,), "IoU asked for", y_range=(0.0, 100.0), legend_values=False)
        cards.append(Card(f"How exact the {measured_on} are", (_STRICT_WORDS,), (Charts((draw_chart(strict),)),)))
    return cards


def _per_class(figures: Mapping[str, Any]) -> Section | None:
    at: Mapping[str, Sequence[float] | None] = figures.get("per_class_at") or {}
    columns: dict[str, Mapping[str, float | None]] = {
        "mask AP %": figures.get("per_class") or {},
        "AP50 %": {name: None if row is None else row[0] for name, row in at.items()},
        "recall %": figures.get("per_class_recall") or {},
        "box AP %": figures.get("box_per_class") or {},
        "HOTA %": figures.get("per_class_hota") or {},
    }
    measured = {label: column for label, column in columns.items() if any(v is not None for v in column.values())}
    if not measured:
        return None
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    first = next(iter(measured.values()))
    ordered = sorted(names, key=lambda name: -(first.get(name) or 0.0))
    rows = tuple((name, *(percent(column.get(name)) for column in measured.values())) for name in ordered)
    words = (
        "A click on a column's name sorts by it, once more turns the order; so does Enter. '-' stands for classes "
        "without an object in the ground truth. On a narrow screen the table scrolls in its box."
    )
    return Section("By class", (Text(words), Table(("class", *measured), rows, sortable=True)))


def _videos(figures: Mapping[str, Any]) -> Section | None:
    videos: Mapping[str, float | None] = figures.get("videos") or {}
    measured = sorted((value, name) for name, value in videos.items() if value is not None)
    if not measured:
        return None
    rows = tuple((name, percent(value)) for value, name in measured[:_WORST_VIDEOS])
    note = "Mean IoU of each object with its best result of the same class; the lowest first."
    return Section("Hardest videos", (Text(note), Table(("video", "mean best IoU %"), rows)))
