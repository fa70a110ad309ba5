"""Tracking figures: HOTA and its parts, identity figures, and links from frame to frame."""

from collections.abc import Mapping
from typing import Any

from qcen_core.visualization.curves import LineChart, Series, draw_chart
from qcen_core.visualization.html_report import Block, Card, Charts, Columns, Section, Tile, Tiles
from qcen_core.visualization.html_table import Table

_TILES = {
    "HOTA": "detection and association together",
    "DetA": "are objects found in each frame?",
    "AssA": "do tracks stay on their objects?",
    "LocA": "overlap of what is matched",
    "IDF1": "frames under the right identity",
}
_RECALLS = {
    "DetRe": "detection recall",
    "DetPr": "detection precision",
    "AssRe": "association recall",
    "AssPr": "association precision",
    "IDR": "identity recall",
    "IDP": "identity precision",
}
_WORDS = (
    "HOTA is the geometric mean of two questions: are the objects found in each frame (DetA), and does each track "
    "stay on one object (AssA)? Where DetA is the lower one, work on finding objects; where AssA is, work on telling "
    "them apart. All classes are counted together."
)
_ASSOCIATION_LABELS = {
    "accuracy": "objects linked right, %",
    "links": "links looked at",
    "switches": "identity switches",
    "matched": "objects matched, %",
    "mean_iou": "mean IoU of the matched, %",
}


def tracking_section(figures: Mapping[str, Any]) -> Section | None:
    """HOTA and association; `None` where the figures have neither.

    Args:
        figures: the JSON object of `report.json`.
    """
    hota = figures.get("hota")
    blocks: list[Block] = []
    beside: list[Block] = []
    tables: list[Block] = []
    if isinstance(hota, Mapping):
        tiles = [Tile(name, _percent(hota.get(name)), note) for name, note in _TILES.items() if name in hota]
        if "IDSW" in hota:
            tiles.append(Tile("Identity switches", _shown(hota["IDSW"]), "a track changes its object"))
        blocks.append(Tiles(tuple(tiles)))
        rows = tuple((label, _percent(hota.get(key))) for key, label in _RECALLS.items() if key in hota)
        if _is_curve(hota):
            beside.append(Card("HOTA at each overlap", (_WORDS,), (Charts((draw_chart(_chart(hota)),)),)))
        if rows:
            tables.append(Table(("recall and precision of tracking", "%"), rows))
    association = figures.get("association")
    if isinstance(association, Mapping):
        rows = tuple((label, _shown(association.get(key))) for key, label in _ASSOCIATION_LABELS.items())
        tables.append(Table(("association from frame to frame", "value"), rows))
    if tables:
        beside.append(Columns(tuple(tables)))
    if beside:
        blocks.append(Columns(tuple(beside)))
    return Section("Tracking", tuple(blocks)) if blocks else None


def _is_curve(hota: Mapping[str, Any]) -> bool:
    alphas = hota.get("alphas")
    return bool(alphas) and any(hota.get(f"{name}_at") for name in ("HOTA", "DetA", "AssA"))


def _chart(hota: Mapping[str, Any]) -> LineChart:
    alphas = hota["alphas"]
    series = tuple(
        Series(name, alphas, [float("nan") if value is None else 100 * value for value in hota[f"{name}_at"]])
        for name in ("HOTA", "DetA", "AssA")
        if hota.get(f"{name}_at")
    )
    label = "overlap (IoU) asked for"
    title = "HOTA, DetA and AssA, %"
    return LineChart(title, series, x_label=label, x_range=(0.0, 1.0), y_range=(0.0, 100.0), legend_values=False)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return _percent(value)
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
