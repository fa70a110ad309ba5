"""What all loss terms of one batch share: labels, valid cells, colour edges, and the numbers to divide by."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from qcen_core.config import LossConfig
from qcen_core.method import losses
from qcen_core.method.mask_points import PointLabels, point_labels
from qcen_core.method.matching import PaddedLabels, grid_labels
from qcen_core.ops.boxes import filled_boxes
from qcen_core.ops.color import rgb_to_lab
from qcen_core.ops.place import frame_extent
from qcen_core.ops.ranks import Ranks
from qcen_core.structures import ClipBatch, FramePairs


@dataclass(frozen=True, slots=True)
class Scene:
    """The labels of one batch, and the constants of the terms.

    `labels`, `valid`, `ignored` and `edges` lie on the grid of the mask logits.

    Attributes:
        config: constants of the terms.
        labels: padded labels.
        points: true masks at points, `None` where there are none or every cell is compared.
        valid: (N, h, w) bool, False where a cell holds a padded pixel.
        ignored: (N, h, w) bool, cells of regions that are neither object nor background; `None` where there are none.
        edges: four tensors (N, h', w') bool, or `None` where no pairwise term is on.
        stride: pixels a cell of the mask logits.
        extent: (N, 2) float32, width and height of the frames in pixels, padding left out.
        times: (N,) frame index in the video.
        clip_frames: T.
        count: number of labels, a scalar.
        ranks: the processes that learn together.
    """

    config: LossConfig
    labels: PaddedLabels
    points: PointLabels | None
    valid: Tensor
    ignored: Tensor | None
    edges: tuple[Tensor, ...] | None
    stride: int
    extent: Tensor
    times: Tensor
    clip_frames: int
    count: Tensor
    ranks: Ranks

    def pair_count(self, pairs: FramePairs) -> Tensor:
        """Number of pairs, a scalar."""
        return self.count.new_full((), len(pairs.anchor))


def build_scene(batch: ClipBatch, size: tuple[int, int], config: LossConfig, ranks: Ranks) -> Scene:
    """Bring the labels of a batch to the grid of the mask logits.

    Args:
        batch: the clips.
        size: (h, w) of the mask logits.
        config: constants of the terms.
        ranks: the processes that learn together.
    """
    stride = batch.images.shape[-2] // size[0]
    frame_valid = batch.frame_valid()
    valid = _valid_cells(frame_valid, stride)
    masks = None if batch.strong is None else batch.strong.masks
    labels = grid_labels(batch.targets, masks, valid, stride)
    edges = None
    if masks is None and config.pairwise_weight:
        edges = _strong_edges(batch.frames(), valid, stride, config)
    extent = frame_extent(frame_valid)
    points = None
    if masks is not None and config.mask_points and max(labels.counts):
        padded = extent.new_tensor((frame_valid.shape[-1], frame_valid.shape[-2]))
        points = point_labels(masks, extent / padded, config.mask_points)
    return Scene(
        config=config,
        labels=labels,
        points=points,
        valid=valid,
        ignored=_ignored_cells(batch, size, stride),
        edges=edges,
        stride=stride,
        extent=extent,
        times=batch.frame_times.flatten(),
        clip_frames=batch.images.shape[1],
        count=extent.new_full((), sum(labels.counts)),
        ranks=ranks,
    )


def _valid_cells(frame_valid: Tensor, stride: int) -> Tensor:
    """A cell is valid if all of its pixels are."""
    return F.max_pool2d((~frame_valid).float()[:, None], stride)[:, 0] == 0


def _ignored_cells(batch: ClipBatch, size: tuple[int, int], stride: int) -> Tensor | None:
    if not any(len(target.ignored) for target in batch.targets):
        return None
    return torch.stack([filled_boxes(target.ignored, size, stride).any(dim=0) for target in batch.targets])


def _strong_edges(frames: Tensor, valid: Tensor, stride: int, config: LossConfig) -> tuple[Tensor, ...]:
    dilation = config.pairwise_dilation
    lab = rgb_to_lab(F.avg_pool2d(frames.float() / 255, stride))
    edges = []
    for offset, affinity in zip(losses.HALF_NEIGHBOURHOOD, losses.color_affinity(lab, dilation), strict=True):
        first, second = losses.shifted(valid, (offset[0] * dilation, offset[1] * dilation))
        edges.append((affinity >= config.pairwise_threshold) & first & second)
    return tuple(edges)
