"""Mask2Former as detectron2 saves it: also Mask2Former for video, MinVIS and their kin, which name tensors alike."""

from collections.abc import Mapping

from torch import Tensor

from qcen_core.model.published.coco_classes import COCO
from qcen_core.model.published.initial import PUBLISHED_LACKS, InitialWeights
from qcen_core.model.published.mask2former import published_config, published_supervision, unnamed_categories
from qcen_core.model.published.naming import Rule, rename
from qcen_core.records import Category

PIXEL_DECODER = r"sem_seg_head\.(?:pixel_decoder\.)*"  # programs that rename old files may name it twice, or not at all
PREDICTOR = r"sem_seg_head\.predictor\."
CROSS = PREDICTOR + r"transformer_cross_attention_layers\.(\d+)\."
SELF = PREDICTOR + r"transformer_self_attention_layers\.(\d+)\."
FEEDFORWARD = PREDICTOR + r"transformer_ffn_layers\.(\d+)\."

BACKBONE_RULES = (
    Rule(r"backbone\.stem\.conv1\.weight", "backbone.body.conv1.weight"),
    Rule(r"backbone\.stem\.conv1\.norm\.(\w+)", r"backbone.body.bn1.\1"),
    *(
        rule
        for stage in range(1, 5)
        for there, here in [(rf"backbone\.res{stage + 1}\.(\d+)\.", rf"backbone.body.layer{stage}.\1.")]
        for rule in (
            Rule(there + r"conv(\d)\.weight", here + r"conv\2.weight"),
            Rule(there + r"conv(\d)\.norm\.(\w+)", here + r"bn\2.\3"),
            Rule(there + r"shortcut\.weight", here + "downsample.0.weight"),
            Rule(there + r"shortcut\.norm\.(\w+)", here + r"downsample.1.\2"),
        )
    ),
    Rule(r"backbone\.patch_embed\.(.+)", r"backbone.body.patch_embed.\1"),
    Rule(r"backbone\.layers\.(\d)\.blocks\.(.+)", r"backbone.body.layers_\1.blocks.\2"),
    # timm counts the step to a coarser map to the stage it leads to.
    *(
        Rule(rf"backbone\.layers\.{stage}\.downsample\.(.+)", rf"backbone.body.layers_{stage + 1}.downsample.\1")
        for stage in range(3)
    ),
    Rule(r"backbone\.norm(\d)\.(\w+)", r"backbone.norms.\1.\2"),
)

HEAD_RULES = (
    Rule(CROSS + r"multihead_attn\.(.+)", r"decoder.layers.\1.cross_attn.\2"),
    Rule(CROSS + r"norm\.(\w+)", r"decoder.layers.\1.cross_norm.\2"),
    Rule(SELF + r"self_attn\.(.+)", r"decoder.layers.\1.self_attn.\2"),
    Rule(SELF + r"norm\.(\w+)", r"decoder.layers.\1.self_norm.\2"),
    Rule(FEEDFORWARD + r"norm\.(\w+)", r"decoder.layers.\1.feedforward_norm.\2"),
    Rule(FEEDFORWARD + r"(linear\d)\.(\w+)", r"decoder.layers.\1.\2.\3"),
    Rule(PREDICTOR + r"decoder_norm\.(\w+)", r"decoder.norm.\1"),
    Rule(PREDICTOR + r"(?:query_feat|static_query)\.weight", "decoder.query_feat.weight"),
    Rule(PREDICTOR + r"((?:query_embed|level_embed|class_embed|mask_embed)\..+)", r"decoder.\1"),
    Rule(PIXEL_DECODER + r"transformer\.encoder\.(layers\..+)", r"pixel_decoder.\1"),
    Rule(PIXEL_DECODER + r"transformer\.level_embed", "pixel_decoder.level_embed"),
    Rule(PIXEL_DECODER + r"adapter_1\.weight", "pixel_decoder.lateral.0.weight"),
    Rule(PIXEL_DECODER + r"adapter_1\.norm\.(\w+)", r"pixel_decoder.lateral.1.\1"),
    Rule(PIXEL_DECODER + r"layer_1\.weight", "pixel_decoder.output.0.weight"),
    Rule(PIXEL_DECODER + r"layer_1\.norm\.(\w+)", r"pixel_decoder.output.1.\1"),
    Rule(PIXEL_DECODER + r"((?:input_proj|mask_features)\..+)", r"pixel_decoder.\1"),
)

UNUSED = (
    r"criterion\..+",  # weights of classes in the loss
    r"pixel_(?:mean|std)",  # the same in every model
    r".+\.num_batches_tracked",
    r".+\.relative_position_index",  # follows from the window
    PREDICTOR + r"reid_\w+\..+",  # embeddings for tracking, learned in another way than ours
)


def load_detectron2(tensors: Mapping[str, Tensor], place: str) -> InitialWeights:
    """A Mask2Former from a state dictionary of detectron2.

    Args:
        tensors: its tensors under their names there.
        place: where they came from, for messages.

    Raises:
        InputError: a tensor that no Mask2Former has, or one of a strange shape.
    """
    renamed = rename(tensors, (*BACKBONE_RULES, *HEAD_RULES), UNUSED, place)
    config = published_config(renamed.weights, place)
    classes = len(renamed.weights["decoder.class_embed.bias"]) - 1
    named = classes == len(COCO)
    categories = tuple(Category(i, name) for i, name in enumerate(COCO, 1)) if named else unnamed_categories(classes)
    return InitialWeights(
        kind="Mask2Former of detectron2",
        place=place,
        weights=renamed.weights,
        origins=renamed.origins,
        unused=renamed.unused,
        lacks=PUBLISHED_LACKS,
        config=config,
        categories=categories,
        supervision=published_supervision(categories),
    )
