"""When a step lets queries visit other frames, and that it changes nothing else."""

import pytest
import torch
from test_train_step import Run, moving_squares, tiny_config

from qcen_core.training.train_step import train_step


def run_of(**loss):
    config = tiny_config()
    return Run(config.model_copy(update={"loss": config.loss.model_copy(update=loss)}))


def result_of(run, step=0, **arguments):
    batch = moving_squares("box")
    return train_step(run.fabric, run.model, run.optimizer, run.criterion, [batch], run.config, step, **arguments)


@pytest.mark.parametrize(
    ("loss", "for_log", "visits"),
    [
        ({"exchange": "decoder"}, False, True),
        ({"exchange": "decoder", "inter_weight": 0}, False, True),
        ({"exchange": "decoder", "intra_weight": 0}, False, True),
        ({"exchange": "decoder", "intra_weight": 0, "inter_weight": 0}, False, False),
        ({"exchange": "decoder", "intra_weight": 0, "inter_weight": 0}, True, True),
        ({"exchange": "decoder", "exchange_start": 4}, False, False),
        ({"exchange": "decoder", "exchange_start": 4}, True, True),
        ({"exchange": "mask"}, False, False),
        ({"exchange": "mask"}, True, False),
    ],
)
def test_queries_visit_where_a_term_or_the_log_asks_for_it(loss, for_log, visits):
    run = run_of(**loss)
    result = result_of(run, 3, exchange_for_log=for_log)
    assert (result.output.exchanged is not None) == visits
    if "exchange_start" not in loss:  # before it nothing teaches the contrast embeddings
        assert all(p.grad is not None for p in run.raw.parameters())
    taught = {"intra_class", "inter_class"} & set(result.terms)
    expected = {
        f"{name}_class"
        for name in ("intra", "inter")
        if loss["exchange"] == "decoder" and loss.get(f"{name}_weight", 1) and "exchange_start" not in loss
    }
    assert taught == expected


def test_visits_for_the_log_teach_nothing():
    weights = []
    for for_log in (False, True):
        run = run_of(exchange="decoder", exchange_start=4)
        result_of(run, 0, exchange_for_log=for_log)
        weights.append(list(run.raw.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


@pytest.mark.parametrize(
    ("level", "off", "names"),
    [
        ("box", "inter_weight", ("intra_class", "intra_projection")),
        ("mask+id", "inter_weight", ("intra_class", "intra_mask_dice")),
        ("box", "intra_weight", ("inter_class", "inter")),
    ],
)
def test_guests_learn(level, off, names):
    """Inside or across videos, not both: the two clips show the same squares, and a guest cannot tell them apart."""
    run = run_of(exchange="decoder", **{off: 0})
    batch = moving_squares(level)
    taken = [run.step(batch, step) for step in range(30)]
    for name in names:
        assert sum(terms[name] for terms in taken[-3:]) < 0.7 * sum(terms[name] for terms in taken[:3]), name
