"""Overlap of masks and of boxes against pixels counted in numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qcen_core.evaluation import tube_iou as measures
from qcen_core.evaluation.tube_iou import (
    Overlap,
    box_table,
    counts_of,
    frame_iou,
    mask_overlap,
    mean_areas,
    measure_tracks,
    overlap_of_tracks,
    tube_iou,
)
from qcen_core.ops import rle

FRAMES, RESULTS, TRUTHS, HEIGHT, WIDTH = 3, 2, 4, 5, 7

tubes = st.tuples(arrays(np.bool_, (RESULTS, FRAMES, HEIGHT, WIDTH)), arrays(np.bool_, (TRUTHS, FRAMES, HEIGHT, WIDTH)))


def box_overlap(results, truths, frames):
    return measures.box_overlap(box_table(results, frames), box_table(truths, frames))


def encoded(tracks, drop_empty):
    return [[rle.encode(mask) if mask.any() or not drop_empty else None for mask in track] for track in tracks]


@given(tubes, st.booleans())
def test_masks_overlap_by_their_pixels(pair, drop_empty):
    results, truths = pair
    overlap = mask_overlap(encoded(results, drop_empty), encoded(truths, drop_empty), FRAMES)
    for frame in range(FRAMES):
        for d in range(RESULTS):
            assert overlap.result_areas[frame, d] == results[d, frame].sum()
            for g in range(TRUTHS):
                a, b = results[d, frame], truths[g, frame]
                assert overlap.truth_areas[frame, g] == b.sum()
                assert overlap.intersections[frame, d, g] == (a & b).sum()
                assert frame_iou(overlap)[frame, d, g] == ((a & b).sum() / (a | b).sum() if (a | b).any() else 0)
    for d in range(RESULTS):
        for g in range(TRUTHS):
            union = (results[d] | truths[g]).sum()
            assert tube_iou(overlap)[d, g] == ((results[d] & truths[g]).sum() / union if union else 0)


corner = st.integers(0, 5)
boxes = st.none() | st.tuples(corner, corner, st.integers(6, 9), st.integers(6, 11)).map(
    lambda b: tuple(float(v) for v in b)
)
box_tracks = st.lists(st.lists(boxes, min_size=FRAMES, max_size=FRAMES), max_size=3)


@given(box_tracks, box_tracks)
def test_boxes_on_the_grid_overlap_as_their_masks_do(results, truths):
    def filled(box):
        if box is None:
            return None
        x1, y1, x2, y2 = (int(v) for v in box)
        mask = np.zeros((11, 13), dtype=bool)
        mask[y1:y2, x1:x2] = True
        return rle.encode(mask)

    found = box_overlap(results, truths, FRAMES)
    expected = mask_overlap(
        [[filled(b) for b in track] for track in results], [[filled(b) for b in track] for track in truths], FRAMES
    )
    np.testing.assert_array_equal(found.intersections, expected.intersections)
    np.testing.assert_array_equal(found.result_areas, expected.result_areas)
    np.testing.assert_array_equal(found.truth_areas, expected.truth_areas)


def test_an_absent_side_adds_the_other_to_the_union():
    box = (0.0, 0.0, 3.0, 5.0)
    overlap = box_overlap([[box, None, None]], [[box, box, None]], 3)
    assert tube_iou(overlap).tolist() == [[0.5]]
    assert frame_iou(overlap)[:, 0, 0].tolist() == [1, 0, 0]


def test_mean_areas_leave_out_absent_frames():
    areas = np.array([[4.0, 0, 0], [0, 0, 7], [8, 0, 0]])
    assert mean_areas(areas).tolist() == [6, 0, 7]


def test_unequal_frame_counts_are_refused():
    with pytest.raises(ValueError, match="3 frames"):
        mask_overlap([[None, None]], [], 3)
    with pytest.raises(ValueError, match="3 frames"):
        box_overlap([], [[None] * 4], 3)
    with pytest.raises(ValueError, match="must be"):
        Overlap(np.zeros((2, 3, 5)), np.zeros((2, 5)), np.zeros((2, 3)))


@given(tubes, arrays(np.bool_, (RESULTS, TRUTHS)))
def test_pairs_that_are_asked_for_are_measured_as_all_of_them(pair, wanted):
    results, truths = (encoded(side, drop_empty=True) for side in pair)
    size = (HEIGHT, WIDTH)
    found = measure_tracks(counts_of(results), FRAMES, size)
    true = measure_tracks(counts_of(truths), FRAMES, size)
    part, whole = overlap_of_tracks(found, true, wanted), mask_overlap(results, truths, FRAMES)
    np.testing.assert_array_equal(part.intersections[:, wanted], whole.intersections[:, wanted])
    np.testing.assert_array_equal(part.result_areas, whole.result_areas)
    for frame, track in np.ndindex(FRAMES, RESULTS):
        mask, box = results[track][frame], found.boxes[frame, track]
        assert tuple(box) == (rle.bounding_box(mask) if mask else (0, 0, 0, 0))


def test_a_result_counts_as_far_as_it_is_listed():
    overlap = Overlap(np.array([[[4.0]], [[0]], [[0]]]), np.array([[4.0], [0], [0]]), np.array([[4.0], [4], [8]]))
    for listed, expected in ((1, 1), (2, 0.5), (3, 0.25), (5, 0.25)):
        assert tube_iou(overlap, np.array([listed])).tolist() == [[expected]]
    assert tube_iou(overlap).tolist() == [[0.25]]


def test_damaged_masks_and_masks_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="damaged"):
        measure_tracks([["04"]], 1, (HEIGHT, WIDTH))
    masks = [rle.encode(np.ones(shape, dtype=bool)) for shape in ((3, 5), (5, 3))]
    with pytest.raises(ValueError, match="different sizes"):
        mask_overlap([masks], [], 2)
