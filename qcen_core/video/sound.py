"""Carrying the sound of one media file over into another."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import av.audio
import av.container
import av.error

from qcen_core.video.video_file import clock_origin, open_container

# What players and browsers accept inside an MP4 file; anything else is encoded anew.
COPIED_CODECS = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
_AAC_FRAME_SIZE = 1024

_AudioPacket: TypeAlias = "av.Packet[av.AudioStream]"


class SoundTrack:
    """Copies the first sound stream of a file, packet by packet and in step with the picture.

    Packets are copied as they are where MP4 can hold them; other sound is encoded to AAC.

    Args:
        source: the file that holds the sound.
        output: the container to write to; must not have been started.

    Raises:
        InputError: the source cannot be opened.

    Attributes:
        notes: what could not be carried over, one line each.
    """

    def __init__(self, source: Path, output: av.container.OutputContainer) -> None:
        self.notes: list[str] = []
        self._output = output
        self._input = open_container(source)
        self._origin = clock_origin(self._input)
        streams = self._input.streams.audio
        self._stream = streams[0] if streams else None
        self._packets: Iterator[_AudioPacket] = iter(())
        self._waiting: _AudioPacket | None = None
        if self._stream is None:
            self.notes.append(f"{source.name} holds no sound")
            return
        codec = self._stream.codec_context.name
        self._encoder: av.AudioStream | None = None
        if codec in COPIED_CODECS:
            self._track = output.add_stream_from_template(self._stream)
        else:
            rate = self._stream.codec_context.sample_rate
            layout = self._stream.codec_context.layout
            self._track = self._encoder = output.add_stream("aac", rate=rate, layout=layout)
            self._resampler = av.AudioResampler("fltp", layout, rate, frame_size=_AAC_FRAME_SIZE)
            self.notes.append(f"the sound was encoded to AAC: MP4 does not hold {codec}")
        # The demuxer marks the end by packets without a stamp.
        self._packets = (packet for packet in self._input.demux(self._stream) if packet.dts is not None)

    def advance(self, until: Fraction | None) -> None:
        """Write the sound up to a time.

        Args:
            until: seconds on the clock of the picture; `None` writes all that is left.
        """
        try:
            while (packet := self._next_packet()) is not None:
                if until is not None and (packet.dts or 0) * packet.time_base - self._origin > until:
                    return
                self._waiting = None
                self._write(packet)
            if until is None and self._stream is not None and self._encoder is not None:
                self._output.mux(self._encoded(None))
        except av.error.FFmpegError:
            self.notes.append("the sound breaks off where its file is damaged")
            self._packets = iter(())
            self._waiting = None

    def close(self) -> None:
        """Close the source file."""
        self._input.close()

    def _next_packet(self) -> "_AudioPacket | None":
        if self._waiting is None:
            self._waiting = next(self._packets, None)
        return self._waiting

    def _write(self, packet: "_AudioPacket") -> None:
        if self._encoder is not None:
            self._output.mux(self._encoded(packet))
            return
        shift = round(self._origin / packet.time_base)
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.stream = self._track
        self._output.mux(packet)

    def _encoded(self, packet: "_AudioPacket | None") -> "list[_AudioPacket]":
        """Decode one packet, or empty the decoder, and encode what comes out."""
        if self._stream is None or self._encoder is None:
            return []
        frames = self._stream.decode(packet)
        for frame in frames:
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(self._origin / frame.time_base)
        pieces = [piece for frame in frames for piece in self._resampler.resample(frame)]
        if packet is None:
            pieces += self._resampler.resample(None)
        packets = [done for piece in pieces for done in self._encoder.encode(piece)]
        return packets if packet is not None else packets + self._encoder.encode(None)
