from hypothesis import given
from hypothesis import strategies as st

from qcen_core.visualization.label_layout import place_labels

PICTURE = (211, 307)
boxes = st.tuples(st.floats(-20, 300), st.floats(-20, 200), st.floats(1, 200), st.floats(1, 150)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
sizes = st.tuples(st.integers(5, 23), st.integers(10, 97))


@given(st.lists(st.tuples(boxes, sizes), max_size=6))
def test_labels_stay_inside_and_keep_their_size(items):
    places = place_labels([box for box, _ in items], [size for _, size in items], PICTURE)
    for (left, top, right, bottom), (_, (height, width)) in zip(places, items, strict=True):
        assert 0 <= left <= right <= PICTURE[1]
        assert 0 <= top <= bottom <= PICTURE[0]
        assert (bottom - top, right - left) == (height, width)


def test_a_lone_label_sits_on_its_box():
    assert place_labels([(50, 60, 120, 160)], [(17, 41)], PICTURE) == [(50, 41, 91, 58)]


def test_labels_of_one_place_do_not_cover_each_other():
    places = place_labels([(50, 60, 150, 160)] * 6, [(17, 41)] * 6, PICTURE)
    covered = [(x, y) for left, top, right, bottom in places for x in range(left, right) for y in range(top, bottom)]
    assert len(covered) == len(set(covered)) == 6 * 17 * 41


def test_a_label_larger_than_the_picture_starts_at_its_border():
    assert place_labels([(3, 3, 5, 5)], [(300, 400)], PICTURE) == [(0, 0, 400, 300)]
