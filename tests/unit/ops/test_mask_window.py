"""Windows of masks against the full masks and pycocotools' own encoder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from qcen_core.ops import rle
from qcen_core.ops.mask_window import MaskWindow, decode_window, encode_window, window_of

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=13))


@given(MASKS)
def test_a_window_holds_the_mask_and_encodes_as_the_full_one(mask):
    window = window_of(mask)
    encoded = rle.encode(mask)
    assert (window is None) == (not mask.any())
    if window is None:
        assert decode_window(encoded) is None
        return
    np.testing.assert_array_equal(window.full(), mask)
    assert window.box == rle.bounding_box(encoded)
    assert encode_window(window) == encoded


@given(MASKS)
def test_run_lengths_come_back_as_the_tight_window(mask):
    window = decode_window(rle.encode(mask))
    if window is not None:
        np.testing.assert_array_equal(window.full(), mask)
        tight = window_of(mask)
        assert (window.left, window.top, window.pixels.shape) == (tight.left, tight.top, tight.pixels.shape)


@given(MASKS, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_a_loose_window_encodes_as_the_full_mask(mask, left, top, more):
    height, width = top + mask.shape[0] + more, left + mask.shape[1] + more
    full = np.zeros((height, width), dtype=np.bool_)
    full[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    assert encode_window(MaskWindow(mask, left, top, height, width)) == rle.encode(full)
    tight = window_of(mask, left, top, (height, width))
    if tight is not None:
        np.testing.assert_array_equal(tight.full(), full)


def test_run_lengths_that_do_not_fill_the_mask_are_refused():
    with pytest.raises(ValueError, match="do not fill a mask of 3 x 5"):
        decode_window({"size": [3, 5], "counts": "8"})
