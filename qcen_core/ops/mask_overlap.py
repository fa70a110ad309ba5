"""How much masks overlap, exactly: they are packed to bits, which are counted where two masks share a word."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from qcen_core.records import BoolArray, IntArray

WORD = 64  # cells that are counted at once
# Shared words beyond which a product of matrices is quicker: only many masks that cover much of the frame get there.
MOST_SHARED_WORDS = 3_000_000
_BITS_OF_16 = np.array([number.bit_count() for number in range(1 << 16)], dtype=np.uint8)


def packed(masks: Tensor) -> Tensor:
    """Where (D, h, w) masks are, logits above 0 or bool, 64 cells a word: (D, W) int64, zeros at the end."""
    masks = masks.detach().flatten(1)
    missing = -masks.shape[1] % WORD
    if not masks.is_cpu:
        return _packed_by_sums(F.pad(masks > 0, (0, missing)))
    positive: BoolArray = masks.numpy() > 0  # NumPy compares several times as fast as torch does here
    if missing:
        positive = np.pad(positive, ((0, 0), (0, missing)))
    return torch.from_numpy(np.packbits(positive, axis=1, bitorder="little").view(np.int64))


def areas(bits: Tensor) -> Tensor:
    """(D,) int64, number of cells of masks packed to (D, W) int64."""
    if bits.is_cpu:
        return torch.from_numpy(_counted(_words(bits)).sum(1, dtype=np.int64))
    return _cells(bits).sum(1)


def intersections(bits: Tensor, others: Tensor) -> Tensor:
    """Cells common to each pair of masks packed to (D, W) and (R, W) int64: (D, R) float32, exact below 2^24."""
    common = _shared_bits(_words(bits), _words(others)) if bits.is_cpu else None
    return _product(bits, others) if common is None else common


def iou(bits: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of each pair of packed masks, (D, W) and (R, W): (D, R) float32, 0 for two empty ones."""
    return ratio(intersections(bits, others), areas(bits)[:, None], areas(others)[None, :])


def iou_of_couples(bits: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of M couples of packed masks, (M, W) each: (M,) float32, 0 for two empty ones."""
    return ratio(areas(bits & others).float(), areas(bits), areas(others))


def ratio(common: Tensor, area: Tensor, other_area: Tensor) -> Tensor:
    """Intersection over union of masks of two int64 areas with `common` float32 cells in both; 0 for two empty ones."""
    return common / (area + other_area - common).clamp(min=1)


def _shared_bits(words: np.ndarray, others: np.ndarray) -> Tensor | None:
    """The common cells of each pair of (D, W) and (R, W) words, from the words of both that hold a cell.

    Compact masks fill few words, and few masks share one. `None` where too many do for this to pay.
    """
    row, place, left = _filled(words)
    column, other_place, right = _filled(others)
    order = other_place.argsort(kind="stable")
    column, right = column[order], right[order]
    sharers = np.bincount(other_place, minlength=words.shape[1])  # of each place, which lie beside each other now
    ends = sharers.cumsum()
    shared = sharers[place]
    total = int(shared.sum())
    if total > MOST_SHARED_WORDS:
        return None
    # Each filled word of one side is repeated for all the others at its place, which `partner` counts through.
    partner = np.arange(total) + np.repeat(ends[place] - shared.cumsum(), shared)
    counts = _counted(np.repeat(left, shared) & right[partner])
    pairs = np.repeat(row * len(others), shared) + column[partner]
    common = np.bincount(pairs, weights=counts, minlength=len(words) * len(others))
    return torch.from_numpy(common.astype(np.float32).reshape(len(words), len(others)))


def _product(bits: Tensor, others: Tensor) -> Tensor:
    return _cells(bits).float() @ _cells(others).float().T


def _filled(words: np.ndarray) -> tuple[IntArray, IntArray, np.ndarray]:
    """Row, column and value of the words that are not 0."""
    flat = words.reshape(-1)
    found = np.flatnonzero(flat != 0)
    rows, columns = np.divmod(found, max(words.shape[1], 1))
    return rows, columns, flat[found]


def _words(bits: Tensor) -> np.ndarray:
    return bits.contiguous().numpy().view(np.uint64)


def _counted(words: np.ndarray) -> np.ndarray:
    """Bits set in each word, uint8."""
    if hasattr(np, "bitwise_count"):
        counts: np.ndarray = np.bitwise_count(words)
        return counts
    return _counted_by_table(words)  # NumPy 1


def _counted_by_table(words: np.ndarray) -> np.ndarray:
    parts = _BITS_OF_16[np.ascontiguousarray(words).view(np.uint16)]
    counts: np.ndarray = parts.reshape(*words.shape, 4).sum(-1, dtype=np.uint8)
    return counts


def _packed_by_sums(cells: Tensor) -> Tensor:
    words = cells.unflatten(1, (-1, WORD)).long()
    bits: Tensor = (words << torch.arange(WORD, device=cells.device)).sum(-1)  # each bit once, the sign as well
    return bits


def _cells(bits: Tensor) -> Tensor:
    """(D, 64 W) int64, 1 where the mask is."""
    return ((bits[..., None] >> torch.arange(WORD, device=bits.device)) & 1).flatten(1)
