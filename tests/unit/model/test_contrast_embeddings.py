"""What contrast embeddings read, and how much of their gradient reaches the queries."""

import pytest
import torch
from tiny_segmenter import all_valid, random_frames, tiny_segmenter


def gradients_of_the_contrast(share):
    """Gradients by parameter of the sum of the squared embeddings."""
    frames = random_frames(1, 32, 64)
    model = tiny_segmenter(contrast_gradient=share)
    model(frames, all_valid(frames)).contrast_embeddings.square().sum().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_the_share_scales_the_gradient_of_all_but_the_head():
    whole, quarter = gradients_of_the_contrast(1.0), gradients_of_the_contrast(0.25)
    assert any(not name.startswith("decoder.contrast_embed") and grad.any() for name, grad in whole.items())
    for name, grad in whole.items():
        scale = 1.0 if name.startswith("decoder.contrast_embed") else 0.25
        torch.testing.assert_close(quarter[name], scale * grad, rtol=1e-3, atol=1e-6)


def test_without_a_share_the_head_alone_learns():
    taught = {name for name, grad in gradients_of_the_contrast(0.0).items() if grad.any()}
    assert taught
    assert all(name.startswith("decoder.contrast_embed") for name in taught)


@torch.no_grad()
@pytest.mark.parametrize("located", [False, True])
def test_located_queries_of_one_look_are_told_apart_by_their_places(located):
    frames = random_frames(1, 32, 64)
    model = tiny_segmenter(located_queries=located)
    output = model(frames, all_valid(frames))
    look = output.queries[:, :1].expand_as(output.queries)
    embeddings = model.decoder._contrast(look, output.positions)
    apart = (embeddings - embeddings[:, :1]).abs().amax(-1)[0, 1:]
    assert (apart > 1e-4).all() if located else (apart < 1e-6).all()
