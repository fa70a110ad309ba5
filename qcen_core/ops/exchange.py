"""Which frames exchange queries: inside a clip, and between the clips of a batch. Frame index n = clip * T + time."""

from torch import Tensor


def intra_source(frames: Tensor, clip_frames: int) -> Tensor:
    """The frame whose queries visit each frame: the next one of the clip, the first one after the last.

    Args:
        frames: int64 of any shape.
        clip_frames: T.
    """
    return frames // clip_frames * clip_frames + (frames + 1) % clip_frames


def intra_target(frames: Tensor, clip_frames: int) -> Tensor:
    """The frame that the queries of each frame visit inside the clip; the inverse of `intra_source`."""
    return frames // clip_frames * clip_frames + (frames - 1) % clip_frames


def inter_source(frames: Tensor, clip_frames: int, count: int) -> Tensor:
    """The frame whose queries visit each frame: the same time of the next clip, of the first one after the last.

    Args:
        frames: int64 of any shape.
        clip_frames: T.
        count: number of frames in the batch, N.
    """
    return (frames + clip_frames) % count


def inter_target(frames: Tensor, clip_frames: int, count: int) -> Tensor:
    """The frame that the queries of each frame visit in another clip; the inverse of `inter_source`."""
    return (frames - clip_frames) % count
