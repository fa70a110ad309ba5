"""Frames that lost a label of which nobody knows where it was: nothing in them may be taken for background."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from qcen_core.conversion.annotations import SourceObject
from qcen_core.conversion.problems import Problem


def leave_out_frames(
    items: Iterable[SourceObject | Problem], incomplete: Mapping[int, Collection[int]], path: Path
) -> Iterator[SourceObject | Problem]:
    """Objects without their boxes at frames that are not used, and at the end how many boxes these were.

    Args:
        items: objects and problems.
        incomplete: video index -> the frames.
        path: file or folder of the annotations, for the message.
    """
    count = 0
    for item in items:
        spoilt = incomplete.get(item.video, ()) if isinstance(item, SourceObject) else ()
        if isinstance(item, Problem) or not spoilt:
            yield item
            continue
        kept = [place for place, frame in enumerate(item.frames) if frame not in spoilt]
        count += len(item.frames) - len(kept)
        if len(kept) == len(item.frames):
            yield item
        elif kept:
            yield replace(
                item,
                frames=[item.frames[place] for place in kept],
                boxes=[item.boxes[place] for place in kept],
                masks=None if item.masks is None else [item.masks[place] for place in kept],
            )
    if count:
        cause = f"{count} more boxes are left out, at frames that lost a label: what else is there is not known"
        hint = "correct the labels that are lost"
        yield Problem("label beside a lost one", str(path), cause, hint, boxes=count)
