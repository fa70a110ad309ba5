"""What an evaluation found, as sections of a page."""

from collections.abc import Mapping
from typing import Any

from qcen_core.visualization.curves import draw_chart, precision_recall_chart
from qcen_core.visualization.html_report import Block, Charts, Columns, Section, Table, Text, Tile, Tiles

_WORST_VIDEOS = 12
_SHOWN_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
_NOTES = {
    "AP": "mean over IoU 0.50 to 0.95",
    "AP50": "at IoU 0.50",
    "AP75": "at IoU 0.75",
    "AR1": "recall, best result of a video",
    "AR10": "recall, ten best",
}
_ASSOCIATION_LABELS = {
    "accuracy": "objects linked right, %",
    "links": "links looked at",
    "switches": "identity switches",
    "matched": "objects matched, %",
    "mean_iou": "mean IoU of the matched, %",
}


def evaluation_sections(figures: Mapping[str, Any]) -> tuple[Section, ...]:
    """Key figures, curves and tables of an evaluation.

    Args:
        figures: the JSON object that `qcen evaluate` writes to `report.json`; keys that are missing leave out
            what they feed.
    """
    return tuple(
        section
        for section in (_key_figures(figures), _per_class(figures), _videos(figures))
        if section is not None and section.blocks
    )


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal, `-` where it is undefined."""
    return "-" if value is None else f"{100 * value:.1f}"


def _key_figures(figures: Mapping[str, Any]) -> Section:
    on_masks = figures.get("AP") is not None
    tiles = [Tile(name, percent(figures[name]), note) for name, note in _NOTES.items() if name in figures and on_masks]
    box: Mapping[str, Any] = figures.get("box") or {}
    notes = {"tube_AP": ("Box AP", "boxes of whole tracks"), "frame_AP": ("Frame box AP", "boxes of single frames")}
    tiles += [Tile(label, percent(box[key]), note) for key, (label, note) in notes.items() if key in box]
    blocks: list[Block] = [Tiles(tuple(tiles))] if tiles else []
    if not on_masks and "AP" in figures:
        blocks.append(Text("The ground truth has no masks: only boxes are measured."))
    details = [*_tables(figures), *_precision_recall(figures)]
    return Section("Accuracy", (*blocks, Columns(tuple(details))) if details else tuple(blocks))


def _tables(figures: Mapping[str, Any]) -> list[Block]:
    tables: list[Block] = []
    sizes = [name for name in ("APs", "APm", "APl", "ARs", "ARm", "ARl") if figures.get(name) is not None]
    if sizes:
        words = {"s": "small", "m": "medium", "l": "large"}
        rows = tuple((f"{name[:2]} of {words[name[-1]]} objects", percent(figures[name])) for name in sizes)
        tables.append(Table(("by size", "%"), rows))
    association = figures.get("association")
    if isinstance(association, Mapping):
        rows = tuple((label, _short(association.get(key))) for key, label in _ASSOCIATION_LABELS.items())
        tables.append(Table(("association from frame to frame", "value"), rows))
    return tables


def _precision_recall(figures: Mapping[str, Any]) -> list[Block]:
    curves = figures.get("curves")
    if not isinstance(curves, Mapping) or not any(curves.get("precision") or ()):
        return []
    chosen = [
        (threshold, precision)
        for threshold, precision in zip(curves["iou_thresholds"], curves["precision"], strict=True)
        if any(abs(threshold - shown) < 1e-6 for shown in _SHOWN_THRESHOLDS)
    ]
    chart = precision_recall_chart(curves["recall"], [p for _, p in chosen], [t for t, _ in chosen])
    return [Charts((draw_chart(chart),))]


def _per_class(figures: Mapping[str, Any]) -> Section | None:
    masks: Mapping[str, float | None] = figures.get("per_class") or {}
    boxes: Mapping[str, float | None] = figures.get("box_per_class") or {}
    names = list(dict.fromkeys([*masks, *boxes]))
    columns = {"mask AP %": masks, "box AP %": boxes}
    measured = {label: column for label, column in columns.items() if any(v is not None for v in column.values())}
    if not measured:
        return None
    ordered = sorted(names, key=lambda name: -(masks.get(name) or boxes.get(name) or 0.0))
    rows = tuple((name, *(percent(column.get(name)) for column in measured.values())) for name in ordered)
    return Section("By class", (Table(("class", *measured), rows),))


def _videos(figures: Mapping[str, Any]) -> Section | None:
    videos: Mapping[str, float | None] = figures.get("videos") or {}
    measured = sorted((value, name) for name, value in videos.items() if value is not None)
    if not measured:
        return None
    rows = tuple((name, percent(value)) for value, name in measured[:_WORST_VIDEOS])
    note = "Mean IoU of each object with its best result of the same class; the lowest first."
    return Section("Hardest videos", (Text(note), Table(("video", "mean best IoU %"), rows)))


def _short(value: object) -> str:
    if isinstance(value, float):
        return percent(value)
    return "-" if value is None else str(value)
