"""Which terms the criterion computes at which level, and what they teach."""

import math

import pytest
import torch
from synthetic_batches import ALL_ON, COUNTS, LOSS, leaves, make_batch, make_output, only, terms_of, values

from qcen_core.method.criterion import TERM_NAMES, total_loss
from qcen_core.method.exchange_terms import clips_of_other_videos

MASK_TERMS = {"mask_bce", "mask_dice", "intra_mask_bce", "intra_mask_dice"}
BOX_TERMS = {"projection", "pairwise", "filled_box", "intra_projection", "intra_pairwise", "temporal", "teacher"}
LOCATED_TERMS = {"center", "box_l1", "box_giou"}


@pytest.mark.parametrize("strong", ["", "id", "mask", "mask+id"])
@pytest.mark.parametrize("name", TERM_NAMES)
def test_a_term_appears_exactly_if_its_weight_is_not_zero(name, strong):
    other_level = BOX_TERMS if "mask" in strong else MASK_TERMS
    output, batch = make_output(located=True), make_batch(strong=strong)
    assert set(terms_of(output, batch, only(name))) == {name} - other_level
    assert set(terms_of(output, batch, ALL_ON | {name: 0.0})) == set(TERM_NAMES) - other_level - {name}


def test_learned_queries_owe_no_place():
    terms = terms_of(make_output(), make_batch())
    assert set(terms) == set(TERM_NAMES) - MASK_TERMS - LOCATED_TERMS


def test_a_term_has_the_same_value_alone_and_among_the_others():
    output, batch = make_output(located=True), make_batch()
    together = values(terms_of(output, batch))
    for name, value in together.items():
        assert terms_of(output, batch, only(name))[name].item() == pytest.approx(value)


def test_single_frames_have_no_pairs():
    output = make_output(3)
    batch = make_batch((2, 1, 3), clip_frames=1)
    found = set(terms_of(output, batch))
    assert found == {"class", "projection", "pairwise", "filled_box", "inter", "teacher"}


def test_one_clip_alone_has_no_other_video():
    assert "inter" not in terms_of(make_output(2), make_batch((2, 1)))


def test_clips_of_one_video_are_not_background_for_each_other():
    output = make_output()
    assert "inter" not in terms_of(output, make_batch(sources=("a", "a", "a")))
    assert clips_of_other_videos(("a",)) is None
    assert clips_of_other_videos(("a", "a")) is None
    assert clips_of_other_videos(("a", "b", "c")) == [1, 2, 0]
    assert clips_of_other_videos(("a", "a", "b")) == [2, 2, 0]
    assert clips_of_other_videos(("a", "b", "a", "a")) == [1, 2, 1, 1]
    assert math.isfinite(terms_of(output, make_batch(sources=("a", "b", "a")))["inter"].item())


def test_identities_change_pairs_and_nothing_else():
    output = make_output()
    box, known = (values(terms_of(output, make_batch(strong=strong))) for strong in ("", "id"))
    set_terms = ("class", "projection", "pairwise", "filled_box", "inter")
    assert {name: known[name] for name in set_terms} == {name: box[name] for name in set_terms}
    assert known["contrast"] != box["contrast"]


def test_frames_without_labels_at_the_mask_level():
    assert 0 in COUNTS
    assert all(math.isfinite(v) for v in values(terms_of(make_output(), make_batch(strong="mask+id"))).values())


def test_counts_are_averaged_over_ranks():
    output, batch = make_output(located=True), make_batch()
    alone = values(terms_of(output, batch))
    doubled = values(terms_of(output, batch, mean_over_ranks=lambda value: 2 * value))
    assert doubled.pop("class") == pytest.approx(alone.pop("class"))
    assert doubled == pytest.approx({name: value / 2 for name, value in alone.items()})


@pytest.mark.parametrize("upsampling", [1, 2])
@pytest.mark.parametrize("strong", ["", "id", "mask", "mask+id"])
def test_a_batch_without_labels_has_a_finite_loss_and_no_missing_gradient(strong, upsampling):
    output, batch = make_output(4, located=True), make_batch((0, 0, 0, 0), strong=strong)
    terms = terms_of(output, batch, loss=LOSS.model_copy(update={"mask_upsampling": upsampling}))
    loss = total_loss(terms, ALL_ON)
    assert loss.item() == pytest.approx(terms["class"].item() + terms["center"].item())
    loss.backward()
    for name, leaf in leaves(output).items():
        assert leaf.grad is not None, name
        assert bool(leaf.grad.any()) == name.startswith(("class", "center"))


def test_every_prediction_learns():
    output = make_output(located=True)
    total_loss(terms_of(output, make_batch()), ALL_ON).backward()
    for name, leaf in leaves(output).items():
        assert leaf.grad.any(), name
        assert torch.isfinite(leaf.grad).all()


def test_consistency_teaches_the_exchanged_mask_and_not_the_own_one():
    output = make_output()
    terms_of(output, make_batch(), only("intra_consistency"))["intra_consistency"].backward()
    assert all(layer.mask_logits.grad is None for layer in output.layers)
    assert output.mask_embeddings.grad.any()
    assert output.mask_features.grad.any()


def test_huge_predictions_give_finite_terms_and_gradients():
    output = make_output(scale=1e4, located=True)
    output = output._replace(
        mask_embeddings=make_output(seed=1).mask_embeddings, contrast_embeddings=make_output(seed=1).contrast_embeddings
    )
    terms = terms_of(output, make_batch())
    assert all(math.isfinite(value) for value in values(terms).values())
    total_loss(terms, ALL_ON).backward()
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves(output).values())
