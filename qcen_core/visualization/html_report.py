"""One self-contained HTML page: figures, pictures, charts and tables; it opens anywhere, without a network."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.visualization.figure_style import FIGURE_STYLE
from qcen_core.visualization.html_table import Table, draw_table
from qcen_core.visualization.report_style import STYLE

EMBEDDED_VIDEO_LIMIT = 8_000_000
_SCRIPT = Path(__file__).with_name("report.js")
_LEAST_CONTENTS = 4  # a page of fewer sections needs no list of them
_JPEG_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Tile:
    """A key figure: what it is called, its value, and a faint line below."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Key figures in a row."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, as wide as the page allows.

    Attributes:
        source: data URI or address; `picture` makes one from pixels.
        caption: stands below; also read out to people who do not see the picture.
    """

    source: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Charts:
    """SVG drawings in a grid, as `curves.draw_chart` makes them."""

    drawings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Video:
    """A video with controls.

    Attributes:
        source: data URI or address relative to the page; `video` makes one from a file.
        caption: stands below.
    """

    source: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """Blocks beside each other, as many as fit; columns inside of columns stand below each other."""

    blocks: "tuple[Block, ...]"


@dataclass(frozen=True, slots=True)
class Drawing:
    """HTML that one of the drawing modules made; it is put into the page as it is, so names in it are escaped."""

    html: str


@dataclass(frozen=True, slots=True)
class Card:
    """A figure in its frame: what it is called, in plain words what it shows, and the figure.

    Attributes:
        title: small heading.
        words: paragraphs of plain text.
        blocks: the figure.
    """

    title: str
    words: tuple[str, ...]
    blocks: "tuple[Block, ...]"


Block = Tiles | Text | Picture | Charts | Table | Video | Columns | Drawing | Card


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        title: heading and name of the browser tab.
        subtitle: faint line below it.
        sections: in reading order; a section without a title has no heading.
        footer: last line.
        data: what the page's script draws, as JSON; the player's frames and masks.
    """

    title: str
    subtitle: str = ""
    sections: tuple[Section, ...] = ()
    footer: str = "Made by QCEN"
    data: Mapping[str, Any] | None = None


def picture(image: NDArray[np.uint8], caption: str = "", widest: int | None = None) -> Picture:
    """A picture from pixels, stored as JPEG inside the page.

    Args:
        image: (H, W, 3) uint8, RGB.
        caption: stands below it.
        widest: a wider picture is stored with so many pixels a row.
    """
    if widest is not None and image.shape[1] > widest:
        size = (widest, max(round(image.shape[0] * widest / image.shape[1]), 1))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return Picture(data_uri(data.tobytes(), "image/jpeg"), caption)


def video(path: Path, page: Path, caption: str = "") -> Video:
    """A video from a file: inside the page if it is smaller than 8 MB, else linked.

    Args:
        path: an MP4 file.
        page: where the page will be written; a link is relative to its folder where one leads there.
        caption: stands below it.

    Raises:
        OSError: the file cannot be read.
    """
    if path.stat().st_size < EMBEDDED_VIDEO_LIMIT:
        return Video(data_uri(path.read_bytes(), "video/mp4"), caption)
    target, folder = path.resolve(), page.resolve().parent
    link = quote(target.relative_to(folder).as_posix()) if target.is_relative_to(folder) else target.as_uri()
    return Video(link, caption)


def render(page: Page) -> str:
    """The page as HTML text."""
    subtitle = f"<p class='subtitle'>{escape(page.subtitle)}</p>" if page.subtitle else ""
    sections = "\n".join(_section(section, number) for number, section in enumerate(page.sections))
    # Inside a script element nothing is escaped but what could end it.
    data = "" if page.data is None else json.dumps(page.data, separators=(",", ":"), allow_nan=False)
    data = data.replace("<", "\\u003c")
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<meta name='color-scheme' content='light dark'>\n"
        f"<title>{escape(page.title)}</title>\n<style>{STYLE}{FIGURE_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{escape(page.title)}</h1>{subtitle}</header>\n{_contents(page.sections)}{sections}\n"
        f"<footer>{escape(page.footer)}</footer>\n</main>\n"
        f"<script type='application/json' id='page-data'>{data or 'null'}</script>\n"
        f"<script>{_SCRIPT.read_text(encoding='utf-8')}</script>\n</body>\n</html>\n"
    )


def write(page: Page, path: Path) -> None:
    """Write the page; the file appears whole or not at all. Its folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(render(page), encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _section(section: Section, number: int) -> str:
    heading = f"<h2>{escape(section.title)}</h2>" if section.title else ""
    return f"<section id='part-{number}'>{heading}{''.join(_block(block) for block in section.blocks)}</section>"


def _contents(sections: Sequence[Section]) -> str:
    titled = [(number, section.title) for number, section in enumerate(sections) if section.title]
    if len(titled) < _LEAST_CONTENTS:
        return ""
    links = "".join(f"<li><a href='#part-{number}'>{escape(title)}</a></li>" for number, title in titled)
    return f"<nav aria-label='Contents'><ul>{links}</ul></nav>\n"


def _block(block: Block) -> str:
    match block:
        case Tiles(tiles):
            return f"<div class='tiles'>{''.join(_tile(tile) for tile in tiles)}</div>"
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Picture(source, caption):
            alt = escape(caption, quote=True)
            return f"<figure><img src='{escape(source)}' alt='{alt}' loading='lazy'>{_caption(caption)}</figure>"
        case Charts(drawings):
            return f"<div class='charts'>{''.join(f'<div>{drawing}</div>' for drawing in drawings)}</div>"
        case Table():
            return draw_table(block)
        case Drawing(html):
            return html
        case Card(title, words, blocks):
            told = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in words)
            return f"<div class='card'><h3>{escape(title)}</h3>{told}{''.join(_block(inner) for inner in blocks)}</div>"
        case Columns(blocks):
            return f"<div class='columns'>{''.join(_block(inner) for inner in blocks)}</div>"
        case Video(source, caption):
            return (
                f"<figure><video controls playsinline preload='metadata' src='{escape(source)}'></video>"
                f"{_caption(caption)}</figure>"
            )


def _tile(tile: Tile) -> str:
    note = f"<span class='note'>{escape(tile.note)}</span>" if tile.note else ""
    return (
        f"<div class='tile'><span class='label'>{escape(tile.label)}</span>"
        f"<span class='value'>{escape(tile.value)}</span>{note}</div>"
    )


def _caption(text: str) -> str:
    return f"<figcaption>{escape(text)}</figcaption>" if text else ""


def data_uri(data: bytes, kind: str) -> str:
    """An address that holds the file itself, of a MIME type such as `image/jpeg`."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
