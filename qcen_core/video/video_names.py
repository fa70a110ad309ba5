"""What videos are called where nobody said so, or where what was said does not tell them apart."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath


def video_names(ids: Sequence[int], given: Sequence[str], files: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Distinct safe file names: the given name, else the frames' folder, else the first frame, else the id.

    A kind of name is used for the videos that it tells from all others, upper and lower case being one.
    """

    def folder(frames: tuple[str, ...]) -> str:
        parents = {frame.replace("\\", "/").rpartition("/")[0] for frame in frames}
        return PurePosixPath(parents.pop()).name if len(parents) == 1 else ""

    stems = [PurePosixPath(frames[0].replace("\\", "/")).stem for frames in files]
    names = [f"video_{number}" for number in ids]
    for kind in (stems, [folder(frames) for frames in files], given):
        safe = [re.sub(r"[^\w.-]+", "_", name).strip("._") for name in kind]
        uses = Counter(name.casefold() for name in safe)
        names = [new if new and uses[new.casefold()] == 1 else old for new, old in zip(safe, names, strict=True)]
    # One video's folder may still be called as another's first frame.
    uses = Counter(name.casefold() for name in names)
    pairs = zip(names, ids, strict=True)
    return tuple(name if uses[name.casefold()] == 1 else f"{name}_{number}" for name, number in pairs)
