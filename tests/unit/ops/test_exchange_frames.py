"""Who visits whom, counted out on a table of clips."""

import pytest
import torch

from qcen_core.ops.exchange import inter_source, inter_target, intra_source, intra_target


@pytest.mark.parametrize(("clips", "clip_frames"), [(1, 2), (3, 2), (2, 5), (5, 3), (2, 1)])
def test_frames_exchange_with_the_next_one(clips, clip_frames):
    count = clips * clip_frames
    table = torch.arange(count).view(clips, clip_frames).tolist()
    for clip in range(clips):
        for time in range(clip_frames):
            frame = torch.tensor(table[clip][time])
            next_frame, next_clip = table[clip][(time + 1) % clip_frames], table[(clip + 1) % clips][time]
            assert intra_source(frame, clip_frames) == next_frame
            assert intra_target(torch.tensor(next_frame), clip_frames) == frame
            assert inter_source(frame, clip_frames, count) == next_clip
            assert inter_target(torch.tensor(next_clip), clip_frames, count) == frame


def test_a_whole_batch_at_once():
    frames = torch.arange(6).view(2, 3)
    assert intra_source(frames, 3).tolist() == [[1, 2, 0], [4, 5, 3]]
    assert inter_target(frames, 3, 6).tolist() == [[3, 4, 5], [0, 1, 2]]
