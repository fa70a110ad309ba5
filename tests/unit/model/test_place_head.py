"""Boxes of located queries: where they begin, what they mean, and which gradients reach them."""

import torch

from qcen_core.model.place_head import PRIOR_SIZE_LOGIT, PlaceHead
from qcen_core.ops.place import place_embeddings

DIM = 8


def head(seed=0):
    """A head that has learned something."""
    torch.manual_seed(seed)
    place = PlaceHead(DIM)
    torch.nn.init.normal_(place.box_embed.layers[-1].weight, std=0.5)
    return place


def inputs():
    generator = torch.Generator().manual_seed(1)
    queries = torch.randn(2, 5, DIM, generator=generator)
    centres = 0.05 + 0.9 * torch.rand(2, 5, 2, generator=generator)
    return queries, centres, torch.tensor([[96.0, 64.0], [160.0, 44.0]])


def test_boxes_begin_as_a_quarter_of_the_frame_around_the_peak():
    queries, centres, extent = inputs()
    boxes, _ = PlaceHead(DIM)(queries, centres, extent)
    middle, sides = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    torch.testing.assert_close(middle, centres * extent[:, None])
    share = torch.tensor(PRIOR_SIZE_LOGIT).sigmoid()
    assert 0.2 < share < 0.3
    torch.testing.assert_close(sides, (share * extent)[:, None].expand_as(sides))


def test_boxes_and_embeddings_are_those_of_the_shifted_logits():
    place, (queries, centres, extent) = head(), inputs()
    boxes, embeddings = place(queries, centres, extent)
    for n in range(2):
        for q in range(5):
            shift = place.box_embed(queries[n, q])
            cx, cy = (shift[:2] + (centres[n, q] / (1 - centres[n, q])).log()).sigmoid().tolist()
            w, h = (shift[2:] + PRIOR_SIZE_LOGIT).sigmoid().tolist()
            width, height = extent[n].tolist()
            expected = [(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height]
            torch.testing.assert_close(boxes[n, q], torch.tensor(expected), rtol=1e-4, atol=1e-3)
            own = place_embeddings(torch.tensor([cx, cy, w, h]), place.gain)
            torch.testing.assert_close(embeddings[n, q], own, rtol=1e-3, atol=1e-3)


def test_masks_teach_the_gain_and_never_the_boxes():
    place, (queries, centres, extent) = head(), inputs()
    queries.requires_grad_()
    _, embeddings = place(queries, centres, extent)
    embeddings.square().sum().backward()
    assert queries.grad is None
    assert all(parameter.grad is None for parameter in place.box_embed.parameters())
    assert place.gain.grad.abs() > 0


def test_boxes_teach_the_queries():
    place, (queries, centres, extent) = head(), inputs()
    queries.requires_grad_()
    place(queries, centres, extent)[0].square().sum().backward()
    assert queries.grad.any()
    assert all(parameter.grad.any() for parameter in place.box_embed.parameters())
    assert place.gain.grad is None


def test_peaks_on_the_border_and_in_padding_stay_finite():
    place = PlaceHead(DIM)
    centres = torch.tensor([[[0.0, 1.0], [1.4, -0.2]]])
    boxes, embeddings = place(torch.zeros(1, 2, DIM), centres, torch.tensor([[64.0, 32.0]]))
    assert torch.isfinite(boxes).all()
    assert torch.isfinite(embeddings).all()
