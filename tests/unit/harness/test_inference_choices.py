"""What is compared by `inference_choices`: the changes of predictions, and which models are refused."""

import math

import pytest
import torch
from torch.testing import assert_close

from benchmarks.inference_choices import Changed, inference_choices, spread, with_place, without_boxes
from qcen_core.config import QcenConfig, load_config
from qcen_core.errors import InputError
from qcen_core.model.checkpoint import save_checkpoint
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.records import Category

MODEL = load_config("shapes_tiny").model


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return FrameSegmenter(MODEL, 2).eval()


def predict(model):
    generator = torch.Generator().manual_seed(3)
    frames = torch.randint(0, 255, (1, 3, 64, 96), generator=generator).float()
    with torch.inference_mode():
        return model.decode(model.encode(frames, torch.ones(1, 64, 96, dtype=torch.bool)))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def test_queries_and_places_count_the_same(model):
    before, after = predict(model), with_place(predict(model))
    for i in range(5):
        for j in range(5):
            of_queries = cosine(before.queries[0, i].tolist(), before.queries[0, j].tolist())
            of_places = cosine(before.positions[0, i].tolist(), before.positions[0, j].tolist())
            of_both = cosine(after.queries[0, i].tolist(), after.queries[0, j].tolist())
            assert of_both == pytest.approx((of_queries + of_places) / 2, abs=1e-5)


def test_boxes_are_gone_and_masks_stay(model):
    before, after = predict(model), without_boxes(predict(model))
    assert before.final.boxes is not None
    assert all(layer.boxes is None for layer in after.layers)
    assert_close(after.final.mask_logits, before.final.mask_logits)


def test_a_changed_model_changes_what_it_decodes(model):
    after = predict(Changed(model, without_boxes))
    assert after.final.boxes is None
    assert_close(after.final.class_logits, predict(model).final.class_logits)


@pytest.mark.parametrize("loss", [{"intra_weight": 0.0}, {"contrast_weight": 0.0, "contrast_auxiliary_weight": 0.0}])
def test_models_with_an_embedding_or_guests_of_their_own_are_refused(tmp_path, model, loss):
    config = QcenConfig.model_validate({"model": MODEL, "loss": loss})
    file = tmp_path / "last.safetensors"
    save_checkpoint(file, model.state_dict(), config, (Category(3, "horse"), Category(7, "boat")), {"step": 10})
    with pytest.raises(InputError, match="contrast or exchange"):
        inference_choices([file], tmp_path)


def test_spread():
    assert spread([0.5]) == "50.0"
    assert spread([0.4, 0.5, 0.6]) == "50.0 ± 10.0"
