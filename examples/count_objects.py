"""Tracks as they come: count the objects of each class in a video, frame by frame, in constant memory.

python examples/count_objects.py VIDEO CHECKPOINT
"""

import sys
from collections import Counter
from pathlib import Path

import torch

from qcen_core.inference.segment_video import segment_video
from qcen_core.model.checkpoint import load_checkpoint
from qcen_core.video.reader import open_source

CONFIDENCE = 0.3


def main(video: Path, weights: Path) -> None:
    """Print the objects of every frame, and at the end how many there were of each class."""
    checkpoint = load_checkpoint(weights, torch.device("cpu"))
    names = [category.name for category in checkpoint.categories]
    class_of: dict[int, str] = {}
    with open_source(video) as source:
        for frame in segment_video(source.frames(), checkpoint):
            seen = [instance for instance in frame.instances if instance.score >= CONFIDENCE]
            class_of |= {instance.track_id: names[instance.class_id] for instance in seen}
            listed = ", ".join(f"{names[i.class_id]} #{i.track_id} ({int(i.mask.sum())} pixels)" for i in seen)
            print(f"{float(frame.time):7.2f} s  {listed or 'nothing'}")
    print(dict(Counter(class_of.values())))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
