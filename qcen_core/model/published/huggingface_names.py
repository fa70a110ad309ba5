"""What Hugging Face calls the tensors of a Mask2Former."""

import re
from collections.abc import Callable

from qcen_core.model.published.naming import Rule

ENCODER = r"model\.pixel_level_module\.encoder\."
PIXEL_DECODER = r"model\.pixel_level_module\.decoder\."
LAYER = r"model\.transformer_module\.decoder\.layers\.(\d+)\."
BLOCK = ENCODER + r"encoder\.layers\.(\d)\.blocks\.(\d+)\."
OUR_BLOCK = r"backbone.body.layers_\1.blocks.\2."

LONG = {"q": "query", "k": "key", "v": "value"}
# Names of version 5 of the library in memory, should anybody save those -> names in all files so far.
LATER_NAMES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"\.encoder\.swin\.(encoder|embeddings)\.", r".encoder.\1."),
    (r"\.attention\.([qkv])_proj\.", lambda match: f".attention.self.{LONG[match[1]]}."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"\.attention\.relative_position_bias\.", ".attention.self."),
    (r"(\.blocks\.\d+)\.mlp\.fc1\.", r"\1.intermediate.dense."),
    (r"(\.blocks\.\d+)\.mlp\.fc2\.", r"\1.output.dense."),
)

SWIN_RULES = (
    Rule(ENCODER + r"embeddings\.patch_embeddings\.projection\.(\w+)", r"backbone.body.patch_embed.proj.\1"),
    Rule(ENCODER + r"embeddings\.norm\.(\w+)", r"backbone.body.patch_embed.norm.\1"),
    Rule(
        BLOCK + r"attention\.self\.(?P<part>query|key|value)\.(\w+)",
        OUR_BLOCK + r"attn.qkv.\4",
        parts=("query", "key", "value"),
    ),
    Rule(BLOCK + r"attention\.self\.relative_position_bias_table", OUR_BLOCK + "attn.relative_position_bias_table"),
    Rule(BLOCK + r"attention\.output\.dense\.(\w+)", OUR_BLOCK + r"attn.proj.\3"),
    Rule(BLOCK + r"layernorm_before\.(\w+)", OUR_BLOCK + r"norm1.\3"),
    Rule(BLOCK + r"layernorm_after\.(\w+)", OUR_BLOCK + r"norm2.\3"),
    Rule(BLOCK + r"intermediate\.dense\.(\w+)", OUR_BLOCK + r"mlp.fc1.\3"),
    Rule(BLOCK + r"output\.dense\.(\w+)", OUR_BLOCK + r"mlp.fc2.\3"),
    # timm counts the step to a coarser map to the stage it leads to.
    *(
        Rule(ENCODER + rf"encoder\.layers\.{i}\.downsample\.(.+)", rf"backbone.body.layers_{i + 1}.downsample.\1")
        for i in range(3)
    ),
    *(Rule(ENCODER + rf"hidden_states_norms\.stage{i + 1}\.(\w+)", rf"backbone.norms.{i}.\1") for i in range(4)),
)

RESNET_RULES = (
    Rule(ENCODER + r"embedder\.embedder\.convolution\.weight", "backbone.body.conv1.weight"),
    Rule(ENCODER + r"embedder\.embedder\.normalization\.(\w+)", r"backbone.body.bn1.\1"),
    *(
        rule
        for stage in range(4)
        for there in [ENCODER + rf"encoder\.stages\.{stage}\.layers\.(\d+)\."]
        for here in [rf"backbone.body.layer{stage + 1}.\1."]
        for rule in (
            *(Rule(there + rf"layer\.{i}\.convolution\.weight", rf"{here}conv{i + 1}.weight") for i in range(3)),
            *(Rule(there + rf"layer\.{i}\.normalization\.(\w+)", rf"{here}bn{i + 1}.\2") for i in range(3)),
            Rule(there + r"shortcut\.convolution\.weight", rf"{here}downsample.0.weight"),
            Rule(there + r"shortcut\.normalization\.(\w+)", rf"{here}downsample.1.\2"),
        )
    ),
)

HEAD_RULES = (
    Rule(PIXEL_DECODER + r"encoder\.(layers\.\d+\.self_attn\..+)", r"pixel_decoder.\1"),
    Rule(PIXEL_DECODER + r"encoder\.(layers\.\d+\.)self_attn_layer_norm\.(\w+)", r"pixel_decoder.\1norm1.\2"),
    Rule(PIXEL_DECODER + r"encoder\.(layers\.\d+\.)final_layer_norm\.(\w+)", r"pixel_decoder.\1norm2.\2"),
    Rule(PIXEL_DECODER + r"encoder\.(layers\.\d+\.)fc(\d)\.(\w+)", r"pixel_decoder.\1linear\2.\3"),
    Rule(PIXEL_DECODER + r"level_embed", "pixel_decoder.level_embed"),
    Rule(PIXEL_DECODER + r"input_projections\.(.+)", r"pixel_decoder.input_proj.\1"),
    Rule(PIXEL_DECODER + r"adapter_1\.(.+)", r"pixel_decoder.lateral.\1"),
    Rule(PIXEL_DECODER + r"layer_1\.(.+)", r"pixel_decoder.output.\1"),
    Rule(PIXEL_DECODER + r"mask_projection\.(\w+)", r"pixel_decoder.mask_features.\1"),
    Rule(LAYER + r"cross_attn\.(.+)", r"decoder.layers.\1.cross_attn.\2"),
    Rule(LAYER + r"cross_attn_layer_norm\.(\w+)", r"decoder.layers.\1.cross_norm.\2"),
    Rule(
        LAYER + r"self_attn\.(?P<part>[qkv])_proj\.(\w+)",
        r"decoder.layers.\1.self_attn.in_proj_\3",
        parts=("q", "k", "v"),
    ),
    Rule(LAYER + r"self_attn\.out_proj\.(\w+)", r"decoder.layers.\1.self_attn.out_proj.\2"),
    Rule(LAYER + r"self_attn_layer_norm\.(\w+)", r"decoder.layers.\1.self_norm.\2"),
    Rule(LAYER + r"fc(\d)\.(\w+)", r"decoder.layers.\1.linear\2.\3"),
    Rule(LAYER + r"final_layer_norm\.(\w+)", r"decoder.layers.\1.feedforward_norm.\2"),
    Rule(r"model\.transformer_module\.decoder\.layernorm\.(\w+)", r"decoder.norm.\1"),
    Rule(
        r"model\.transformer_module\.decoder\.mask_predictor\.mask_embedder\.(\d)\.0\.(\w+)",
        r"decoder.mask_embed.layers.\1.\2",
    ),
    Rule(r"model\.transformer_module\.queries_features\.weight", "decoder.query_feat.weight"),
    Rule(r"model\.transformer_module\.queries_embedder\.weight", "decoder.query_embed.weight"),
    Rule(r"model\.transformer_module\.level_embed\.weight", "decoder.level_embed.weight"),
    Rule(r"class_predictor\.(\w+)", r"decoder.class_embed.\1"),
)

UNUSED = (
    r"criterion\..+",  # weights of classes in the loss
    r".+\.num_batches_tracked",
    r".+\.relative_position_index",  # follows from the window
    ENCODER + r"(?:swin\.)?layernorm\.\w+",  # the norm of a classifier; detectors have one a stage
)


def earlier_name(name: str) -> str:
    """The name that a tensor has in all files so far, from one of a later version of the library."""
    for pattern, replacement in LATER_NAMES:
        name = re.sub(pattern, replacement, name)
    return name
