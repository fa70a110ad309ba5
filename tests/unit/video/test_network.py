import socket
import threading
from fractions import Fraction
from itertools import pairwise

import pytest
from synthetic_video import check_pictures, make_video
from test_live import threads_of_sources
from web_server import QuietHandler, served

from qcen_core.errors import InputError
from qcen_core.video.live import LiveSource, open_address
from qcen_core.video.media_file import shown_address
from qcen_core.video.video_file import VideoFile


def stream_of(content: bytes, ending: threading.Event) -> type[QuietHandler]:
    """A server of an endless stream, in chunks without a length; it ends, or hangs until the event."""

    class Stream(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):  # noqa: N802
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(content), 4000):
                piece = content[start : start + 4000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
            ending.wait(20)
            self.wfile.write(b"0\r\n\r\n")

    return Stream


def broadcast(tmp_path) -> bytes:
    clock = {"stamps": range(900_000, 900_000 + 60 * 3600, 3600), "time_base": Fraction(1, 90000)}
    return make_video(tmp_path / "broadcast.ts", **clock).read_bytes()


def wait_for_threads() -> None:
    for thread in threads_of_sources():
        thread.join(5)
    assert not threads_of_sources()


@pytest.mark.parametrize("hangs", [False, True])
def test_a_stream_that_ends_or_hangs(tmp_path, hangs):
    ending = threading.Event()
    if not hangs:
        ending.set()
    with served(stream_of(broadcast(tmp_path), ending)) as address:
        with open_address(f"{address}/live", timeout=1.0 if hangs else 10.0) as source:
            assert isinstance(source, LiveSource)
            frames = list(source.frames())
        ending.set()
    times = [frame.time for frame in frames]
    assert times[0] == 0
    assert all(before < after for before, after in pairwise(times))
    assert all(time % Fraction(1, 25) == 0 for time in times)  # the stream's own stamps
    assert times[-1] <= Fraction(59, 25)
    assert frames[0].image.shape == (58, 94, 3)
    assert source.notes[-1] == f"the stream stopped after {float(times[-1]):.1f} s"
    assert source.name == "127.0.0.1"
    wait_for_threads()


def test_closing_in_the_middle_ends_the_thread(tmp_path):
    ending = threading.Event()
    with served(stream_of(broadcast(tmp_path), ending)) as address:
        with open_address(f"{address}/live", timeout=10) as source:
            next(source.frames())
            ending.set()
        source.close()
        wait_for_threads()


def test_a_file_on_a_web_server_is_read_to_its_end(tmp_path):
    content = make_video(tmp_path / "a.mp4", sound="aac", options={"movflags": "+faststart"}).read_bytes()

    class Files(QuietHandler):
        def do_GET(self):  # noqa: N802
            self.answer(content, "video/mp4")

    with served(Files) as address, open_address(f"{address}/clips/my clip.mp4?key=1") as source:
        assert isinstance(source, VideoFile)
        frames = list(source.frames())
    assert [frame.time for frame in frames] == [Fraction(n, 25) for n in range(12)]
    check_pictures([frame.image for frame in frames])
    assert (source.name, source.frame_count, source.audio_source, source.is_live) == ("my clip", 12, None, False)
    assert source.notes == ["the sound of an address is not carried over"]


def test_addresses_that_do_not_answer_are_named():
    class Nothing(QuietHandler):
        def do_GET(self):  # noqa: N802
            self.send_error(404)

    with served(Nothing) as address, pytest.raises(InputError, match="cannot be opened") as caught:
        open_address(f"{address}/gone.mp4")
    assert caught.value.place == f"{address}/gone.mp4"
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        for scheme in ("http", "rtsp", "tcp"):
            with pytest.raises(InputError, match=r"no answer within 0\.2 s"):
                open_address(f"{scheme}://127.0.0.1:{port}/x", timeout=0.2)
    with pytest.raises(InputError, match="unknown kind of address 'file'"):
        open_address("file:///etc/passwd")


def test_passwords_stay_out_of_messages():
    assert shown_address("rtsp://me:secret@10.0.0.7:554/cam?token=abc") == "rtsp://10.0.0.7:554/cam"
    assert shown_address("https://host/a%20b.mp4") == "https://host/a%20b.mp4"
