"""The masked-attention decoder against a restatement with plain softmax attention, and its attention mask by hand."""

import math

import torch
import torch.nn.functional as F
from tiny_segmenter import CLASSES, TINY

from qcen_core.model.pixel_decoder import PixelFeatures
from qcen_core.model.position_encoding import sine_position_encoding
from qcen_core.model.transformer_decoder import TransformerDecoder, allowed_cells, shrunk


def normed(norm, x):
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


def linear(layer, x):
    return x @ layer.weight.T + layer.bias


def attention(module, query, key, value, blocked=None):
    """(Q, D), (S, D), (S, D) to (Q, D), head by head."""
    dim, heads = query.shape[1], module.num_heads
    width = dim // heads
    weights, biases = module.in_proj_weight.split(dim), module.in_proj_bias.split(dim)
    query, key, value = (x @ w.T + b for x, w, b in zip((query, key, value), weights, biases, strict=True))
    parts = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        logits = query[:, part] @ key[:, part].T / math.sqrt(width)
        if blocked is not None:
            logits = logits.masked_fill(blocked, -math.inf)
        parts.append(logits.softmax(-1) @ value[:, part])
    return linear(module.out_proj, torch.cat(parts, dim=1))


def mlp(module, x):
    for layer in module.layers[:-1]:
        x = linear(layer, x).clamp(min=0)
    return linear(module.layers[-1], x)


def blocked_cells(mask_logits, level):
    """(Q, S) bool for a fully valid image: a cell is seen where the query's enlarged or shrunk mask is positive."""
    probability = F.interpolate(mask_logits[None], size=level.shape[-2:], mode="bilinear")[0].sigmoid().flatten(1)
    blocked = probability < 0.5
    blocked[blocked.all(dim=1)] = False
    return blocked


def slow_decode(decoder, mask_features, levels, guests=None):
    """Class logits and mask logits of every output for one image without padding; guests come normed, with a place."""
    queries, place = guests or (decoder.query_feat.weight, decoder.query_embed.weight)
    outputs = []

    def predict(final=None):
        final = normed(decoder.norm, queries) if final is None else final
        masks = torch.einsum("qc,chw->qhw", mlp(decoder.mask_embed, final), mask_features)
        outputs.append((linear(decoder.class_embed, final), masks))

    predict(queries if guests else None)
    for index, layer in enumerate(decoder.layers):
        level = levels[index % 3]
        memory = level.flatten(1).T + decoder.level_embed.weight[index % 3]
        valid = torch.ones(1, *level.shape[-2:], dtype=torch.bool)
        key = memory + sine_position_encoding(valid, len(level))[0].flatten(1).T
        blocked = blocked_cells(outputs[-1][1], level)
        queries = normed(layer.cross_norm, queries + attention(layer.cross_attn, queries + place, key, memory, blocked))
        queries = normed(
            layer.self_norm, queries + attention(layer.self_attn, queries + place, queries + place, queries)
        )
        hidden = linear(layer.linear1, queries).clamp(min=0)
        queries = normed(layer.feedforward_norm, queries + linear(layer.linear2, hidden))
        predict()
    return outputs


@torch.no_grad()
def test_decoder_equals_the_restatement():
    torch.manual_seed(2)
    decoder = TransformerDecoder(TINY, CLASSES).double()
    for name, parameter in decoder.named_parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, mean=1.0 if name.endswith("norm.weight") else 0.0, std=0.3)
    levels = tuple(torch.randn(1, 32, *size).double() for size in [(2, 3), (4, 6), (8, 12)])
    mask_features = torch.randn(1, 32, 16, 24).double()
    valid = tuple(torch.ones(1, *level.shape[-2:], dtype=torch.bool) for level in levels)
    output = decoder(PixelFeatures(mask_features, levels, valid, torch.tensor([[96.0, 64.0]])))
    slow = slow_decode(decoder, mask_features[0], [level[0] for level in levels])
    assert len(slow) == len(output.layers)
    for layer, (class_logits, mask_logits) in zip(output.layers, slow, strict=True):
        torch.testing.assert_close(layer.class_logits[0], class_logits, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(layer.mask_logits[0], mask_logits, rtol=1e-6, atol=1e-6)


def test_attention_mask_by_hand():
    mask_logits = torch.full((1, 3, 2, 4), -2.0)
    mask_logits[0, 0, 0, 0] = 3.0  # query 0 sees the first cell; query 1 saw nothing
    mask_logits[0, 2, :, 3] = 3.0  # query 2 saw padding only
    valid = torch.tensor([[[True, True, True, False], [True, True, True, False]]])
    allowed = allowed_cells(mask_logits, valid)
    assert allowed.shape == (1, 3, 8)
    frame = [True, True, True, False, True, True, True, False]
    assert allowed[0, 0].tolist() == [True] + [False] * 7
    assert allowed[0, 1].tolist() == frame
    assert allowed[0, 2].tolist() == frame


def test_attention_masks_of_frames_do_not_mix():
    mask_logits = torch.full((2, 1, 1, 2), -1.0)
    mask_logits[0, 0, 0, 0] = mask_logits[1, 0, 0, 1] = 1.0
    allowed = allowed_cells(mask_logits, torch.ones(2, 1, 2, dtype=torch.bool))
    assert allowed[:, 0].tolist() == [[True, False], [False, True]]


def test_shrinking_is_bilinear():
    maps = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    for times in (2, 4, 8):
        expected = F.interpolate(maps, size=(16 // times, 24 // times), mode="bilinear", align_corners=False)
        torch.testing.assert_close(shrunk(maps, times), expected)
