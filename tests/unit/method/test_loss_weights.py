"""Schedules of the weights, and their sum."""

import pytest
import torch

from qcen_core.config import LossConfig
from qcen_core.method.criterion import TERM_NAMES, exchange_is_taught, loss_weights, total_loss, warmup_factor

CONFIG = LossConfig(
    pairwise_weight=5,
    pairwise_warmup=200,
    filled_box_weight=3,
    filled_box_steps=100,
    intra_weight=0.5,
    inter_weight=0.3,
    exchange_start=70,
)


@pytest.mark.parametrize(("step", "factor"), [(0, 0.0), (50, 0.25), (199, 0.995), (200, 1.0), (10_000, 1.0)])
def test_warmup_is_linear_and_stops_at_one(step, factor):
    assert warmup_factor(step, 200) == pytest.approx(factor)


def test_no_warmup_starts_at_one():
    assert warmup_factor(0, 0) == 1


@pytest.mark.parametrize("step", [0, 50, 69, 70, 100, 150, 200, 999])
def test_weights_of_a_step(step):
    weights = loss_weights(CONFIG, step)
    pairwise = 5 * min(1, step / 200)
    on = float(step >= 70)
    assert weights == pytest.approx(
        {
            "class": 2,
            "center": 1,
            "box_l1": 5,
            "box_giou": 2,
            "projection": 5,
            "pairwise": pairwise,
            "filled_box": 3 * max(0, 1 - step / 100),
            "mask_bce": 5,
            "mask_dice": 5,
            "contrast": on * 2,
            "contrast_auxiliary": on * 3,
            "intra_class": on * 0.5 * 2,
            "intra_box_l1": on * 0.5 * 5,
            "intra_box_giou": on * 0.5 * 2,
            "intra_projection": on * 0.5 * 5,
            "intra_pairwise": on * 0.5 * pairwise,
            "intra_mask_bce": on * 0.5 * 5,
            "intra_mask_dice": on * 0.5 * 5,
            "intra_consistency": on * 0.5 * 2,
            "inter": on * 0.3,
            "inter_class": on * 0.3 * 2,
        }
    )


def test_there_is_a_weight_for_every_term():
    assert tuple(loss_weights(CONFIG, 0)) == TERM_NAMES


@pytest.mark.parametrize(
    ("change", "off"),
    [
        ({"contrast_weight": 0, "contrast_auxiliary_weight": 0}, {"contrast", "contrast_auxiliary"}),
        ({"intra_weight": 0}, {name for name in TERM_NAMES if name.startswith("intra")}),
        ({"inter_weight": 0}, {"inter", "inter_class"}),
        ({"center_weight": 0}, {"center"}),
        (
            {"box_l1_weight": 0, "box_giou_weight": 0},
            {"box_l1", "box_giou", "intra_box_l1", "intra_box_giou"},
        ),
        ({"pairwise_weight": 0}, {"pairwise", "intra_pairwise"}),
    ],
)
def test_one_number_switches_one_row_of_the_ablation(change, off):
    weights = loss_weights(LossConfig(filled_box_weight=1, filled_box_steps=1000, **change), 500)
    assert {name for name, weight in weights.items() if weight == 0} == off


@pytest.mark.parametrize(
    ("change", "taught"),
    [
        ({}, True),
        ({"intra_weight": 0}, True),
        ({"inter_weight": 0}, True),
        ({"intra_weight": 0, "inter_weight": 0}, False),
        ({"exchange_start": 8}, False),
    ],
)
def test_exchange_is_taught_from_its_start_if_any_of_its_terms_is_on(change, taught):
    assert exchange_is_taught(loss_weights(LossConfig(**change), 7)) == taught


def test_total_is_the_weighted_sum():
    value = torch.tensor(3.0, requires_grad=True)
    total = total_loss({"class": value * 2, "inter": value}, {"class": 0.5, "inter": 10.0, "contrast": 7.0})
    assert total.item() == pytest.approx(33)
    total.backward()
    assert value.grad.item() == pytest.approx(11)
