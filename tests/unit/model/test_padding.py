"""What must not depend on the amount of padding, exactly: everything but convolutions at the border and group norms."""

import pytest
import torch
from tiny_segmenter import CLASSES, TINY
from torch import nn

from qcen_core.model.pixel_decoder import PixelDecoder, PixelFeatures, enlarged, shrink_valid
from qcen_core.model.transformer_decoder import TransformerDecoder

CHANNELS = (5, 7, 11, 13)
SNUG, WIDE = (64, 96), (128, 160)


def padded(tensor, size, generator):
    """The tensor with noise at the right and at the bottom."""
    wide = 9 * torch.randn(*tensor.shape[:-2], *size, generator=generator, dtype=tensor.dtype)
    wide[..., : tensor.shape[-2], : tensor.shape[-1]] = tensor
    return wide


def valid_mask(size, valid_size):
    valid = torch.zeros(2, *size, dtype=torch.bool)
    valid[:, : valid_size[0], : valid_size[1]] = True
    return valid


@torch.no_grad()
def test_transformer_decoder_ignores_padding():
    torch.manual_seed(0)
    decoder = TransformerDecoder(TINY, CLASSES).double()
    generator = torch.Generator().manual_seed(1)
    features = {}
    for size in (SNUG, WIDE):
        valid = valid_mask(size, SNUG)
        features[size] = tuple(shrink_valid(valid, (size[0] // s, size[1] // s)) for s in (32, 16, 8))
    maps = [torch.randn(2, 32, SNUG[0] // s, SNUG[1] // s, generator=generator).double() for s in (4, 32, 16, 8)]
    wide = [padded(m, (WIDE[0] // s, WIDE[1] // s), generator) for m, s in zip(maps, (4, 32, 16, 8), strict=True)]
    extent = torch.tensor([[96.0, 64.0]]).expand(2, -1)
    snug_output = decoder(PixelFeatures(maps[0], tuple(maps[1:]), features[SNUG], extent))
    wide_output = decoder(PixelFeatures(wide[0], tuple(wide[1:]), features[WIDE], extent))
    for one, other in zip(snug_output.layers, wide_output.layers, strict=True):
        torch.testing.assert_close(one.class_logits, other.class_logits)
        torch.testing.assert_close(one.mask_logits, other.mask_logits[..., :16, :24])
    torch.testing.assert_close(snug_output.contrast_embeddings, wide_output.contrast_embeddings)


@torch.no_grad()
@pytest.mark.parametrize("valid_size", [SNUG, (32, 96), (96, 32)])
def test_pixel_decoder_without_group_norms_ignores_padding(valid_size):
    torch.manual_seed(0)
    decoder = PixelDecoder(TINY, CHANNELS)
    for name, module in list(decoder.named_modules()):
        if isinstance(module, nn.GroupNorm):
            decoder.set_submodule(name, nn.Identity())
    generator = torch.Generator().manual_seed(1)
    strides = (4, 8, 16, 32)
    maps = [
        torch.randn(2, count, valid_size[0] // s, valid_size[1] // s, generator=generator)
        for count, s in zip(CHANNELS, strides, strict=True)
    ]
    wide = [padded(m, (WIDE[0] // s, WIDE[1] // s), generator) for m, s in zip(maps, strides, strict=True)]
    snug_features = decoder(maps, valid_mask(valid_size, valid_size))
    wide_features = decoder(wide, valid_mask(WIDE, valid_size))
    for one, other in zip(snug_features.levels, wide_features.levels, strict=True):
        torch.testing.assert_close(one, other[..., : one.shape[-2], : one.shape[-1]], rtol=1e-4, atol=1e-4)
    fine = snug_features.mask_features
    h, w = fine.shape[-2] - 2, fine.shape[-1] - 2  # bilinear enlargement and a 3 x 3 convolution see two cells further
    torch.testing.assert_close(fine[..., :h, :w], wide_features.mask_features[..., :h, :w], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(16, 24), (9, 30)])
def test_enlarging_is_bilinear(size):
    maps = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(6))
    expected = torch.nn.functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarged(maps, size), expected)
