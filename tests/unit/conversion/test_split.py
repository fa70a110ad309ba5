import hashlib

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qcen_core.conversion.split import choose_holdout, hash_names

VIDEOS = st.lists(st.frozensets(st.integers(0, 6), max_size=3), max_size=40)


def names_of(classes):
    return [f"video {i}" for i in range(len(classes))]


def counts(classes, indices):
    return {c: sum(c in classes[i] for i in indices) for c in range(7)}


@settings(max_examples=200)
@given(classes=VIDEOS, share=st.floats(0, 1), seed=st.integers(0, 5))
def test_size_and_what_is_left_to_train_on(classes, share, seed):
    held = choose_holdout(names_of(classes), classes, share, seed)
    assert list(held) == sorted(set(held))
    wanted = 0 if share == 0 else min(max(1, round(share * len(classes))), max(len(classes) - 1, 0))
    assert len(held) <= wanted
    if wanted:
        assert held
        assert len(held) < len(classes)
    left = set(range(len(classes))) - set(held)
    everything, training = counts(classes, range(len(classes))), counts(classes, left)
    assert all(training[c] >= 1 for c in everything if everything[c] >= 2) or len(held) == 1


@settings(max_examples=100)
@given(classes=VIDEOS, seed=st.integers(0, 5), shuffled=st.randoms(use_true_random=False))
def test_order_of_the_videos_plays_no_part(classes, seed, shuffled):
    names = names_of(classes)
    held = {names[i] for i in choose_holdout(names, classes, 0.3, seed)}
    order = list(range(len(names)))
    shuffled.shuffle(order)
    again = choose_holdout([names[i] for i in order], [classes[i] for i in order], 0.3, seed)
    assert {names[order[i]] for i in again} == held


@settings(max_examples=60)
@given(data=st.data())
def test_no_category_with_two_videos_is_lost_where_it_can_be_avoided(data):
    # Each category has three videos of its own: it is always avoidable.
    classes = [frozenset({c}) for c in range(5) for _ in range(3)]
    share = data.draw(st.floats(0.01, 1))
    held = choose_holdout(names_of(classes), classes, share, data.draw(st.integers(0, 9)))
    training = counts(classes, set(range(15)) - set(held))
    assert min(training[c] for c in range(5)) >= 1
    assert len(held) == min(max(1, round(share * 15)), 10)


def test_categories_are_held_out_in_about_the_same_share():
    classes = [frozenset({0})] * 60 + [frozenset({1})] * 30 + [frozenset({0, 2})] * 10
    held = choose_holdout(names_of(classes), classes, 0.2, 3)
    assert len(held) == 20
    found = counts(classes, held)
    assert abs(found[0] - 14) <= 1
    assert abs(found[1] - 6) <= 1
    assert abs(found[2] - 2) <= 1


def test_only_videos_of_lonely_categories():
    classes = [frozenset({0}), frozenset({1}), frozenset({2})]
    assert len(choose_holdout(names_of(classes), classes, 0.5, 0)) == 1


@given(seed=st.integers(0, 50))
def test_seeds_choose_differently(seed):
    classes = [frozenset({0})] * 40
    first, second = (choose_holdout(names_of(classes), classes, 0.25, s) for s in (seed, seed + 1))
    assume(seed >= 0)
    assert first != second


def test_hash_is_that_of_the_sorted_names():
    assert hash_names(["b", "a"]) == hashlib.sha256(b"a\nb").hexdigest()
    assert hash_names([]) == ""


def test_a_hash_tells_what_is_behind_the_names():
    assert hash_names(["b", "a"]) == hash_names(["a", "b"]) != hash_names(["a", "b"], "seed 1")
    assert hash_names(["a"], "seed 1") != hash_names(["a"], "seed 2")
    assert hash_names([], "seed 1") == ""
