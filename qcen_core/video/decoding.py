"""From packets to upright RGB pictures."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

import av
import av.container
import av.error
import av.video
import numpy as np
from numpy.typing import NDArray

from qcen_core.video.tone_map import HDR_NAMES, ToneMap

Note: TypeAlias = Callable[[str], None]

_UNSPECIFIED = 2
_BT2020 = 9
_HD_HEIGHT = 720


def decoded_frames(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, note: Note
) -> Iterator[av.VideoFrame]:
    """Decode packet by packet: one damaged packet costs its own frame, not the rest of the video.

    Args:
        container: the open file.
        stream: its pictures.
        note: is told, in one line, what could not be decoded.
    """
    damaged = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.ExitError:
            note("nothing more came in time; the video ends with the last frame that could be decoded")
            packet = None
        except av.error.FFmpegError:
            note("the file is damaged; the video ends with the last frame that could be decoded")
            packet = None
        try:
            # Without a packet the decoder hands out the frames it still holds.
            yield from stream.decode(packet)
        except av.error.EOFError:
            pass  # the demuxer's last, empty packet has emptied the decoder already
        except av.error.FFmpegError:
            damaged += 1
        if packet is None:
            break
    if damaged:
        note(f"{damaged} damaged packet{'s' if damaged > 1 else ''} could not be decoded")


class UprightPictures:
    """Makes upright RGB pictures of one size from decoded frames.

    Args:
        first: the first frame; it sets the size.
        context: the decoder, which knows how the colours are coded.
        note: is told, in one line, what was done otherwise than a person may expect.

    Attributes:
        height: of the pictures, in pixels.
        width: of the pictures, in pixels.
    """

    def __init__(self, first: av.VideoFrame, context: av.VideoCodecContext, note: Note) -> None:
        self._stored = first.height, first.width
        self.height, self.width = self._stored[::-1] if first.rotation % 180 == 90 else self._stored
        self._context = context
        self._note = note
        self._tone_map: ToneMap | None = None

    def pending(self, frame: av.VideoFrame) -> Callable[[], NDArray[np.uint8]]:
        """What makes the picture of a frame that was just decoded; may be called when decoding has gone on.

        The picture is (H, W, 3) uint8 RGB, rotated as the file says; HDR is tone-mapped.
        """
        if (frame.height, frame.width) != self._stored:
            height, width = self._stored
            self._note(f"frames change their size within the video; all are scaled to {width}x{height}")
        return partial(self._picture, frame, self._context.color_trc, self._context.color_primaries)

    def _picture(self, frame: av.VideoFrame, transfer: int, primaries: int) -> NDArray[np.uint8]:
        is_hdr = transfer in HDR_NAMES
        image = self._hdr_picture(frame, transfer, primaries) if is_hdr else self._plain_picture(frame)
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))

    def _plain_picture(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        # By convention high-definition video without a colour mark is BT.709, not the decoder's BT.601.
        unmarked_hd = frame.colorspace == _UNSPECIFIED and frame.height >= _HD_HEIGHT
        height, width = self._stored
        image = frame.to_ndarray(
            format="rgb24", width=width, height=height, src_colorspace="ITU709" if unmarked_hd else None
        )
        return image.astype(np.uint8, copy=False)

    def _hdr_picture(self, frame: av.VideoFrame, transfer: int, primaries: int) -> NDArray[np.uint8]:
        if self._tone_map is None or self._tone_map.coding != (transfer, primaries):
            self._tone_map = ToneMap(transfer, primaries)
        self._note(f"HDR ({HDR_NAMES[transfer]}) was tone-mapped to 8-bit")
        height, width = self._stored
        unmarked = frame.colorspace == _UNSPECIFIED
        image = frame.to_ndarray(
            format="rgb48le", width=width, height=height, src_colorspace=_BT2020 if unmarked else None
        )
        return self._tone_map(image.astype(np.uint16, copy=False))
