import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcen_core.visualization.palette import hex_color, relative_luminance, text_color, track_color

# Machado, Oliveira and Fernandes 2009, full severity, on linear RGB.
EYES = {
    "normal": np.eye(3),
    "red-blind": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "green-blind": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "blue-blind": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_LMS = np.array(
    [[0.41222147, 0.53633254, 0.05144599], [0.2119035, 0.68069955, 0.10739696], [0.08830246, 0.28171884, 0.6299787]]
)
TO_LAB = np.array(
    [[0.21045426, 0.79361779, -0.00407205], [1.9779985, -2.42859221, 0.45059371], [0.02590404, 0.78277177, -0.80867577]]
)


def lab_seen_by(color: tuple[int, int, int], eye: np.ndarray) -> np.ndarray:
    """OKLab of a colour as an eye sees it, after Ottosson."""
    value = np.array(color) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    seen = np.clip(eye @ linear, 0, 1)
    return TO_LAB @ np.cbrt(TO_LMS @ seen)


def least_distance(count: int, eye: np.ndarray) -> float:
    labs = [lab_seen_by(track_color(track), eye) for track in range(1, count + 1)]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(labs, 2))


# About 0.02 in OKLab is the smallest difference that is seen side by side.
@pytest.mark.parametrize(
    ("eye", "least"), [("normal", 0.2), ("red-blind", 0.13), ("green-blind", 0.13), ("blue-blind", 0.13)]
)
def test_first_eight_colours_are_told_apart(eye, least):
    assert least_distance(8, EYES[eye]) > least


@pytest.mark.parametrize("eye", list(EYES))
def test_first_sixteen_colours_differ(eye):
    assert least_distance(16, EYES[eye]) > 0.07


@given(st.integers(-5, 10**9))
def test_any_id_has_a_stable_colour_that_is_not_grey(track):
    color = track_color(track)
    assert color == track_color(track)
    assert all(0 <= value <= 255 for value in color)
    assert max(color) - min(color) > 40


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_text_is_legible_on_any_colour(color):
    luminance, text = relative_luminance(color), relative_luminance(text_color(color))
    contrast = (max(luminance, text) + 0.05) / (min(luminance, text) + 0.05)
    assert contrast > 4.1


def test_known_luminances():
    assert relative_luminance((255, 255, 255)) == pytest.approx(1)
    assert relative_luminance((0, 0, 0)) == 0
    assert relative_luminance((0, 255, 0)) == pytest.approx(0.7152)
    assert hex_color((0, 128, 255)) == "#0080ff"
