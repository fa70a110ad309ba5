"""Which clips a step sees: nothing but arithmetic, so that it can be checked as a whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcen_core.data.clip_sampling import draws_of_step, sample_clip
from qcen_core.data.loader import StepSampler


@pytest.mark.parametrize(("videos", "clips", "world"), [(7, 3, 1), (5, 2, 3), (2, 5, 1), (1, 2, 2), (13, 1, 2)])
def test_every_epoch_visits_every_video_once(videos, clips, world):
    steps = 3 * videos
    order = [
        draw.video
        for step in range(steps)
        for rank in range(world)
        for draw in draws_of_step(step, videos=videos, clips=clips, seed=11, rank=rank, world=world)
    ]
    assert len(order) == steps * world * clips
    for start in range(0, len(order) - videos + 1, videos):
        assert sorted(order[start : start + videos]) == list(range(videos))


def test_processes_and_steps_share_no_draw():
    draws = [
        draw
        for step in range(17)
        for rank in range(3)
        for draw in draws_of_step(step, videos=101, clips=2, seed=5, rank=rank, world=3)
    ]
    assert len({draw.seed for draw in draws}) == len(draws)
    assert len({draw.video for draw in draws[:101]}) == 101


def test_a_step_is_the_same_whatever_came_before():
    arguments = {"videos": 7, "clips": 3, "seed": 2, "rank": 1, "world": 2}
    alone = draws_of_step(13, **arguments)
    np.random.default_rng().random()
    whole = list(StepSampler(0, 17, **arguments))
    resumed = list(StepSampler(13, 17, **arguments))
    assert whole[13] == alone == resumed[0]
    assert whole[13:] == resumed
    assert len(StepSampler(13, 17, **arguments)) == 4


def test_epochs_and_seeds_differ():
    def order(seed, epoch):
        return [draw.video for draw in draws_of_step(epoch, videos=31, clips=31, seed=seed)]

    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


@given(
    frames=st.sets(st.integers(0, 60), min_size=1, max_size=20),
    length=st.integers(1, 6),
    reach=st.integers(1, 12),
    seed=st.integers(0, 10**6),
)
def test_sample_clip(frames, length, reach, seed):
    candidates = sorted(frames)
    clip = sample_clip(candidates, length, reach, np.random.default_rng(seed))
    assert len(clip) == length
    assert list(clip) == sorted(clip)
    assert set(clip) <= frames
    # One of them is the first one drawn: no other is further from it than `reach`.
    centres = [frame for frame in set(clip) if all(abs(frame - other) <= reach for other in clip)]
    assert centres
    # They repeat only where too few are in reach of the first one.
    distinct = len(set(clip))
    assert distinct == length or any(
        sum(abs(frame - other) <= reach for other in candidates) == distinct for frame in centres
    )
    assert clip == sample_clip(candidates, length, reach, np.random.default_rng(seed))


def test_a_video_of_one_frame_fills_a_clip():
    assert sample_clip([7], 3, 5, np.random.default_rng(0)) == (7, 7, 7)


def test_every_frame_and_every_partner_in_reach_is_drawn():
    candidates = [0, 2, 3, 9, 11]
    drawn = {sample_clip(candidates, 2, 3, np.random.default_rng(seed)) for seed in range(300)}
    assert drawn == {(0, 2), (0, 3), (2, 3), (9, 11)}
