"""Less memory for more time: activations are computed again in the backward pass instead of being kept."""

from collections.abc import Callable
from typing import Any

import torch
from timm.models.resnet import BasicBlock, Bottleneck
from timm.models.swin_transformer import SwinTransformerBlock
from timm.models.vision_transformer import Block
from torch import nn
from torch.utils.checkpoint import checkpoint

from qcen_core.model.pixel_decoder import EncoderLayer
from qcen_core.model.transformer_decoder import DecoderLayer

REPEATED = (BasicBlock, Bottleneck, SwinTransformerBlock, Block, EncoderLayer, DecoderLayer)


def recompute_activations(model: nn.Module) -> None:
    """Keep only what enters each repeated block of a model; timm's other networks do it in their own way."""
    for module in model.modules():
        if isinstance(module, REPEATED):
            setattr(module, "forward", _recomputed(module.forward))  # noqa: B010  # a type checker takes it for a method
    backbone: Any = getattr(model, "backbone", None)
    body = getattr(backbone, "body", None)
    if body is not None and not any(isinstance(module, REPEATED) for module in body.modules()):
        body.set_grad_checkpointing(True)


def _recomputed(forward: Callable[..., Any]) -> Callable[..., Any]:
    def call(*inputs: Any, **named: Any) -> Any:  # noqa: ANN401  # whatever the block takes and gives
        if not torch.is_grad_enabled():
            return forward(*inputs, **named)
        return checkpoint(forward, *inputs, use_reentrant=False, **named)

    return call
