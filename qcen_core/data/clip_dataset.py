"""Loads clips: choose frames, decode, augment."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from qcen_core.config import DataConfig
from qcen_core.data.audit import IdentityAudit
from qcen_core.data.augmentation import Clip, augment_clip
from qcen_core.data.clip_sampling import ClipDraw, sample_clip
from qcen_core.data.labels import FrameLabels, LabelSource
from qcen_core.data.shared_arrays import SharedVideos, shared
from qcen_core.errors import InputError
from qcen_core.video.frame_folder import read_image


class ClipDataset(Dataset[Clip]):
    """Clips of a video set, loaded by `ClipDraw`.

    Only videos with at least one frame to train on can be drawn; `videos` counts them.

    Args:
        source: what the level may know.
        frames_root: folder that frame files are relative to.
        config: sizes and strengths.
        audit: true identities for the training log, where they are known.

    Raises:
        InputError: no video has a labelled frame.
    """

    def __init__(
        self, source: LabelSource, frames_root: Path, config: DataConfig, audit: IdentityAudit | None = None
    ) -> None:
        self._source = source
        self._root = frames_root
        self._config = config
        self._audit = audit
        usable = [index for index in range(len(source.videos)) if len(source.labelled_frames(index))]
        self._usable = shared(np.array(usable, np.int64))
        if not usable:
            raise InputError(
                "no video has a labelled frame to train on", place=frames_root, hint="prepare the data set again"
            )

    @property
    def videos(self) -> int:
        """Number of videos that can be drawn."""
        return len(self._usable)

    def name(self, draw: ClipDraw) -> str:
        """Name of the video that is drawn."""
        return self._source.videos.name(int(self._usable[draw.video]))

    def __len__(self) -> int:
        return len(self._usable)

    def __getitem__(self, draw: ClipDraw) -> Clip:
        index = int(self._usable[draw.video])
        rng = np.random.default_rng(draw.seed)
        candidates = self._source.labelled_frames(index).tolist()
        times = sample_clip(candidates, self._config.clip_frames, self._config.frame_range, rng)
        return augment_clip(self._read(index, times), self._config, rng)

    def _read(self, index: int, times: tuple[int, ...]) -> Clip:
        videos = self._source.videos
        labels = [self._source.frame(index, time) for time in times]
        masks = [torch.from_numpy(label.masks) for label in labels if label.masks is not None]
        identities = [torch.from_numpy(label.track_ids) for label in labels if label.track_ids is not None]
        return Clip(
            images=_stack([read_frame(self._root, videos, index, time) for time in times]),
            boxes=tuple(torch.from_numpy(label.boxes) for label in labels),
            labels=tuple(torch.from_numpy(label.class_ids) for label in labels),
            masks=tuple(masks) or None,
            track_ids=tuple(identities) or None,
            times=times,
            ignored=tuple(torch.from_numpy(label.ignored) for label in labels),
            source=videos.name(index),
            audit=self._audit_of(videos.name(index), times, labels),
        )

    def _audit_of(self, video: str, times: tuple[int, ...], labels: list[FrameLabels]) -> tuple[Tensor, ...] | None:
        if self._audit is None:
            return None
        return tuple(
            torch.from_numpy(self._audit.track_ids(video, time, label.boxes, label.class_ids))
            for time, label in zip(times, labels, strict=True)
        )


def _stack(frames: Sequence[NDArray[np.uint8]]) -> Tensor:
    """(T, 3, H, W) uint8 in the memory order of pictures, for which resizing is quickest."""
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


def read_frame(root: Path, videos: SharedVideos, video: int, time: int) -> NDArray[np.uint8]:
    """Decode a frame: (H, W, 3) uint8 RGB.

    Raises:
        InputError: the file is missing, cut off, not a picture, or not of the video's size.
    """
    path, (height, width) = root / videos.frame_file(video, time), videos.size(video)
    place = f"{path} (video '{videos.name(video)}', frame {time})"
    try:
        image = read_image(path)
    except InputError as error:
        raise InputError(error.cause, place=place, hint="run qcen prepare --check") from None
    if image.shape[:2] != (height, width):
        raise InputError(
            f"the frame is {image.shape[1]} x {image.shape[0]} pixels, its record says {width} x {height}",
            place=place,
            hint="run qcen prepare --check",
        )
    return image
