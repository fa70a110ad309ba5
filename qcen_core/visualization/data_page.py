"""The page of a prepared data set: contact sheets, and what the set is made of."""

from pathlib import Path

from qcen_core.boxfile import read_boxes
from qcen_core.prepared import read_prepared
from qcen_core.records import BoxDataset
from qcen_core.visualization.contact_sheet import contact_sheet
from qcen_core.visualization.dataset_sheet import class_counts, dataset_thumbnails, write_sheet
from qcen_core.visualization.dataset_statistics import measure, statistics_blocks
from qcen_core.visualization.html_report import Block, Page, Section, Tile, Tiles, picture, write
from qcen_core.visualization.html_table import Table
from qcen_core.visualization.overlay import OverlayStyle


def write_data_page(root: Path, page: Path, max_videos: int) -> dict[str, Path]:
    """Draw each split of a prepared data set.

    Args:
        root: the data set's folder.
        page: the page to write; contact sheets lie beside it.
        max_videos: most videos of a split on its contact sheet.

    Returns:
        `report`, and for each split its contact sheet.

    Raises:
        InputError: the data set or a frame cannot be read.
    """
    prepared = read_prepared(root)
    outputs: dict[str, Path] = {}
    sections: list[Section] = []
    for name, split in prepared.splits.items():
        dataset = read_boxes(split.boxes, prepared.frames_root)
        blocks = _figures(dataset)
        thumbnails = dataset_thumbnails(dataset, max_videos)
        if thumbnails:
            sheet = contact_sheet(thumbnails, style=OverlayStyle(ids=False))
            outputs[name] = page.parent / f"{name}.png"
            write_sheet(sheet, outputs[name])
            caption = f"One frame of each video, {len(thumbnails)} of {len(dataset.videos)} shown."
            blocks.insert(1, picture(sheet, caption))
        sections.append(Section(name.capitalize(), tuple(blocks)))
    names = ", ".join(category.name for category in prepared.categories)
    write(Page(f"Data set {prepared.name}", names, tuple(sections)), page)
    return {"report": page, **outputs}


def _figures(dataset: BoxDataset) -> list[Block]:
    classes, statistics = class_counts(dataset), measure(dataset)
    tiles = [
        Tile("Videos", f"{len(dataset.videos):,}"),
        Tile("Frames", f"{statistics.lengths.sum():,}"),
        Tile("Boxes", f"{len(statistics.sizes):,}"),
        Tile("Classes", str(len(dataset.categories))),
    ]
    if statistics.unlabelled:
        tiles.append(Tile("Unlabelled frames", f"{statistics.unlabelled:,}"))
    rows = tuple((label, str(boxes), str(videos)) for label, (boxes, videos) in classes.items())
    return [
        Tiles(tuple(tiles)),
        statistics_blocks(statistics, classes),
        Table(("class", "boxes", "videos"), rows, sortable=True),
    ]
