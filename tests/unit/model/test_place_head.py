"""Boxes of located queries: how they move, what they mean, and which gradients reach them."""

import torch

from qcen_core.model.place_head import PlaceHead
from qcen_core.model.position_encoding import sine_at
from qcen_core.ops.place import place_embeddings

DIM = 8
EXTENT = torch.tensor([[96.0, 64.0], [160.0, 44.0]])


def head(seed=0):
    """A head that has learned something."""
    torch.manual_seed(seed)
    place = PlaceHead(DIM)
    torch.nn.init.normal_(place.shift.layers[-1].weight, std=0.5)
    return place


def inputs():
    generator = torch.Generator().manual_seed(1)
    queries = torch.randn(2, 5, DIM, generator=generator)
    low = 40 * torch.rand(2, 5, 2, generator=generator)
    sides = 4 + 30 * torch.rand(2, 5, 2, generator=generator)
    return queries, torch.cat((low, low + sides), dim=-1)


def test_at_first_nothing_moves():
    queries, boxes = inputs()
    torch.testing.assert_close(PlaceHead(DIM)(queries, boxes), boxes)


def test_boxes_move_in_units_of_themselves():
    place, (queries, boxes) = head(), inputs()
    moved = place(queries, boxes)
    for n in range(2):
        for q in range(5):
            dx, dy, dw, dh = place.shift(queries[n, q]).tolist()
            x1, y1, x2, y2 = boxes[n, q].tolist()
            cx, cy = (x1 + x2) / 2 + dx * (x2 - x1), (y1 + y2) / 2 + dy * (y2 - y1)
            w, h = (x2 - x1) * 2.718281828459045**dw, (y2 - y1) * 2.718281828459045**dh
            expected = torch.tensor([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
            torch.testing.assert_close(moved[n, q], expected, rtol=1e-4, atol=1e-3)


def test_embeddings_and_positions_are_those_of_the_box_in_its_frame():
    place, (_, boxes) = head(), inputs()
    embeddings, positions = place.embeddings(boxes, EXTENT), place.positions(boxes, EXTENT)
    for n in range(2):
        width, height = EXTENT[n].tolist()
        for q in range(5):
            x1, y1, x2, y2 = boxes[n, q].tolist()
            centre = torch.tensor([(x1 + x2) / 2 / width, (y1 + y2) / 2 / height])
            size = torch.tensor([(x2 - x1) / width, (y2 - y1) / height])
            own = place_embeddings(torch.cat((centre, size)), place.gain)
            torch.testing.assert_close(embeddings[n, q], own, rtol=1e-3, atol=1e-3)
            encoded = torch.cat((sine_at(centre, DIM), sine_at(size, DIM)))
            torch.testing.assert_close(positions[n, q], place.position(encoded), rtol=1e-4, atol=1e-5)


def test_masks_and_attention_never_teach_the_boxes():
    place, (queries, boxes) = head(), inputs()
    queries.requires_grad_()
    boxes.requires_grad_()
    moved = place(queries, boxes)
    (place.embeddings(moved, EXTENT).square().sum() + place.positions(moved, EXTENT).square().sum()).backward()
    assert queries.grad is None
    assert boxes.grad is None
    assert all(parameter.grad is None for parameter in place.shift.parameters())
    assert place.gain.grad.abs() > 0
    assert place.position.weight.grad.any()


def test_boxes_teach_the_queries_and_not_the_layer_before():
    place, (queries, boxes) = head(), inputs()
    queries.requires_grad_()
    boxes.requires_grad_()
    place(queries, boxes).square().sum().backward()
    assert queries.grad.any()
    assert boxes.grad is None
    assert all(parameter.grad.any() for parameter in place.shift.parameters())


def test_boxes_that_explode_or_vanish_stay_finite():
    place = PlaceHead(DIM)
    torch.nn.init.constant_(place.shift.layers[-1].bias, 1e3)
    boxes = place(torch.zeros(2, 1, DIM), torch.tensor([[[3.0, 4.0, 5.0, 9.0]], [[7.0, 7.0, 7.0, 7.0]]]))
    assert torch.isfinite(boxes).all()
    assert torch.isfinite(place.embeddings(boxes, EXTENT)).all()
    assert torch.isfinite(place.positions(boxes, EXTENT)).all()
