"""Which terms the criterion computes at which level, and what they teach."""

import math

import pytest
import torch
from synthetic_batches import ALL_ON, COUNTS, leaves, make_batch, make_output, only, terms_of, values

from qcen_core.method.criterion import TERM_NAMES, total_loss
from qcen_core.method.exchange_terms import clips_of_other_videos
from qcen_core.ops.ranks import Ranks

MASK_TERMS = {"mask_bce", "mask_dice", "intra_mask_bce", "intra_mask_dice"}
BOX_TERMS = {"projection", "pairwise", "filled_box", "intra_projection", "intra_pairwise"}
LOCATED_TERMS = {"center", "box_l1", "box_giou", "intra_box_l1", "intra_box_giou"}
GUEST_TERMS = {"intra_class", "intra_box_l1", "intra_box_giou", "inter_class"}


@pytest.mark.parametrize("strong", ["", "id", "mask", "mask+id"])
@pytest.mark.parametrize("name", TERM_NAMES)
@pytest.mark.parametrize("guests", [False, True])
def test_a_term_appears_exactly_if_its_weight_is_not_zero(name, strong, guests):
    missing = BOX_TERMS if "mask" in strong else MASK_TERMS
    missing = missing if guests else missing | GUEST_TERMS
    output, batch = make_output(located=True, guests=guests), make_batch(strong=strong)
    assert set(terms_of(output, batch, only(name))) == {name} - missing
    assert set(terms_of(output, batch, ALL_ON | {name: 0.0})) == set(TERM_NAMES) - missing - {name}


def test_learned_queries_owe_no_place():
    terms = terms_of(make_output(), make_batch())
    assert set(terms) == set(TERM_NAMES) - MASK_TERMS - LOCATED_TERMS - GUEST_TERMS
    terms = terms_of(make_output(guests=True), make_batch())
    assert set(terms) == set(TERM_NAMES) - MASK_TERMS - LOCATED_TERMS


@pytest.mark.parametrize("guests", [False, True])
def test_a_term_has_the_same_value_alone_and_among_the_others(guests):
    output, batch = make_output(located=True, guests=guests), make_batch()
    together = values(terms_of(output, batch))
    for name, value in together.items():
        assert terms_of(output, batch, only(name))[name].item() == pytest.approx(value)


def test_single_frames_have_no_pairs():
    output = make_output(3)
    batch = make_batch((2, 1, 3), clip_frames=1)
    found = set(terms_of(output, batch))
    assert found == {"class", "projection", "pairwise", "filled_box", "inter"}


def test_one_clip_alone_has_no_other_video():
    assert "inter" not in terms_of(make_output(2), make_batch((2, 1)))


@pytest.mark.parametrize("guests", [False, True])
def test_clips_of_one_video_are_not_background_for_each_other(guests):
    output = make_output(guests=guests)
    assert not {"inter", "inter_class"} & set(terms_of(output, make_batch(sources=("a", "a", "a"))))
    assert clips_of_other_videos(("a",)) is None
    assert clips_of_other_videos(("a", "a")) is None
    assert clips_of_other_videos(("a", "b", "c")) == [1, 2, 0]
    assert clips_of_other_videos(("a", "a", "b")) == [2, 2, 0]
    assert clips_of_other_videos(("a", "b", "a", "a")) == [1, 2, 1, 1]
    assert math.isfinite(terms_of(output, make_batch(sources=("a", "b", "a")))["inter"].item())


@pytest.mark.parametrize("guests", [False, True])
def test_identities_change_pairs_and_nothing_else(guests):
    output = make_output(guests=guests)
    box, known = (values(terms_of(output, make_batch(strong=strong))) for strong in ("", "id"))
    set_terms = ["class", "projection", "pairwise", "filled_box", "inter", "inter_class"][: 5 + guests]
    assert {name: known[name] for name in set_terms} == {name: box[name] for name in set_terms}
    assert known["contrast"] != box["contrast"]


def test_frames_without_labels_at_the_mask_level():
    assert 0 in COUNTS
    for guests in (False, True):
        terms = terms_of(make_output(guests=guests), make_batch(strong="mask+id"))
        assert all(math.isfinite(v) for v in values(terms).values())


class TwiceAsMany(Ranks):
    """The mean over ranks of every count is twice that of this one."""

    def mean(self, values):
        return 2 * values


def test_counts_are_averaged_over_ranks():
    output, batch = make_output(located=True, guests=True), make_batch()
    alone = values(terms_of(output, batch))
    doubled = values(terms_of(output, batch, ranks=TwiceAsMany()))
    assert doubled == pytest.approx({name: value / 2 for name, value in alone.items()})


@pytest.mark.parametrize("guests", [False, True])
@pytest.mark.parametrize("strong", ["", "id", "mask", "mask+id"])
def test_a_batch_without_labels_has_a_finite_loss_and_no_missing_gradient(strong, guests):
    output, batch = make_output(4, located=True, guests=guests), make_batch((0, 0, 0, 0), strong=strong)
    terms = terms_of(output, batch)
    loss = total_loss(terms, ALL_ON)
    assert loss.item() == pytest.approx(terms["class"].item() + terms["center"].item())
    loss.backward()
    for name, leaf in leaves(output).items() - untaught(output):
        assert leaf.grad is not None, name
        assert bool(leaf.grad.any()) == name.startswith(("class", "center"))


def untaught(output):
    """What no term looks at: guests that have not yet seen the frame, and where guests are taught, drawn masks.

    The made up guests come from nowhere; those of a model pass their gradients on to its embeddings.
    """
    named = leaves(output)
    if output.exchanged is None:
        return set()
    first = {name for name in named if name.startswith("int") and name.endswith("0")}
    boxes = {name for name in named if name.startswith("inter box")}
    return {(name, named[name]) for name in first | boxes | {"mask_embeddings", "mask_features"}}


@pytest.mark.parametrize("guests", [False, True])
def test_every_prediction_learns(guests):
    output = make_output(located=True, guests=guests)
    total_loss(terms_of(output, make_batch()), ALL_ON).backward()
    for name, leaf in leaves(output).items() - untaught(output):
        assert leaf.grad.any(), name
        assert torch.isfinite(leaf.grad).all()
    assert all(leaf.grad is None for _, leaf in untaught(output))


def test_consistency_teaches_the_exchanged_mask_and_not_the_own_one():
    output = make_output()
    terms_of(output, make_batch(), only("intra_consistency"))["intra_consistency"].backward()
    assert all(layer.mask_logits.grad is None for layer in output.layers)
    assert output.mask_embeddings.grad.any()
    assert output.mask_features.grad.any()


@pytest.mark.parametrize("guests", [False, True])
def test_huge_predictions_give_finite_terms_and_gradients(guests):
    output = make_output(scale=1e4, located=True, guests=guests)
    output = output._replace(
        mask_embeddings=make_output(seed=1).mask_embeddings, contrast_embeddings=make_output(seed=1).contrast_embeddings
    )
    terms = terms_of(output, make_batch())
    assert all(math.isfinite(value) for value in values(terms).values())
    total_loss(terms, ALL_ON).backward()
    taught = leaves(output).items() - untaught(output)
    assert all(torch.isfinite(leaf.grad).all() for _, leaf in taught)
