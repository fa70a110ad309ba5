"""Which frames a strip shows, and how wide."""

import cv2
import numpy as np
import pytest

from qcen_core.records import Category, TrackDataset, VideoRecord
from qcen_core.visualization import result_strips
from qcen_core.visualization.contact_sheet import contact_sheet
from qcen_core.visualization.result_strips import comparison_strip

HEIGHT, WIDTH, FRAMES = 31, 53, 11


@pytest.fixture
def shown(monkeypatch):
    """The details of the thumbnails of each sheet that is laid out."""
    details = []

    def lay_out(thumbnails, **options):
        details.append([thumbnail.detail for thumbnail in thumbnails])
        return contact_sheet(thumbnails, **options)

    monkeypatch.setattr(result_strips, "contact_sheet", lay_out)
    return details


@pytest.mark.parametrize(
    ("unlabelled", "frames"),
    [((), (0, 3, 7, 10)), ({0, 1, 2, 4, 6, 7, 8, 9}, (3, 5, 10)), (range(FRAMES), (0, 3, 7, 10))],
)
def test_frames_that_can_be_compared_are_shown(tmp_path, shown, unlabelled, frames):
    files = tuple(f"{frame}.png" for frame in range(FRAMES))
    for file in files:
        cv2.imwrite(str(tmp_path / file), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    video = VideoRecord(1, "walk", HEIGHT, WIDTH, files, unlabelled=frozenset(unlabelled))
    truth = TrackDataset((Category(1, "dog"),), (video,), ())
    narrow, wide = (comparison_strip(video, truth, (), tmp_path, cell_width=width) for width in (160, 320))
    assert shown == [[f"frame {t}" for t in frames] * 2] * 2
    assert abs(wide.shape[1] - 2 * narrow.shape[1]) < 20
    assert narrow.shape[1] > 160 * len(frames)
