"""Loads clips: choose frames, decode, augment."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from qcen_core.config import DataConfig
from qcen_core.data.audit import IdentityAudit
from qcen_core.data.augmentation import Clip, augment_clip
from qcen_core.data.clip_sampling import ClipDraw, sample_clip
from qcen_core.data.labels import FrameLabels, LabelSource
from qcen_core.errors import InputError
from qcen_core.records import VideoRecord
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
        self._frames = [source.labelled_frames(index) for index in range(len(source.videos))]
        self._usable = [index for index, frames in enumerate(self._frames) if frames]
        if not self._usable:
            raise InputError(
                "no video has a labelled frame to train on", place=frames_root, hint="prepare the data set again"
            )

    @property
    def videos(self) -> int:
        """Number of videos that can be drawn."""
        return len(self._usable)

    def __len__(self) -> int:
        return len(self._usable)

    def __getitem__(self, draw: ClipDraw) -> Clip:
        index = self._usable[draw.video]
        rng = np.random.default_rng(draw.seed)
        times = sample_clip(self._frames[index], self._config.clip_frames, self._config.frame_range, rng)
        return augment_clip(self._read(index, times), self._config, rng)

    def _read(self, index: int, times: tuple[int, ...]) -> Clip:
        video = self._source.videos[index]
        labels = [self._source.frame(index, time) for time in times]
        masks = [torch.from_numpy(label.masks) for label in labels if label.masks is not None]
        identities = [torch.from_numpy(label.track_ids) for label in labels if label.track_ids is not None]
        return Clip(
            images=torch.stack([read_frame(self._root, video, time) for time in times]),
            boxes=tuple(torch.from_numpy(label.boxes) for label in labels),
            labels=tuple(torch.from_numpy(label.class_ids) for label in labels),
            masks=tuple(masks) or None,
            track_ids=tuple(identities) or None,
            times=times,
            source=video.name,
            audit=self._audit_of(video, times, labels),
        )

    def _audit_of(
        self, video: VideoRecord, times: tuple[int, ...], labels: list[FrameLabels]
    ) -> tuple[Tensor, ...] | None:
        if self._audit is None:
            return None
        return tuple(
            torch.from_numpy(self._audit.track_ids(video.name, time, label.boxes, label.class_ids))
            for time, label in zip(times, labels, strict=True)
        )


def read_frame(root: Path, video: VideoRecord, time: int) -> Tensor:
    """Decode a frame: (3, H, W) uint8 RGB.

    Raises:
        InputError: the file is missing, cut off, not a picture, or not of the video's size.
    """
    path = root / video.frame_files[time]
    place = f"{path} (video '{video.name}', frame {time})"
    try:
        image = read_image(path)
    except InputError as error:
        raise InputError(error.cause, place=place, hint="run qcen prepare --check") from None
    if image.shape[:2] != (video.height, video.width):
        raise InputError(
            f"the frame is {image.shape[1]} x {image.shape[0]} pixels, its record says {video.width} x {video.height}",
            place=place,
            hint="run qcen prepare --check",
        )
    return torch.from_numpy(image).permute(2, 0, 1)
