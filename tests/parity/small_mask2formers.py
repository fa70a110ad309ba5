"""Mask2Formers of Hugging Face with random weights, small or of full size, and what they predict."""

import torch
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig, SwinConfig
from transformers.utils import logging

logging.set_verbosity_error()  # it warns that a ResNet is not among the backbones it was made for
logging.disable_progress_bar()

STAGES = ["stage1", "stage2", "stage3", "stage4"]
NAMES = ("heron", "Otter", "water_lily")
SMALL = {
    "feature_size": 128,
    "mask_feature_size": 128,
    "hidden_dim": 128,
    "num_attention_heads": 4,
    "encoder_layers": 2,
    "encoder_feedforward_dim": 72,
    "decoder_layers": 5,
    "dim_feedforward": 88,
    "num_queries": 7,
}
BACKBONES = {
    "swin": lambda: SwinConfig(
        embed_dim=16, depths=[2, 2, 3, 2], num_heads=[1, 2, 4, 4], drop_path_rate=0.3, out_features=STAGES
    ),
    "resnet": lambda: ResNetConfig(hidden_sizes=[32, 64, 96, 128], depths=[1, 2, 1, 1], out_features=STAGES),
    "full swin": lambda: SwinConfig(out_features=STAGES),
    "full resnet": lambda: ResNetConfig(out_features=STAGES),
}


def random_mask2former(kind, seed=0, **changes):
    """A model whose norms, biases and statistics are random, too, so that none can be left out unseen."""
    torch.manual_seed(seed)
    sizes = {} if kind.startswith("full") else SMALL
    named = {"id2label": dict(enumerate(NAMES)), "label2id": {name: index for index, name in enumerate(NAMES)}}
    config = Mask2FormerConfig(backbone_config=BACKBONES[kind](), **(sizes | named | changes))
    model = Mask2FormerForUniversalSegmentation(config).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "running_var" in name:
                tensor.uniform_(0.5, 1.5)
            elif "relative_position_bias_table" in name:
                tensor.normal_()
            elif "mask_embedder" in name and tensor.dim() == 2:
                tensor.mul_(2.0)  # else the biases decide, and the masks of all queries look alike
            elif tensor.is_floating_point() and tensor.dim() == 1:
                tensor.add_(0.2 * torch.randn_like(tensor))
    return model


@torch.no_grad()
def all_logits(model, images):
    """Class and mask logits of every output of a model, the first one before the first layer."""
    output = model(pixel_values=images, output_auxiliary_logits=True)
    auxiliary = output.auxiliary_logits
    classes = [layer["class_queries_logits"] for layer in auxiliary] + [output.class_queries_logits]
    masks = [layer["masks_queries_logits"] for layer in auxiliary] + [output.masks_queries_logits]
    return list(zip(classes, masks, strict=True))
