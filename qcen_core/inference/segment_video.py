"""Frames in, tracked instances out: one frame at a time, in memory that does not grow with the video."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn

from qcen_core.config import TrackerConfig
from qcen_core.inference.guest_tracker import GuestTracker
from qcen_core.inference.memory_drawing import exchanged_drawing
from qcen_core.inference.options import half_type
from qcen_core.inference.postprocess import score_queries, select_instances
from qcen_core.inference.preprocess import FrameGeometry, FrameMasks, plan_geometry, to_input
from qcen_core.inference.tracker import FrameTracks, Tracker, build_tracker
from qcen_core.model.checkpoint import Checkpoint
from qcen_core.model.pixel_decoder import PixelFeatures
from qcen_core.ops.mask_window import MaskWindow
from qcen_core.records import BoolArray, FloatArray
from qcen_core.structures import FramePrediction, SegmenterOutput
from qcen_core.video.frames import SourceFrame


@dataclass(frozen=True, slots=True)
class TrackedInstance:
    """One object in one frame.

    Attributes:
        track_id: from 1, in the order of birth, never reused within a video.
        class_id: 0..K-1, the best class of `class_logits`.
        score: of this frame: class probability times mask quality, where there is a box times the fit of the two.
        window: its mask in pixels of the frame, at least one of them set.
        class_logits: (K + 1,) float32, mean over the track's frames so far.
    """

    track_id: int
    class_id: int
    score: float
    window: MaskWindow
    class_logits: FloatArray

    @property
    def mask(self) -> BoolArray:
        """(H, W) bool."""
        return self.window.full()


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """The objects of one frame, best first.

    Attributes:
        index: of the frame in its source, from 0.
        time: seconds on the source's clock.
        height: of the frame in pixels.
        width: of the frame in pixels.
        instances: none of them in an empty frame.
    """

    index: int
    time: Fraction
    height: int
    width: int
    instances: tuple[TrackedInstance, ...]


class VideoSegmenter:
    """The state of one video: feed it every frame in turn, and a new one for each video.

    Args:
        checkpoint: the model, in evaluation mode, and its configuration.
        tracker: how instances are found and joined; the checkpoint's own choice by default.
        short_side: short side of the model's input in pixels; the checkpoint's own choice by default. The limit of
            the long side grows and shrinks with it.
        half: compute in the 16-bit type that the device is fast in.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        tracker: TrackerConfig | None = None,
        *,
        short_side: int | None = None,
        half: bool = False,
    ) -> None:
        self._model = checkpoint.model
        self._device = device_of(checkpoint.model)
        self._half = half
        self._masks: FrameMasks | None = None
        self._config = tracker or checkpoint.config.tracker
        usual = checkpoint.config.data.test_short_side
        self._short_side = short_side or usual
        self._max_side = round(checkpoint.config.data.max_side * self._short_side / usual)
        self._use_contrast = self._config.kind == "memory" and contrast_was_learned(checkpoint)
        exchange = self._config.kind == "memory" and exchange_was_learned(checkpoint)
        through_decoder = checkpoint.config.loss.exchange == "decoder"
        self._memory_draws = exchange and not through_decoder
        self._guest_tracker = GuestTracker(self._config) if exchange and through_decoder else None
        self._tracker: Tracker = self._guest_tracker or build_tracker(self._config)

    @torch.inference_mode()
    def step(self, frame: SourceFrame) -> TrackedFrame:
        """Segment the next frame and give its objects their identities."""
        height, width = frame.image.shape[:2]
        geometry = plan_geometry(height, width, short_side=self._short_side, max_side=self._max_side)
        with self._precision():
            features = self._model.encode(*to_input(frame.image, geometry, self._device))
            output = self._model.decode(features, every_layer=False)
        output = output.float()
        prediction = self._score(output, geometry, least=self._config.keep)
        if self._config.kind == "memory":
            prediction = self._select(prediction)
        prediction, tracks = self._track(prediction, features, geometry)
        shown = self._shown(prediction.scores, tracks.ids)
        drawn = prediction.mask_logits[shown]
        if self._memory_draws:
            rows, columns = geometry.mask_cells
            mask_features = output.mask_features[0, :, :rows, :columns].float()
            located = output.final.boxes is not None
            own, remembered = prediction.mask_embeddings[shown], tracks.mask_embeddings[shown]
            drawn = exchanged_drawing(own, remembered, mask_features, located=located)
        if self._masks is None or self._masks.geometry != geometry:
            self._masks = FrameMasks(geometry)
        instances = _instances(self._masks.windows(drawn), shown, tracks, prediction.scores)
        return TrackedFrame(frame.index, frame.time, height, width, instances)

    def state(self) -> dict[str, Tensor]:
        """What is remembered of the video, on the CPU; what `restore` makes of it goes on as this segmenter would."""
        return {name: tensor.cpu() for name, tensor in self._tracker.state().items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on after the frame at which `state` was taken from a segmenter of the same model and tracker.

        Raises:
            ValueError: it is the state of a tracker of another kind.
        """
        self._tracker.restore({name: tensor.to(self._device) for name, tensor in state.items()})

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, dtype=half_type(self._device), enabled=self._half)

    def _track(
        self, prediction: FramePrediction, features: PixelFeatures, geometry: FrameGeometry
    ) -> tuple[FramePrediction, FrameTracks]:
        """The frame's instances as they are to be shown, and their tracks."""
        guests = None if self._guest_tracker is None else self._guest_tracker.guests()
        if self._guest_tracker is None or guests is None:
            return prediction, self._tracker.step(prediction)
        with self._precision():
            visit = self._model.visit(features, guests, every_layer=False)
        return self._guest_tracker.step_with_guests(prediction, self._score(visit.float(), geometry))

    def _score(self, output: SegmenterOutput, geometry: FrameGeometry, least: float = 0.0) -> FramePrediction:
        return score_queries(output, mask_cells=geometry.mask_cells, use_contrast=self._use_contrast, least=least)

    def _select(self, prediction: FramePrediction) -> FramePrediction:
        return select_instances(
            prediction,
            keep=self._config.keep,
            nms_iou=self._config.nms_iou,
            max_instances=self._config.max_instances,
        )

    def _shown(self, scores: Tensor, ids: Tensor) -> Tensor:
        """Rows with a track, strong enough to be seen, best first: MinVIS tracks weak queries as well."""
        scores = scores.cpu().double()
        rows = ((ids > 0) & (scores >= self._config.keep)).nonzero()[:, 0]
        return rows[scores[rows].argsort(descending=True, stable=True)][: self._config.max_instances]


def segment_video(
    frames: Iterable[SourceFrame],
    checkpoint: Checkpoint,
    tracker: TrackerConfig | None = None,
    *,
    short_side: int | None = None,
) -> Iterator[TrackedFrame]:
    """Segment and track one video as it comes.

    Args:
        frames: the video's frames in order, e.g. `open_source(path).frames()`.
        checkpoint: what `load_checkpoint` returned.
        tracker: how instances are found and joined; the checkpoint's own choice by default.
        short_side: short side of the model's input in pixels; the checkpoint's own choice by default.

    Yields:
        One `TrackedFrame` for each frame, before the next frame is asked for.
    """
    segmenter = VideoSegmenter(checkpoint, tracker, short_side=short_side)
    for frame in frames:
        yield segmenter.step(frame)


def _instances(
    windows: Sequence[MaskWindow | None], rows: Tensor, tracks: FrameTracks, scores: Tensor
) -> tuple[TrackedInstance, ...]:
    """The instances at (S,) rows of a frame, whose masks are S windows; those without a pixel are left out."""
    logits: FloatArray = tracks.class_logits.cpu().numpy()
    ids, strengths = tracks.ids.tolist(), scores.tolist()
    return tuple(
        TrackedInstance(ids[row], int(logits[row, :-1].argmax()), strengths[row], window, logits[row].copy())
        for row, window in zip(rows.tolist(), windows, strict=True)
        if window is not None
    )


def exchange_was_learned(checkpoint: Checkpoint) -> bool:
    """Whether training taught queries to draw their instance in other frames of the video."""
    loss = checkpoint.config.loss
    steps = checkpoint.info.get("step", checkpoint.config.train.steps)
    return loss.intra_weight > 0 and steps > loss.exchange_start


def contrast_was_learned(checkpoint: Checkpoint) -> bool:
    """Whether training ever used the contrast embeddings; if not they are noise, and the queries say more."""
    loss = checkpoint.config.loss
    steps = checkpoint.info.get("step", checkpoint.config.train.steps)
    return (loss.contrast_weight > 0 or loss.contrast_auxiliary_weight > 0) and steps > loss.exchange_start


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters live; the CPU for a model without any."""
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
