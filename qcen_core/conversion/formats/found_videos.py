"""The videos that annotations speak of, as they are met, and which of their frames a number means."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from qcen_core.conversion.formats.file_names import distinct_file_names
from qcen_core.conversion.frame_library import FoundVideo, FrameLibrary
from qcen_core.records import VideoRecord

MOST_FRAMES = 1_000_000  # of one video, eleven hours; a larger number in a file is taken for a mistake


class FoundVideos:
    """Videos in the order in which annotations first name them; the same video is one however often it is named."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._found: list[FoundVideo] = []

    def __getitem__(self, index: int) -> FoundVideo:
        return self._found[index]

    def add(self, found: FoundVideo) -> int:
        """The index of a video, a new one where it was not met before."""
        if found.name not in self._index:
            self._index[found.name] = len(self._found)
            self._found.append(found)
        return self._index[found.name]

    def left_over(self, labelled: Mapping[int, Collection[int]]) -> dict[int, frozenset[int]]:
        """The frames that nobody labelled, of each video that has such.

        Args:
            labelled: index of a video -> indices of the frames that somebody looked at.
        """
        left = {
            video: frozenset(range(len(found.files))).difference(labelled.get(video, ()))
            for video, found in enumerate(self._found)
        }
        return {video: frames for video, frames in left.items() if frames}

    def records(self) -> tuple[VideoRecord, ...]:
        """The videos without labels, with ids from 1 and distinct names that can be file names."""
        return video_records(self._found)


def video_records(videos: Sequence[FoundVideo]) -> tuple[VideoRecord, ...]:
    """Videos without labels, with ids from 1 and distinct names that can be file names."""
    names = distinct_file_names([video.name for video in videos])
    return tuple(
        VideoRecord(number, name, video.height, video.width, video.files)
        for number, (name, video) in enumerate(zip(names, videos, strict=True), start=1)
    )


def find_video(names: Iterable[str], library: FrameLibrary, *, alone: bool) -> FoundVideo | None:
    """The first video that is called like one of the names.

    Args:
        names: what the video may be called, the likeliest first.
        library: the frames.
        alone: a single video is asked for; then the only one of the library serves, whatever it is called.

    Raises:
        InputError: its first frame, or the video file, cannot be read.
    """
    found = (library.get(name) for name in names)
    return next((video for video in found if video is not None), None) or (library.only() if alone else None)


def frame_places(found: FoundVideo, first: int) -> dict[int, int]:
    """Number of a frame -> its index in the video, ascending.

    Args:
        found: the video.
        first: the number that the annotations give to its first frame.
    """
    places: dict[int, int] = {}
    for number in range(first, first + MOST_FRAMES):
        if len(places) == len(found.files):
            break
        index = found.frame_index(number, first)
        if index is not None:
            places[number] = index
    return places
