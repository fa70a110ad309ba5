"""The overlay of a video: what is drawn stays calm from frame to frame."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qcen_core.visualization.drawn_shape import Shape, label_anchor
from qcen_core.visualization.label_motion import LabelMemory, LabelWish, move_labels
from qcen_core.visualization.layers import lay_over
from qcen_core.visualization.lettering import chip_size, text_chip
from qcen_core.visualization.overlay import (
    DEFAULT_STYLE,
    DrawnInstance,
    OverlayStyle,
    enlarged_copy,
    label_text,
    letter_size,
    line_width,
    measured,
    paint_shape,
)
from qcen_core.visualization.palette import track_color
from qcen_core.visualization.trails import Trail

_FORGOTTEN_AFTER = 60
_JUMPS_AFTER = 10  # frames away after which a label starts anew instead of gliding from where it was
_SCORE_HELD = 15
_NEW_SHARE = 0.1  # of the present frame in running means


class OverlayPainter:
    """Draws the frames of one video, one after another.

    It remembers each track for two seconds after it was last seen (at 30 frames a second): where its label is, which
    score it shows, how large it is, and the way it came. Use another painter for another video.

    Args:
        style: what is drawn, and how.
    """

    def __init__(self, style: OverlayStyle = DEFAULT_STYLE) -> None:
        self._style = style
        self._frame = -1
        # In the order in which tracks were first seen; labels keep this order, and so their places.
        self._tracks: dict[int, _Track] = {}

    def draw(self, image: NDArray[np.uint8], instances: Sequence[DrawnInstance]) -> NDArray[np.uint8]:
        """Draw the next frame.

        Args:
            image: (H, W, 3) uint8, RGB; left as it is. All frames have one size.
            instances: what to draw, in any order, each track at most once; one with neither mask nor box, or with an
                empty mask, is not drawn.

        Returns:
            (H', W', 3) uint8, RGB, of size `overlay_size(H, W, style)`.

        Raises:
            ValueError: a mask that does not fit the frame.
        """
        self._frame += 1
        canvas, scale = enlarged_copy(image, self._style)
        shown = measured(instances, (image.shape[0], image.shape[1]), scale)
        for instance, shape in shown:
            self._tracks.setdefault(instance.track_id, _Track()).see(self._frame, instance.score, shape)
        self._tracks = {
            track_id: track
            for track_id, track in self._tracks.items()
            if self._frame - track.last_seen < _FORGOTTEN_AFTER
        }
        # The running mean of the area: two objects of one size do not take turns in being on top.
        shown.sort(key=lambda pair: self._tracks[pair[0].track_id].area, reverse=True)
        for instance, shape in shown:
            paint_shape(canvas, shape, track_color(instance.track_id), self._style, scale)
        if self._style.trails:
            for track_id, track in self._tracks.items():
                track.trail.draw(canvas, self._frame, track_color(track_id), 0.7 * line_width(canvas))
        if self._style.labels:
            self._draw_labels(canvas, shown)
        return canvas

    def _draw_labels(self, canvas: NDArray[np.uint8], shown: Sequence[tuple[DrawnInstance, Shape]]) -> None:
        height, width = canvas.shape[:2]
        size = letter_size(height, width)
        present = {instance.track_id: (instance, shape) for instance, shape in shown}
        tracks = [(track_id, track) for track_id, track in self._tracks.items() if track_id in present]
        memories, wishes, chips = [], [], []
        for track_id, track in tracks:
            instance, shape = present[track_id]
            text = label_text(instance, track.shown_score, self._style, size, width)
            label_size = chip_size(text, size)
            anchor = label_anchor(shape, label_size[1], self._style.boxes)
            memories.append(track.label)
            wishes.append(LabelWish(shape.centre, anchor, label_size))
            chips.append(text_chip(text, size, track_color(track_id)))
        for chip, place in zip(chips, move_labels(memories, wishes, (height, width)), strict=True):
            lay_over(canvas, chip, place[0], place[1])


@dataclass(slots=True)
class _Track:
    """What is remembered of one track."""

    label: LabelMemory = field(default_factory=LabelMemory)
    trail: Trail = field(default_factory=Trail)
    area: float = 0.0
    shown_score: float | None = None
    last_seen: int = -1
    _mean_score: float = 0.0
    _score_since: int = 0

    def see(self, frame: int, score: float | None, shape: Shape) -> None:
        """Take in the instance of a frame."""
        if frame - self.last_seen > _JUMPS_AFTER:
            self.label = LabelMemory()
        self.area = shape.area if self.area == 0 else self.area + _NEW_SHARE * (shape.area - self.area)
        self.last_seen = frame
        self.trail.add(frame, *shape.centre)
        self._see_score(frame, score)

    def _see_score(self, frame: int, score: float | None) -> None:
        """A number that changes in every frame cannot be read: a running mean is shown, for half a second at least."""
        if score is None or self.shown_score is None:
            self.shown_score, self._score_since = score, frame
            self._mean_score = score or 0.0
            return
        self._mean_score += _NEW_SHARE * (score - self._mean_score)
        if frame - self._score_since >= _SCORE_HELD and abs(self._mean_score - self.shown_score) >= 0.01:
            self.shown_score, self._score_since = self._mean_score, frame
