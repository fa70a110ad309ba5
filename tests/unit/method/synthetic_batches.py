"""Random predictions and labels of small, unlike sizes, and short ways to the criterion, for the tests of this room."""

import torch

from qcen_core.config import LossConfig, MatchingConfig, PairConfig
from qcen_core.method.criterion import TERM_NAMES, SetCriterion
from qcen_core.structures import BoxTarget, ClipBatch, Exchanged, LayerPrediction, SegmenterOutput, StrongLabels

STRIDE = 4
HEIGHT, WIDTH = 7, 11  # h, w: inputs are 28 x 44
LAYERS, QUERIES, CLASSES, CHANNELS, EMBEDDING = 2, 5, 3, 13, 17
GUEST_LAYERS = 3  # the first of them teaches nothing
CLIPS, CLIP_FRAMES = 3, 2
COUNTS = (2, 3, 1, 0, 4, 2)  # labels of each frame

ALL_ON = dict.fromkeys(TERM_NAMES, 1.0)
LOSS, MATCHING, PAIRS = LossConfig(), MatchingConfig(), PairConfig()


def make_output(frames=CLIPS * CLIP_FRAMES, *, queries=QUERIES, seed=0, scale=1.0, located=False, guests=False):
    """Predictions whose tensors are leaves, each drawn on its own; `located` queries have boxes too.

    With `guests` there are also predictions of theirs, of no connection with the own ones.
    """
    generator = torch.Generator().manual_seed(seed)

    def leaf(*shape):
        return (scale * torch.randn(*shape, generator=generator)).requires_grad_()

    layers = tuple(
        LayerPrediction(leaf(frames, queries, CLASSES + 1), leaf(frames, queries, HEIGHT, WIDTH)) for _ in range(LAYERS)
    )
    output = SegmenterOutput(
        layers,
        leaf(frames, queries, CHANNELS),
        leaf(frames, queries, CHANNELS),
        leaf(frames, CHANNELS, HEIGHT, WIDTH),
        leaf(frames, queries, EMBEDDING),
        torch.zeros(frames, queries, CHANNELS),
    )
    if guests:
        intra, inter = (
            sum((make_output(frames, queries=queries, seed=seed + 101 * k + shift, scale=scale, located=located).layers
                 for shift in range(GUEST_LAYERS)), ())[::LAYERS]
            for k in (1, 2)
        )  # fmt: skip
        output = output._replace(exchanged=Exchanged(intra, inter))
    if not located:
        return output
    targets = [make_targets((queries,) * frames, seed=seed + 17 * index) for index in range(LAYERS)]
    boxes = [torch.stack([target.boxes for target in of_layer]).requires_grad_() for of_layer in targets]
    layers = tuple(layer._replace(boxes=own) for layer, own in zip(layers, boxes, strict=True))
    return output._replace(layers=layers, center_logits=leaf(frames, CLASSES, HEIGHT, WIDTH))


def make_targets(counts=COUNTS, *, seed=1):
    """Random boxes, at least a cell wide."""
    generator = torch.Generator().manual_seed(seed)
    targets = []
    for count in counts:
        corner = torch.rand(count, 2, generator=generator) * torch.tensor([30.0, 18.0])
        size = 5 + torch.rand(count, 2, generator=generator) * torch.tensor([20.0, 15.0])
        boxes = torch.cat((corner, corner + size), dim=1).clamp(max=44)
        boxes[:, 3].clamp_(max=28)
        targets.append(BoxTarget(boxes, torch.randint(0, CLASSES, (count,), generator=generator)))
    return tuple(targets)


def make_batch(counts=COUNTS, *, clip_frames=CLIP_FRAMES, strong="", seed=1, sources=None):
    """Clips of large smooth colour patches; the first clip is padded. `strong` names what is known: mask, id."""
    generator = torch.Generator().manual_seed(seed)
    clips = len(counts) // clip_frames
    size = (HEIGHT * STRIDE, WIDTH * STRIDE)
    patches = torch.randint(0, 4, (len(counts), 3, 2, 2), generator=generator) * 80
    images = torch.nn.functional.interpolate(patches.float(), size=size).to(torch.uint8)
    valid = torch.ones(clips, *size, dtype=torch.bool)
    valid[0, 22:] = False
    valid[0, :, 37:] = False
    masks = tuple(torch.rand(count, *size, generator=generator) < 0.5 for count in counts)
    identities = tuple(torch.randperm(7, generator=generator)[:count] + 1 for count in counts)
    labels = StrongLabels(masks if "mask" in strong else None, identities if "id" in strong else None)
    return ClipBatch(
        images=images.view(clips, clip_frames, 3, *size),
        valid=valid,
        frame_times=torch.arange(clip_frames).repeat(clips, 1) * 3,
        targets=make_targets(counts, seed=seed),
        strong=labels if strong else None,
        sources=sources or tuple(f"video {clip}" for clip in range(clips)),
    )


def only(*names):
    return dict.fromkeys(TERM_NAMES, 0.0) | dict.fromkeys(names, 1.0)


def terms_of(output, batch, weights=ALL_ON, *, pairs=PAIRS, **arguments):
    return SetCriterion(LOSS, MATCHING, pairs, **arguments)(output, batch, weights).terms


def values(terms):
    return {name: value.item() for name, value in terms.items()}


def cell_valid(batch):
    """(N, h, w) bool: cells without any padding, one by one."""
    pixels = batch.frame_valid().tolist()
    return torch.tensor(
        [
            [
                [all(all(row[x * STRIDE : x * STRIDE + STRIDE]) for row in rows[y * STRIDE : y * STRIDE + STRIDE])
                 for x in range(WIDTH)]
                for y in range(HEIGHT)
            ]
            for rows in pixels
        ]
    )  # fmt: skip


def leaves(output: SegmenterOutput):
    """Every prediction a loss may teach, by name."""
    named = {f"class {i}": layer.class_logits for i, layer in enumerate(output.layers)}
    named |= {f"mask {i}": layer.mask_logits for i, layer in enumerate(output.layers)}
    fields = ("mask_embeddings", "mask_features", "contrast_embeddings")
    named |= {name: getattr(output, name) for name in fields}
    if output.exchanged is not None:
        for kind, layers in zip(("intra", "inter"), output.exchanged, strict=True):
            named |= {f"{kind} class {i}": layer.class_logits for i, layer in enumerate(layers)}
            named |= {f"{kind} mask {i}": layer.mask_logits for i, layer in enumerate(layers)}
            if output.final.boxes is not None:
                named |= {f"{kind} box {i}": layer.boxes for i, layer in enumerate(layers)}
    if output.center_logits is not None:
        named |= {f"box {i}": layer.boxes for i, layer in enumerate(output.layers)}
        named["center_logits"] = output.center_logits
    return named
