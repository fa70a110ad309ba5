"""Track ids for forms that cannot hold every number."""

from collections.abc import Collection, Mapping

from qcen_core.errors import InputError
from qcen_core.trackforms.store import StoredVideo


def fitting_numbers(tracks: Collection[int], largest: int, video: StoredVideo, form: str) -> dict[int, int]:
    """Track id -> number in a file: the id itself where all are from 1 to the largest, else 1, 2, 3 in their order.

    Args:
        tracks: the ids.
        largest: number that the form holds.
        video: their video, for messages.
        form: what the form is called.

    Raises:
        InputError: there are more tracks than numbers.
    """
    if all(1 <= track <= largest for track in tracks):
        return {track: track for track in tracks}
    if len(tracks) > largest:
        raise InputError(
            f"video {video.name} has {len(tracks)} tracks, {form} holds {largest}",
            hint="choose a form without this limit, such as tracks or coco-vid",
        )
    return {track: number for number, track in enumerate(sorted(tracks), start=1)}


def renumbering_note(numbers: Mapping[int, int], video: StoredVideo) -> tuple[str, ...]:
    """What to say of new numbers; nothing where ids stayed as they were."""
    new = any(track != number for track, number in numbers.items())
    return (f"tracks of video {video.name} were numbered anew",) if new else ()
