"""One self-contained HTML page: figures, pictures, charts and tables; it opens anywhere, without a network."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.visualization.report_style import STYLE

EMBEDDED_VIDEO_LIMIT = 8_000_000
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
class Table:
    """Rows of text; columns of numbers are set flush right.

    Attributes:
        head: names of the columns.
        rows: each as long as `head`.
        caption: stands above.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


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
    """Blocks beside each other, as many as fit."""

    blocks: "tuple[Block, ...]"


Block = Tiles | Text | Picture | Charts | Table | Video | Columns


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
    """

    title: str
    subtitle: str = ""
    sections: tuple[Section, ...] = ()
    footer: str = "Made by QCEN"


def picture(image: NDArray[np.uint8], caption: str = "") -> Picture:
    """A picture from pixels, stored as JPEG inside the page.

    Args:
        image: (H, W, 3) uint8, RGB.
        caption: stands below it.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return Picture(_data_uri(data.tobytes(), "image/jpeg"), caption)


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
        return Video(_data_uri(path.read_bytes(), "video/mp4"), caption)
    target, folder = path.resolve(), page.resolve().parent
    link = target.relative_to(folder).as_posix() if target.is_relative_to(folder) else target.as_uri()
    return Video(link, caption)


def render(page: Page) -> str:
    """The page as HTML text."""
    subtitle = f"<p class='subtitle'>{escape(page.subtitle)}</p>" if page.subtitle else ""
    sections = "\n".join(_section(section) for section in page.sections)
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<meta name='color-scheme' content='light dark'>\n"
        f"<title>{escape(page.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{escape(page.title)}</h1>{subtitle}</header>\n{sections}\n"
        f"<footer>{escape(page.footer)}</footer>\n</main>\n</body>\n</html>\n"
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


def _section(section: Section) -> str:
    heading = f"<h2>{escape(section.title)}</h2>" if section.title else ""
    return f"<section>{heading}{''.join(_block(block) for block in section.blocks)}</section>"


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
            return _table(block)
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


def _table(table: Table) -> str:
    numeric = [all(_is_number(row[column]) for row in table.rows) for column in range(len(table.head))]

    def cells(values: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag} class='number'>{escape(value)}</{tag}>" if right else f"<{tag}>{escape(value)}</{tag}>"
            for value, right in zip(values, numeric, strict=True)
        )

    rows = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in table.rows)
    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    return (
        f"<div class='table'><table>{caption}<thead><tr>{cells(table.head, 'th')}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _is_number(text: str) -> bool:
    return bool(text) and all(letter in "0123456789.,+-% " for letter in text)


def _caption(text: str) -> str:
    return f"<figcaption>{escape(text)}</figcaption>" if text else ""


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
