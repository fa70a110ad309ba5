"""Tracks as they come: count the objects of each class in a video, frame by frame, in constant memory.

python examples/count_objects.py VIDEO CHECKPOINT
"""

import sys
from collections import Counter
from pathlib import Path

import qcen_core


def main(video: Path, weights: Path) -> None:
    """Print the objects of every frame, and at the end how many there were of each class."""
    class_of: dict[int, str] = {}
    for frame in qcen_core.infer(video, weights):
        class_of |= dict(zip(frame.track_ids.tolist(), frame.names, strict=True))
        areas = frame.masks.sum((1, 2))
        seen = zip(frame.names, frame.track_ids, areas, strict=True)
        listed = ", ".join(f"{name} #{track} ({area} pixels)" for name, track, area in seen)
        print(f"{float(frame.time):7.2f} s  {listed or 'nothing'}")
    print(dict(Counter(class_of.values())))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
