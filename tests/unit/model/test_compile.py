"""The forward pass is one graph for torch.compile, and never waits for the device."""

from collections import Counter

import pytest
import torch
from tiny_segmenter import all_valid, random_frames, tiny_segmenter
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from qcen_core.model import deformable_attention

SHORT = {"encoder_layers": 1, "decoder_layers": 3}
VIT = {"backbone": "vit_small_patch14_dinov2", "backbone_args": {"depth": 1, "embed_dim": 24, "num_heads": 2}}

# On a GPU each of these copies something to or from the host, which waits for all work that was queued before.
WAITING = {
    "aten::_local_scalar_dense",
    "aten::_unique2",
    "aten::bincount",
    "aten::equal",
    "aten::is_nonzero",
    "aten::item",
    "aten::lift_fresh",  # torch.tensor(list)
    "aten::masked_select",
    "aten::nonzero",
    "aten::repeat_interleave.Tensor",
    "aten::unique_consecutive",
    "aten::unique_dim",
}


class WaitingFound(TorchDispatchMode):
    """Counts operators that would wait for the device; `run` counts all."""

    def __init__(self):
        super().__init__()
        self.waiting, self.run = Counter(), Counter()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        name = operator.name()
        self.run[name] += 1
        if name in WAITING or (name.startswith("aten::index") and self.has_mask(args)):
            self.waiting[name] += 1
        return operator(*args, **(kwargs or {}))

    @staticmethod
    def has_mask(args):
        indices = args[1] if len(args) > 1 and isinstance(args[1], list | tuple) else ()
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def padded_batch():
    frames = random_frames(4, 64, 96)
    valid = all_valid(frames)
    valid[0, 41:], valid[1, :, 53:] = False, False
    return frames, valid


def moved(model):
    """Fresh attention looks at the very middle of cells, where gradients of a bilinear value differ by side."""
    for module in model.modules():
        if isinstance(module, deformable_attention.DeformableAttention):
            torch.nn.init.uniform_(module.sampling_offsets.bias, -2, 2)
    return model


def flat(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [] if value is None else [tensor for part in value for tensor in flat(part)]


@pytest.mark.slow
@pytest.mark.parametrize(("located", "clip_frames"), [(False, 1), (False, 2), (True, 2)])
def test_one_graph_gives_the_same_numbers(located, clip_frames):
    torch.compiler.reset()
    model = tiny_segmenter(located_queries=located, **SHORT)
    frames, valid = padded_batch()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)(frames, valid, clip_frames)
    eager = model(frames, valid, clip_frames)
    assert len(flat(compiled)) == len(flat(eager))
    for one, other in zip(flat(compiled), flat(eager), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_one_graph_has_the_same_gradients():
    torch.compiler.reset()
    frames, valid = padded_batch()
    gradients = []
    for compiled in (True, False):
        model = moved(tiny_segmenter(**SHORT))
        run = torch.compile(model, backend="aot_eager", fullgraph=True) if compiled else model
        run(frames, valid).final.mask_logits.square().mean().backward()
        # What took no part has no gradient, or one of zeros where it stands in the graph.
        gradients.append({n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in model.named_parameters()})
    assert sum(bool(gradient.any()) for gradient in gradients[1].values()) > 100
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("backbone", [{}, VIT], ids=["resnet", "vit"])
@pytest.mark.parametrize("clip_frames", [1, 2])
@pytest.mark.parametrize("located", [False, True])
def test_nothing_waits_for_the_device(located, clip_frames, backbone, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)  # as on a GPU there is no way for processors
    model = tiny_segmenter(located_queries=located, **SHORT, **backbone)
    frames, valid = padded_batch()
    with WaitingFound() as found:
        output = model(frames, valid, clip_frames)
        output.final.mask_logits.square().mean().backward()
    assert found.run["aten::convolution"] > 5
    assert found.waiting == {}


@pytest.mark.parametrize("located", [False, True])
def test_everything_stays_on_the_device(located):
    """On a GPU that is only imagined: tensors of two devices do not mix, and nobody can look at their values."""
    with FakeTensorMode():
        with torch.device("cuda"):
            model = tiny_segmenter(located_queries=located, **SHORT)
            frames = torch.zeros(4, 3, 64, 96, dtype=torch.uint8)
            valid = torch.ones(4, 64, 96, dtype=torch.bool)
        output = model(frames, valid, 2)
    assert {tensor.device.type for tensor in flat(output)} == {"cuda"}


@pytest.mark.parametrize(
    "wait",
    [
        lambda t: t.sum().item(),
        lambda t: bool(t.any()),
        lambda t: t[t > 0],
        lambda t: (t > 0).nonzero(),
        lambda _: torch.tensor([1, 2]),
        lambda t: t.repeat_interleave(torch.arange(3)),
        lambda t: t.unique(),
    ],
)
def test_waiting_is_found(wait):
    values = torch.arange(3.0)
    with WaitingFound() as found:
        wait(values)
    assert found.waiting
