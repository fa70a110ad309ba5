"""The box losses learn: a free map of logits finds a disc from its box and the colours of the image."""

import math

import torch

from qcen_core.method import losses
from qcen_core.ops.boxes import filled_boxes
from qcen_core.ops.color import rgb_to_lab

HEIGHT, WIDTH, CENTRE, RADIUS, DILATION = 37, 41, (17.5, 21.5), 11, 2


def disc_scene():
    rows, columns = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    disc = (rows - CENTRE[0]) ** 2 + (columns - CENTRE[1]) ** 2 < RADIUS**2
    orange, grey = (torch.tensor(color).view(3, 1, 1) for color in ([0.9, 0.5, 0.1], [0.4, 0.4, 0.4]))
    y, x = CENTRE
    box = torch.tensor([[x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS]])
    return torch.where(disc, orange, grey), disc, filled_boxes(box, (HEIGHT, WIDTH), stride=1)


def learned_mask(edges, box, steps=200):
    # A maximum passes its gradient to a single pixel of its line, so a free map cannot be freed of a uniform start:
    # it begins undecided in the box and doubtful beyond it, as a network does after its coarse phase.
    logits = torch.where(box, 0.0, -2.0).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(steps):
        total, count = losses.pairwise_loss(logits, edges, box, DILATION)
        loss = (
            losses.projection_loss(logits, box.any(-2).float(), box.any(-1).float()).sum()
            + (total / count.clamp(min=1)).sum()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return logits.detach()[0] > 0


def iou(first, second):
    return ((first & second).sum() / (first | second).sum()).item()


def test_a_disc_is_found_from_its_box_alone():
    image, disc, box = disc_scene()
    edges = tuple(affinity >= 0.3 for affinity in losses.color_affinity(rgb_to_lab(image[None]), DILATION))
    assert iou(box[0], disc) < math.pi / 4 + 0.02  # what the box alone is worth
    assert iou(learned_mask(edges, box), disc) > 0.9


def test_without_colours_it_is_not():
    _, disc, box = disc_scene()
    none = tuple(affinity < 0 for affinity in losses.color_affinity(torch.zeros(1, 3, HEIGHT, WIDTH), DILATION))
    assert iou(learned_mask(none, box), disc) < 0.85
