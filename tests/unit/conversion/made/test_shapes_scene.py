import colorsys
from dataclasses import replace

import numpy as np
import pytest

from qcen_core.conversion.made.shapes_render import owner_map
from qcen_core.conversion.made.shapes_scene import CATEGORY_HUES, CATEGORY_NAMES, HUE_BAND, LEVELS, draw_shapes

SIZE = (61, 101)
ASPECT = SIZE[1] / SIZE[0]


def scenes(level, count):
    return [draw_shapes(level, np.random.default_rng([7, i]), ASPECT) for i in range(count)]


def test_hue_bands_do_not_touch():
    for i, hue in enumerate(CATEGORY_HUES):
        for other in CATEGORY_HUES[i + 1 :]:
            gap = abs((hue - other + 180) % 360 - 180)
            assert gap > 2 * HUE_BAND + 10


def test_colours_lie_in_the_band_of_their_category():
    for scene in scenes(LEVELS["hard"], 30):
        for item in scene.objects:
            for colour in (item.look.colour, item.look.second_colour):
                hue = 360 * colorsys.rgb_to_hsv(*colour)[0]
                distance = abs((hue - CATEGORY_HUES[item.look.class_id] + 180) % 360 - 180)
                assert distance <= HUE_BAND + 1e-6


@pytest.mark.parametrize("name", list(LEVELS))
def test_number_of_objects(name):
    fewest, most = LEVELS[name].objects
    counts = {len(scene.objects) for scene in scenes(LEVELS[name], 60)}
    assert counts == set(range(fewest, most + 1))


def test_twins_share_their_whole_look_and_strangers_differ():
    level = replace(LEVELS["standard"], objects=(3, 5))
    for scene in scenes(replace(level, twin_share=1.0), 10):
        assert len({item.look for item in scene.objects}) == 1
    for scene in scenes(replace(level, twin_share=0.0), 10):
        assert len({item.look.class_id for item in scene.objects}) == len(scene.objects)
    assert len(CATEGORY_NAMES) >= level.objects[1]


def visible(scene, times):
    """(times, objects) number of pixels that each object shows."""
    owners = [owner_map(scene, time, SIZE) for time in times]
    return np.array([[np.count_nonzero(owner == i) for i in range(len(scene.objects))] for owner in owners])


def test_objects_that_leave_come_back():
    level = replace(LEVELS["easy"], leaving=1.0, occlusion=0.0, objects=(1, 1))
    for scene in scenes(level, 25):
        seen = visible(scene, np.arange(0.0, 60.0))[:, 0] > 0
        away = np.flatnonzero(~seen)
        assert away.size > 0
        assert seen[: away[0]].any() or seen[away[0] :].any()
        assert seen[away[-1] :].any() or away[-1] == 59
        assert 0.3 < seen.mean() < 0.95


def test_some_leave_and_come_back_within_a_clip():
    level = LEVELS["standard"]
    times = np.arange(12) * level.frame_stride
    returns = 0
    for scene in scenes(level, 60):
        for column in visible(scene, times).T >= 12:
            first_to_last = column[column.argmax() : len(column) - column[::-1].argmax()]
            returns += bool(column.any() and not first_to_last.all())
    assert returns >= 10


def test_paths_cross_when_asked_to():
    def hidden_share(occlusion):
        level = replace(LEVELS["standard"], leaving=0.0, occlusion=occlusion)
        hidden = total = 0
        for scene in scenes(level, 40):
            for time in np.arange(0.0, 12.0, 2.0):
                together = visible(scene, [time])[0]
                alone = [visible(replace(scene, objects=(item,)), [time])[0, 0] for item in scene.objects]
                hidden += sum(alone) - together.sum()
                total += sum(alone)
        return hidden / total

    never, always = hidden_share(0.0), hidden_share(1.0)
    assert always > 0.08
    assert always > 2 * never


def test_motion_is_smooth_and_stays_near_for_ever():
    for scene in scenes(LEVELS["hard"], 20):
        for item in scene.objects:
            poses = [item.motion.pose(time) for time in np.arange(0, 500, 0.25)]
            path = np.array([(pose.x, pose.y) for pose in poses])
            assert np.abs(np.diff(path, axis=0)).max() < 0.06
            assert (path > -1.5).all()
            assert (path < np.array([ASPECT, 1.0]) + 1.5).all()
