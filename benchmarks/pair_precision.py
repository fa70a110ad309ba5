"""How often boxes and categories alone tell which objects of two frames are one: pseudo-identities against true ones.

    python -m benchmarks.pair_precision ANNOTATIONS.json

The file is in YouTube-VIS form, with identities, for example `holdout_gt.json` of a prepared data set. No model takes
part: what queries add is in the training log.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer
from rich.console import Console
from rich.table import Table

from qcen_core.config import PairConfig
from qcen_core.method.diagnostics import Ratio, pair_figures
from qcen_core.method.pairs import pseudo_identity_pairs
from qcen_core.records import TrackDataset
from qcen_core.structures import Match
from qcen_core.trackfile import read_annotations

app = typer.Typer(add_completion=False)


class Seen(NamedTuple):
    """Objects of one frame: G boxes, their classes and their tracks."""

    boxes: list[tuple[float, float, float, float]]
    labels: list[int]
    tracks: list[int]


def frames_of(dataset: TrackDataset) -> list[list[Seen]]:
    """For each video its frames."""
    videos = {video.id: [Seen([], [], []) for _ in video.frame_files] for video in dataset.videos}
    for track in dataset.tracks:
        for seen, box in zip(videos[track.video_id], track.boxes, strict=True):
            if box is not None and not track.is_crowd:
                seen.boxes.append(box)
                seen.labels.append(track.class_id)
                seen.tracks.append(track.id)
    return list(videos.values())


def figures_of(first: Seen, second: Seen, gap: int) -> dict[str, Ratio]:
    """Precision and recall of the pairs of two frames that lie `gap` apart."""
    counts = (len(first.labels), len(second.labels))
    frames = torch.tensor([0] * counts[0] + [1] * counts[1])
    columns = torch.tensor([*range(counts[0]), *range(counts[1])])
    pairs = pseudo_identity_pairs(
        torch.tensor(first.boxes + second.boxes),
        torch.tensor(first.labels + second.labels),
        torch.zeros(len(frames), 1),
        frames,
        frames * gap,
        clip_frames=2,
        affinity="boxes",
        threshold=PairConfig().threshold,
    )
    tracks = (torch.tensor(first.tracks), torch.tensor(second.tracks))
    return pair_figures(pairs, Match(frames, columns, columns), tracks, clip_frames=2)


def mean_figures(videos: list[list[Seen]], gap: int) -> dict[str, float]:
    """Precision and recall over all pairs of two frames of a video that lie `gap` apart."""
    sums: dict[str, list[float]] = {}
    for frames in videos:
        for first, second in zip(frames, frames[gap:], strict=False):
            if first.labels and second.labels:
                for name, ratio in figures_of(first, second, gap).items():
                    total = sums.setdefault(name, [0.0, 0.0])
                    total[0] += float(ratio.numerator)
                    total[1] += float(ratio.denominator)
    return {name: top / max(bottom, 1.0) for name, (top, bottom) in sums.items()}


@app.command()
def main(
    annotations: Annotated[Path, typer.Argument(help="YouTube-VIS annotations with identities")],
    most: Annotated[int, typer.Option(help="frames apart, at most", min=1)] = 5,
) -> None:
    """Print precision and recall by the distance of the frames."""
    videos = frames_of(read_annotations(annotations))
    table = Table("frames apart", "pairs that are true, %", "true pairs found, %")
    for gap in range(1, most + 1):
        found = mean_figures(videos, gap)
        table.add_row(str(gap), *(f"{100 * found[name]:.1f}" for name in ("pair_precision", "pair_recall")))
    Console().print(table)


if __name__ == "__main__":
    app()
