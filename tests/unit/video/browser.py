"""Has a browser without a window play a video, and asks it what it saw."""

import http.server
import json
import queue
import shutil
import subprocess
from pathlib import Path
from typing import Any

from web_server import QuietHandler, served

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60  # seconds, of which a usual run takes three

# Draws every frame that is shown into a canvas and notes its time, with the colour at the points in question.
PAGE = """<!doctype html><meta charset="utf-8"><video muted autoplay playsinline></video><script>
const points = POINTS, video = document.querySelector("video"), shown = [];
const canvas = document.createElement("canvas");
const paint = canvas.getContext("2d", { willReadFrequently: true });
function report(error) {
  const quality = video.getVideoPlaybackQuality();
  const result = { error, shown, duration: video.duration, currentTime: video.currentTime,
    width: video.videoWidth, height: video.videoHeight, frames: quality.totalVideoFrames,
    soundBytes: video.webkitAudioDecodedByteCount };
  fetch("/result", { method: "POST", body: JSON.stringify(result) });
}
function look(now, frame) {
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  paint.drawImage(video, 0, 0);
  const colors = points.map(([x, y]) => Array.from(paint.getImageData(x, y, 1, 1).data.slice(0, 3)));
  shown.push({ time: frame.mediaTime, colors });
  video.requestVideoFrameCallback(look);
}
video.requestVideoFrameCallback(look);
video.onended = () => report(null);
video.onerror = () => report(video.error.message || "code " + video.error.code);
video.src = "/video.mp4";
</script>"""


def find_browser() -> str | None:
    """A Chromium on the path."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def play(browser: str, video: Path, points: list[tuple[int, int]], profile: Path) -> dict[str, Any]:
    """Play a video from beginning to end.

    Args:
        browser: the program.
        video: an MP4 file.
        points: (x, y) in pixels, whose colours are sampled in every frame that is shown.
        profile: a folder for the browser's own files.

    Returns:
        What the page reports: `error`, `duration`, `currentTime`, `width`, `height`, `frames` (decoded),
        `soundBytes` (decoded) and `shown`, a list of {`time`, `colors`}.
    """
    results: queue.Queue[dict[str, Any]] = queue.Queue()

    with served(_page_of(video.read_bytes(), points, results)) as address:
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        arguments += ["--disable-extensions", "--disable-background-networking"]
        arguments += ["--autoplay-policy=no-user-gesture-required", f"--user-data-dir={profile}", f"{address}/"]
        process = subprocess.Popen([browser, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return results.get(timeout=PATIENCE)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _page_of(
    content: bytes, points: list[tuple[int, int]], results: "queue.Queue[dict[str, Any]]"
) -> type[http.server.BaseHTTPRequestHandler]:
    class Page(QuietHandler):
        def do_GET(self):  # noqa: N802
            if self.path == "/":
                self.answer(PAGE.replace("POINTS", json.dumps(points)).encode(), "text/html")
            elif self.path == "/video.mp4":
                self.answer(content, "video/mp4")
            else:
                self.send_error(404)

        def do_POST(self):  # noqa: N802
            results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(b"", "text/plain")

    return Page
