"""Backbones of classifiers: ResNet and Swin as timm, torchvision, detectron2 and Swin's authors save them."""

from collections.abc import Mapping

from torch import Tensor

from qcen_core.model.published import detectron2
from qcen_core.model.published.initial import InitialWeights
from qcen_core.model.published.naming import Rule, rename

OUTSIDE_AND_NORMS = r"(?!backbone\.).+|backbone\.norms\..+"  # a classifier has one norm, behind its last stage
IMAGENET_CLASSES = {1000: "ImageNet labels", 21841: "ImageNet-22k labels", 21843: "ImageNet-22k labels"}
HEADS = ("fc.bias", "head.fc.bias", "head.bias", "stem.fc.bias")
MARKS = ("conv1.weight", "stem.conv1.weight", "patch_embed.proj.weight", "features.0.0.weight")

UNUSED = (
    r"(?:fc|head|norm|stem\.fc|linear)\..+",  # of the classifier
    r".+\.num_batches_tracked",
    r".+\.relative_position_index",  # follows from the window
    r".+\.attn_mask",  # follows from the size of the input
)
RESNET_RULES = (Rule(r"((?:conv1|bn1|layer[1-4])\..+)", r"backbone.body.\1"),)
SWIN_RULES = (
    Rule(r"(patch_embed\..+)", r"backbone.body.\1"),
    Rule(r"layers[._](\d)\.(.+)", r"backbone.body.layers_\1.\2"),
)
# Swin's authors count the step to a coarser map to the stage it comes from, timm to the one it leads to.
AUTHORS_RULES = tuple(
    Rule(rf"layers\.{stage}\.downsample\.(.+)", rf"backbone.body.layers_{stage + 1}.downsample.\1")
    for stage in range(3)
)
TORCHVISION_SWIN_RULES = (
    Rule(r"features\.0\.0\.(\w+)", r"backbone.body.patch_embed.proj.\1"),
    Rule(r"features\.0\.2\.(\w+)", r"backbone.body.patch_embed.norm.\1"),
    *(
        rule
        for stage in range(4)
        for there, here in [(rf"features\.{2 * stage + 1}\.(\d+)\.", rf"backbone.body.layers_{stage}.blocks.\1.")]
        for rule in (
            Rule(there + r"mlp\.0\.(\w+)", here + r"mlp.fc1.\2"),
            Rule(there + r"mlp\.3\.(\w+)", here + r"mlp.fc2.\2"),
            Rule(there + r"((?:norm\d|attn)\..+)", here + r"\2"),
        )
    ),
    *(Rule(rf"features\.{2 * stage}\.(.+)", rf"backbone.body.layers_{stage}.downsample.\1") for stage in range(1, 4)),
)


def is_backbone(tensors: Mapping[str, Tensor]) -> bool:
    """Whether names are those of a ResNet or a Swin."""
    return any(mark in tensors for mark in MARKS)


def load_backbone(tensors: Mapping[str, Tensor], place: str) -> InitialWeights:
    """The backbone's share of a segmenter from the weights of a classifier.

    Args:
        tensors: under their names there.
        place: where they came from, for messages.

    Raises:
        InputError: a tensor that neither a ResNet nor a Swin has.
    """
    rules: tuple[Rule, ...]
    if "features.0.0.weight" in tensors:
        rules = TORCHVISION_SWIN_RULES
    elif "patch_embed.proj.weight" in tensors:
        rules = (*AUTHORS_RULES, *SWIN_RULES) if "layers.0.downsample.norm.weight" in tensors else SWIN_RULES
    elif "stem.conv1.weight" in tensors:
        rules = tuple(Rule(rule.theirs.removeprefix(r"backbone\."), rule.ours) for rule in detectron2.BACKBONE_RULES)
    else:
        rules = RESNET_RULES
    renamed = rename(tensors, rules, UNUSED, place)
    classes = next((len(tensors[name]) for name in HEADS if name in tensors), 0)
    return InitialWeights(
        kind="backbone",
        place=place,
        weights=renamed.weights,
        origins=renamed.origins,
        unused=renamed.unused,
        lacks=OUTSIDE_AND_NORMS,
        config=None,
        categories=(),
        supervision=(IMAGENET_CLASSES.get(classes, "labels that its file does not tell (backbone)"),),
    )
