"""The types that flow: what they refuse, the order of frames, devices and precision."""

import dataclasses

import pytest
import torch

from qcen_core.structures import BoxTarget, ClipBatch, Exchanged, LayerPrediction, SegmenterOutput, StrongLabels

META = torch.device("meta")


def target(count):
    return BoxTarget(torch.arange(4.0 * count).view(count, 4), torch.arange(count))


def batch(**changes):
    images = torch.arange(2 * 3, dtype=torch.uint8).view(2, 3, 1, 1, 1).expand(2, 3, 3, 5, 7).contiguous()
    valid = torch.ones(2, 5, 7, dtype=torch.bool)
    valid[1, :, 4:] = False
    fields = {
        "images": images,
        "valid": valid,
        "frame_times": torch.tensor([[0, 2, 5], [1, 1, 4]]),
        "targets": tuple(target(n % 3) for n in range(6)),
        "strong": None,
        "sources": ("pond", "road"),
    }
    return ClipBatch(**fields | changes)


def test_frame_n_is_clip_b_time_t():
    whole = batch()
    frames, valid = whole.frames(), whole.frame_valid()
    assert frames.shape == (6, 3, 5, 7)
    for b in range(2):
        for t in range(3):
            assert torch.equal(frames[b * 3 + t], whole.images[b, t])
            assert torch.equal(valid[b * 3 + t], whole.valid[b])


@pytest.mark.parametrize(
    "changes",
    [
        {"images": torch.zeros(2, 3, 3, 5, 7)},
        {"images": torch.zeros(2, 3, 4, 5, 7, dtype=torch.uint8)},
        {"images": torch.zeros(6, 3, 5, 7, dtype=torch.uint8)},
        {"valid": torch.ones(2, 7, 5, dtype=torch.bool)},
        {"valid": torch.ones(6, 5, 7, dtype=torch.bool)},
        {"frame_times": torch.zeros(3, 2, dtype=torch.int64)},
        {"targets": tuple(target(1) for _ in range(5))},
        {"sources": ("pond",)},
    ],
)
def test_a_batch_whose_parts_do_not_fit_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        batch(**changes)


@pytest.mark.parametrize("shape", [(3, 4), (2, 5), (8,), (4, 2)])
def test_boxes_and_labels_of_different_length_are_refused(shape):
    with pytest.raises(ValueError, match=r"must be \(G, 4\)"):
        BoxTarget(torch.zeros(shape), torch.zeros(2, dtype=torch.int64))


def test_no_label_at_all_is_fine():
    assert len(BoxTarget(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)).labels) == 0


def test_nothing_can_be_changed_or_added():
    with pytest.raises(dataclasses.FrozenInstanceError):
        batch().strong = StrongLabels(None, None)
    with pytest.raises((AttributeError, TypeError)):
        object.__setattr__(target(2), "masks", torch.zeros(2, 5, 7))


def test_to_moves_every_tensor():
    strong = StrongLabels(tuple(torch.ones(n % 3, 5, 7, dtype=torch.bool) for n in range(6)), None)
    moved = batch(strong=strong).to(META)
    tensors = [moved.images, moved.valid, moved.frame_times, *moved.strong.masks]
    tensors += [tensor for one in moved.targets for tensor in (one.boxes, one.labels)]
    assert all(tensor.device == META for tensor in tensors)
    assert moved.strong.track_ids is None
    assert moved.sources == ("pond", "road")
    assert batch().to(META).strong is None


def test_pinning_keeps_all_and_pins_what_is_large(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor.shape) or tensor.clone())
    one = batch()
    other = one.pin_memory()
    assert pinned == [one.images.shape, one.valid.shape]
    assert torch.equal(other.images, one.images)
    assert torch.equal(other.valid, one.valid)
    assert other.targets is one.targets


@pytest.mark.parametrize("located", [False, True])
def test_output_in_float32_and_its_final_layer(located):
    def layer(value):
        shape = (2, 3)
        return LayerPrediction(*(torch.full((*shape, *more), value).bfloat16() for more in ((), (5,), (4,))[:fields]))

    fields = 3 if located else 2
    rest = (torch.zeros(2, 3).bfloat16() for _ in range(5 + located))
    output = SegmenterOutput((layer(1.0), layer(2.0)), *rest)
    assert output.float().exchanged is None
    converted = output._replace(exchanged=Exchanged((layer(3.0),), (layer(4.0), layer(5.0)))).float()
    layers = (*converted.layers, *converted.exchanged.intra, *converted.exchanged.inter)
    assert [layer.class_logits.unique().tolist() for layer in layers] == [[1], [2], [3], [4], [5]]
    found = [t for one in layers for t in one] + list(converted[1:-1])
    tensors = [tensor for tensor in found if tensor is not None]
    assert len(tensors) == (21 if located else 15)
    assert all(tensor.dtype == torch.float32 for tensor in tensors)
    assert converted.final.class_logits.unique().tolist() == [2.0]
