"""Means between two rows: of terms a step, of figures a pair."""

import pytest
import torch

from qcen_core.method.diagnostics import Ratio
from qcen_core.training.log_window import LogWindow


def ratio(numerator, denominator):
    return Ratio(torch.tensor(numerator), torch.tensor(denominator))


def test_terms_are_averaged_over_the_steps_that_had_them_and_figures_over_what_they_count():
    window = LogWindow()
    window.busy, window.waited = 3.0, 1.0
    window.add({"class": torch.tensor(2.0)}, {"pair_precision": ratio(1, 1)}, frames=5)
    window.add({"class": torch.tensor(4.0), "inter": torch.tensor(7.0)}, {"pair_precision": ratio(2, 9)}, frames=7)
    losses, figures = window.close()
    assert losses == {"class": 3.0, "inter": 7.0}
    assert figures == {"frames_per_second": 3.0, "data_wait": 0.25, "pair_precision": pytest.approx(0.3)}


def test_a_figure_of_nothing_is_left_out_and_a_closed_window_starts_over():
    window = LogWindow()
    window.add({}, {"exchanged_iou": ratio(0.0, 0), "pair_recall": ratio(0, 3)}, frames=2)
    figures = window.close()[1]
    assert "exchanged_iou" not in figures
    assert figures["pair_recall"] == 0.0
    window.add({"class": torch.tensor(1.0)}, {}, frames=2)
    losses, figures = window.close()
    assert losses == {"class": 1.0}
    assert "pair_recall" not in figures
