import numpy as np

from qcen_core.visualization.layers import Layer, lay_over
from qcen_core.visualization.lettering import chip_size, text_chip


def test_a_layer_keeps_and_adds_and_is_cut_at_the_border():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (17, 23, 3), dtype=np.uint8)
    keep = rng.integers(0, 256, (11, 13, 3), dtype=np.uint8)
    add = (rng.random((11, 13, 3)) * (255 - keep)).astype(np.uint8)
    for left, top in ((3, 5), (-4, -6), (18, 12), (40, 40), (-30, 2)):
        drawn = image.copy()
        lay_over(drawn, Layer(keep, add), left, top)
        expected = image.astype(float)
        for y in range(11):
            for x in range(13):
                if 0 <= top + y < 17 and 0 <= left + x < 23:
                    expected[top + y, left + x] = image[top + y, left + x] * (keep[y, x] / 255.0) + add[y, x]
        assert np.abs(drawn - expected).max() <= 0.5 + 1e-6


def test_a_layer_that_keeps_all_changes_nothing():
    image = np.arange(256 * 3, dtype=np.int64).reshape(16, 16, 3).astype(np.uint8)
    drawn = image.copy()
    lay_over(drawn, Layer(np.full_like(image, 255), np.zeros_like(image)), 0, 0)
    np.testing.assert_array_equal(drawn, image)


def test_a_chip_is_as_wide_as_announced_whatever_its_digits():
    sizes = {chip_size(f"dog #1  0.{digits}", 21) for digits in ("11", "00", "87", "48")}
    assert len(sizes) == 1
    assert text_chip("dog #1  0.11", 21, (250, 220, 40)).keep.shape[:2] == sizes.pop()


def test_a_chip_is_opaque_but_for_its_corners():
    chip = text_chip("dog #1  0.87", 21, (250, 220, 40))
    assert (chip.keep[0, 0] > 150).all()
    assert (chip.keep[5:-5, 3:-3] < 20).all()
    assert np.abs(chip.add[15, 3].astype(float) - np.array((250, 220, 40)) * 0.94).max() <= 1
    assert chip.add.max(2)[8:-8, 8:-8].min() < 40
