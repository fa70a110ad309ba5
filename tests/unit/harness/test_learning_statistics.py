import pytest

from benchmarks.learning_statistics import difference, over_seeds, ratio


def test_mean_and_sample_deviation():
    cell = over_seeds({0: 2.0, 1: 4.0, 2: 9.0})
    assert (cell.mean, cell.seeds) == (5.0, 3)
    assert cell.spread == pytest.approx(13**0.5)  # squares 9, 1, 16 over two


def test_one_seed_has_no_spread_and_none_no_cell():
    assert over_seeds({4: 7.0}).spread is None
    assert over_seeds({}) is None


def test_a_difference_pairs_the_seeds():
    cell = difference({0: 10.0, 1: 20.0, 2: 30.0, 5: 99.0}, {0: 9.0, 1: 17.0, 2: 28.0, 7: 0.0})
    assert (cell.mean, cell.seeds) == (2.0, 3)
    assert cell.spread == pytest.approx(1.0)  # differences 1, 3, 2


def test_a_ratio_is_that_of_the_means_with_the_spread_of_the_seeds():
    cell = ratio({0: 20.0, 1: 60.0, 3: 1.0}, {0: 40.0, 1: 50.0, 2: 1000.0})
    assert cell.mean == pytest.approx(80 / 90)
    assert cell.spread == pytest.approx(abs(0.5 - 1.2) / 2**0.5)
    assert cell.seeds == 2


def test_no_ratio_without_a_common_seed_or_to_nothing():
    assert ratio({0: 1.0}, {1: 1.0}) is None
    assert ratio({0: 1.0, 1: 1.0}, {0: 0.0, 1: 1.0}) is None
