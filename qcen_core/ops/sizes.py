"""Sizes of frames on their way into the model: the same rule in training and at inference."""

SIZE_DIVISOR = 32  # the coarsest stride of the backbone


def fitted_size(height: int, width: int, *, short_side: int, max_side: int) -> tuple[int, int]:
    """(height, width) with the short side at `short_side`, less where the long side would exceed `max_side`; pixels."""
    scale = min(short_side / min(height, width), max_side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def padded_length(length: int) -> int:
    """The next multiple of `SIZE_DIVISOR`, in pixels."""
    return -(-length // SIZE_DIVISOR) * SIZE_DIVISOR
