"""Carrying the sound of one media file over into another."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import av.audio
import av.container
import av.error

from qcen_core.video.media_file import clock_origin, open_container

# What players and browsers accept inside an MP4 file; anything else is encoded anew.
COPIED_CODECS = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
_AAC_FRAME_SIZE = 1024
_AAC_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000})
_USUAL_RATE = 48000
_AAC_LAYOUTS = {1: "mono", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}  # by the number of channels
_USUAL_LAYOUT = "stereo"

_AudioPacket: TypeAlias = "av.Packet[av.AudioStream]"


class SoundTrack:
    """Copies the first sound stream of a file, packet by packet and in step with the picture.

    Packets are copied as they are where MP4 can hold them; other sound is encoded to AAC.

    Args:
        source: the file that holds the sound.
        output: the container to write to; must not have been started.
        start: where the sound begins, in seconds on the clock of the source's picture; it goes to time 0 of the
            output. A packet that is under way there is left out.
        end: where it ends on the same clock, `None` for the end of the file; a packet that begins before is kept whole.

    Raises:
        InputError: the source cannot be opened.

    Attributes:
        notes: what could not be carried over, one line each.
    """

    def __init__(
        self,
        source: Path,
        output: av.container.OutputContainer,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._output = output
        self._input = open_container(source)
        self._origin = clock_origin(self._input) + start
        self._cut = start > 0
        self._length = None if end is None else end - start
        streams = self._input.streams.audio
        self._stream = streams[0] if streams else None
        self._packets: Iterator[_AudioPacket] = iter(())
        self._waiting: _AudioPacket | None = None
        self._encoder: AacEncoder | None = None
        if self._stream is None:
            self.notes.append(f"{source.name} holds no sound")
            return
        # Not the name of the decoder, which for one kind of sound may be one of several.
        codec = self._stream.codec_context.codec.canonical_name
        if codec in COPIED_CODECS:
            self._track = output.add_stream_from_template(self._stream)
        else:
            self._encoder = AacEncoder(self._stream, output)
            self.notes.append(f"the sound was encoded to AAC: MP4 does not hold {codec}")
        self._packets = self._part()

    def advance(self, until: Fraction | None) -> None:
        """Write the sound up to a time.

        Args:
            until: seconds on the clock of the output; `None` writes all that is left.

        Raises:
            OSError: the output cannot be written.
        """
        try:
            while (packet := self._next_packet()) is not None:
                if until is not None and self._time(packet) > until:
                    return
                self._waiting = None
                self._write(packet)
            if until is None and self._encoder is not None:
                self._output.mux(self._encoder.encoded(None))
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):  # the disk's fault, not the sound's
                raise
            self._break_off()

    def close(self) -> None:
        """Close the source file."""
        self._input.close()

    def _part(self) -> "Iterator[_AudioPacket]":
        """The packets between start and end."""
        if self._stream is None:
            return
        for packet in self._input.demux(self._stream):
            if packet.dts is None:  # the demuxer marks the end so
                continue
            time = self._time(packet)
            if self._length is not None and time >= self._length:
                return
            # Without a cut, packets before the picture's zero are kept: the decoder warms up on them.
            if time >= 0 or not self._cut:
                yield packet

    def _time(self, packet: "_AudioPacket") -> Fraction:
        """Where a packet goes in the output, in seconds."""
        return (packet.dts or 0) * packet.time_base - self._origin

    def _next_packet(self) -> "_AudioPacket | None":
        if self._waiting is None:
            try:
                self._waiting = next(self._packets, None)
            except av.error.FFmpegError:
                self._break_off()
        return self._waiting

    def _break_off(self) -> None:
        self.notes.append("the sound breaks off where its file is damaged")
        self._packets = iter(())

    def _write(self, packet: "_AudioPacket") -> None:
        shift = round(self._origin / packet.time_base)
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.pts = None if packet.pts is None else packet.pts - shift
        if self._encoder is not None:
            self._output.mux(self._encoder.encoded(packet))
            return
        packet.stream = self._track
        self._output.mux(packet)


class AacEncoder:
    """Decodes the packets of one stream and encodes them to AAC.

    Args:
        stream: where the packets come from; rates and layouts that AAC does not know become usual ones.
        output: gets a stream for them.
    """

    def __init__(self, stream: av.AudioStream, output: av.container.OutputContainer) -> None:
        self._stream = stream
        context = stream.codec_context
        rate = context.sample_rate if context.sample_rate in _AAC_RATES else _USUAL_RATE
        layout = _AAC_LAYOUTS.get(context.layout.nb_channels, _USUAL_LAYOUT)
        self._track: av.AudioStream = output.add_stream("aac", rate=rate, layout=layout)
        self._resampler = av.AudioResampler("fltp", layout, rate, frame_size=_AAC_FRAME_SIZE)

    def encoded(self, packet: "_AudioPacket | None") -> "list[_AudioPacket]":
        """Encode what is in a packet; `None` encodes what is left in the decoder and ends the sound."""
        frames = self._stream.decode(packet)
        pieces = [piece for frame in frames for piece in self._resampler.resample(frame)]
        if packet is None:
            pieces += self._resampler.resample(None)
        packets = [done for piece in pieces for done in self._track.encode(piece)]
        return packets if packet is not None else packets + self._track.encode(None)
