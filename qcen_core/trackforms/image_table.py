"""The images of a COCO-VID file, on disk: which frame of which video an image is."""

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord
from qcen_core.trackforms.checks import check_size
from qcen_core.video.frame_folder import require_inside

_IMAGES = (
    "CREATE TABLE images (id INTEGER PRIMARY KEY, video INTEGER, number INTEGER, ticks INTEGER, file TEXT, "
    "height INTEGER, width INTEGER)"
)
# Frame ids may start anywhere and have gaps: the images that are listed are the frames.
_FRAMES = (
    "CREATE TABLE frames AS SELECT id, video, ticks, file, "
    "ROW_NUMBER() OVER (PARTITION BY video ORDER BY number) - 1 AS frame FROM images"
)


class ImageTable:
    """Images as they are read; a context manager, gone when it is closed.

    Args:
        path: their file, for messages.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._base = sqlite3.connect("", isolation_level=None)  # on disk, under no name
        self._base.execute("PRAGMA synchronous = OFF")
        self._base.execute(_IMAGES)
        self._base.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def add(self, record: JsonRecord) -> None:
        """Take in an image.

        Raises:
            InputError: the record cannot be used, or an image of its id came before.
        """
        file = record.text("file_name")
        require_inside(file, record.place)
        ticks = None if record.is_null("ticks") else record.integer("ticks")
        numbers = [record.integer(key) for key in ("id", "video_id", "frame_id")]
        height, width = record.integer("height"), record.integer("width")
        check_size(height, width, record.place)
        try:
            self._base.execute(
                "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", (*numbers, ticks, file, height, width)
            )
        except sqlite3.IntegrityError:
            raise InputError("its id occurs twice", place=record.place, hint="number the images anew") from None

    def arrange(self) -> None:
        """Give each image its frame, once all images are in.

        Raises:
            InputError: two images are the same frame.
        """
        twice = self._base.execute(
            "SELECT MAX(id), number FROM images GROUP BY video, number HAVING COUNT(*) > 1"
        ).fetchone()
        if twice:
            cause = f"another image has its frame_id {twice[1]}"
            raise InputError(cause, place=f"{self._path}: image {twice[0]}", hint="number the frames of its video anew")
        self._base.execute(_FRAMES)
        self._base.execute("CREATE UNIQUE INDEX by_id ON frames (id)")
        self._base.execute("CREATE INDEX by_frame ON frames (video, frame)")
        self._base.execute("CREATE INDEX by_size ON images (video, height, width)")

    def size(self, video_id: int, record: JsonRecord) -> tuple[int, int]:
        """(Height, width) of the images of a video.

        Raises:
            InputError: it has none, or they differ in size.
        """
        rows = self._base.execute("SELECT DISTINCT height, width FROM images WHERE video = ? LIMIT 2", (video_id,))
        sizes = [(int(height), int(width)) for height, width in rows]
        if len(sizes) != 1:
            cause = "its images differ in size" if sizes else "no image belongs to it"
            raise InputError(cause, place=record.place, hint="correct the images, or remove the video")
        return sizes[0]

    def frames(self, video_id: int, *, files: bool) -> Iterator[tuple[int, int | None, str | None]]:
        """The frames of a video as (index from 0, ticks, file), `None` for the files if they are none."""
        query = "SELECT frame, ticks, file FROM frames WHERE video = ? ORDER BY frame"
        for frame, ticks, file in self._base.execute(query, (video_id,)):
            yield frame, ticks, file if files else None

    def place(self, record: JsonRecord) -> tuple[int, int]:
        """Id of the video and index of the frame of an annotation.

        Raises:
            InputError: its image is unknown.
        """
        number = record.integer("image_id")
        row = self._base.execute("SELECT video, frame FROM frames WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise InputError(f"image_id {number} is unknown", place=record.place, hint="list the image")
        return int(row[0]), int(row[1])

    def require_videos(self, videos: Collection[int]) -> None:
        """Check that every image belongs to one of these videos.

        Raises:
            InputError: one does not.
        """
        for video_id, image in self._base.execute("SELECT video, MIN(id) FROM images GROUP BY video"):
            if video_id not in videos:
                cause = f"video_id {video_id} is unknown"
                raise InputError(cause, place=f"{self._path}: image {image}", hint="add it to videos")
