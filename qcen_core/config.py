"""The whole configuration as frozen, typed sections; recipes state only what differs from the defaults."""

import difflib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qcen_core.errors import InputError

Supervision = Literal["box", "box+id", "mask", "mask+id"]


class Section(BaseModel):
    """A part of the configuration: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(Section):
    """What is read, and how a clip enters the model."""

    root: str | None = None  # folder of the prepared data set (holds dataset.yaml)
    split: str = "train"  # split to train on
    clip_frames: int = Field(2, ge=1)  # T, frames of a clip
    frame_range: int = Field(5, ge=1)  # frames of a clip lie at most this far from the first one
    clips_per_step: int = Field(4, ge=1)  # B, clips a step on each device
    short_sides: tuple[int, ...] = Field((360, 480), min_length=1)  # training sizes of the short side, one drawn a clip
    max_side: int = Field(1333, ge=32)  # the long side never exceeds this
    test_short_side: int = Field(480, ge=32)  # short side at inference
    flip: float = Field(0.5, ge=0, le=1)  # probability of a horizontal flip of the whole clip
    color_jitter: float = Field(0.0, ge=0)  # strength of brightness, contrast and saturation changes of the clip
    crop_scale: float = Field(1.0, gt=0, le=1)  # smallest side of a random crop as a share of the frame; 1 is no crop
    workers: int = Field(2, ge=0)  # loader processes a device; 0 loads in the training process


class ModelConfig(Section):
    """The per-frame segmenter."""

    backbone: str = "resnet50"  # any timm model with a feature pyramid
    backbone_args: dict[str, Any] = {}  # passed to timm, e.g. the channels of a narrow network
    pretrained: bool = True  # start the backbone from timm's ImageNet weights
    backbone_norm: Literal["frozen_batch", "group"] = "frozen_batch"  # from scratch: group
    see_padding: bool = False  # take padding for a part of the frame, as published Mask2Formers do
    hidden_dim: int = Field(256, ge=4)  # width of pixel decoder, queries and mask channels
    contrast_dim: int = Field(256, ge=1)  # width of the contrast embedding
    contrast_gradient: float = Field(1.0, ge=0, le=1)  # share of the contrast's gradient that reaches the queries
    heads: int = Field(8, ge=1)  # attention heads
    queries: int = Field(100, ge=1)  # Q
    located_queries: bool = False  # queries begin at centres of objects and predict a box that holds their mask
    encoder_layers: int = Field(6, ge=0)  # deformable attention layers of the pixel decoder
    encoder_points: int = Field(4, ge=1)  # sampling points a head and level
    encoder_feedforward: int = Field(1024, ge=1)
    decoder_layers: int = Field(9, ge=0)  # masked attention layers
    decoder_feedforward: int = Field(2048, ge=1)

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        """Attention splits the width among the heads, the position encoding and the norms into groups of channels."""
        groups = 32 if self.hidden_dim >= 128 else 4
        if self.hidden_dim % self.heads or self.hidden_dim % groups:
            raise ValueError(f"hidden_dim {self.hidden_dim} is not a multiple of heads ({self.heads}) and of {groups}")
        return self


class MatchingConfig(Section):
    """Costs of the assignment between queries and labels."""

    class_cost: float = 2.0
    box_l1_cost: float = 5.0  # located queries
    box_giou_cost: float = 2.0  # located queries
    projection_cost: float = 5.0  # box levels: dice of the x- and y-projections
    mask_bce_cost: float = 5.0  # mask levels
    mask_dice_cost: float = 5.0  # mask levels


class PairConfig(Section):
    """Cross-frame instance matching: which queries of two frames are held to be one instance."""

    affinity: Literal["boxes", "queries", "queries+boxes"] = "queries+boxes"
    threshold: float = Field(0.5, ge=0, le=1)  # pairs that are not mutual best need this affinity


class LossConfig(Section):
    """Weights and constants of the loss terms; a term of weight 0 is switched off and not computed."""

    class_weight: float = 2.0
    no_object_weight: float = 0.1  # class weight of "no object" in the cross-entropy
    center_weight: float = 1.0  # located queries: map of box centres
    box_l1_weight: float = 5.0  # located queries
    box_giou_weight: float = 2.0  # located queries
    projection_weight: float = 5.0
    pairwise_weight: float = 5.0
    pairwise_dilation: int = 2
    pairwise_threshold: float = 0.3  # least colour affinity of an edge
    pairwise_warmup: int = 1000  # steps over which the pairwise term rises from 0
    filled_box_weight: float = 0.0  # filled box as coarse mask target; falls to 0 over filled_box_steps
    filled_box_steps: int = 1000
    mask_bce_weight: float = 5.0  # mask levels
    mask_dice_weight: float = 5.0  # mask levels
    mask_points: int = Field(0, ge=0)  # mask levels: points at which masks are compared; 0 is every cell
    contrast_weight: float = 2.0  # IQC
    contrast_auxiliary_weight: float = 3.0  # IQC, cosine part
    intra_weight: float = 1.0  # QEML inside a video
    intra_consistency_weight: float = 2.0  # share of the consistency with the own mask in QEML inside a video
    inter_weight: float = 1.0  # QEML across videos
    exchange: Literal["mask", "decoder"] = "mask"  # exchanged queries only draw, or pass the decoder as guests (QEML)
    exchange_start: int = 0  # step at which IQC and QEML begin; before it masks are too poor to be compared


class OptimConfig(Section):
    """AdamW, warm-up and schedule."""

    learning_rate: float = Field(1e-4, gt=0)
    backbone_factor: float = 0.1  # learning rate of the backbone relative to the rest
    weight_decay: float = 0.05  # none on norms, biases and embeddings
    schedule: Literal["step", "cosine"] = "step"
    warmup_steps: int = 10
    drop_at: float = 0.7  # "step": share of all steps after which the rate falls to a tenth
    clip_norm: float = 0.01  # gradient norm of the whole model
    ema_decay: float = Field(0.0, ge=0, lt=1)  # decay of the averaged weights that are evaluated; 0 is off


class TrainConfig(Section):
    """The run."""

    supervision: Supervision = "box"
    steps: int = Field(6000, ge=1)
    seed: int = Field(0, ge=0)
    devices: int = Field(0, ge=0)  # GPUs of a machine; 0 is the CPU
    processes: int = Field(1, ge=1)  # processes of a machine, where there are no GPUs
    nodes: int = Field(1, ge=1)
    effective_batch: int | None = Field(None, ge=1)  # clips a step on all devices; None: as many as they take at once
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "bf16-mixed"
    log_every: int = Field(20, ge=1)  # steps between two rows of metrics.csv
    save_every: int = Field(500, ge=1)  # steps between two saved states
    keep_states: int = Field(2, ge=1)  # saved states that are kept, the newest ones
    evaluate_every: int = Field(0, ge=0)  # steps between two evaluations on the hold-out split; 0 is only at the end
    evaluate_split: str = "holdout"
    samples: int = Field(4, ge=0)  # videos of the hold-out split that are drawn at every evaluation
    tensorboard: bool = False  # also write the metrics for TensorBoard
    compile: bool = False  # torch.compile the segmenter: slow to start, quicker steps on a GPU
    checkpointing: bool = False  # compute activations twice instead of keeping them: less memory, a third more time
    init_weights: str | None = None  # checkpoint to start from


class TrackerConfig(Section):
    """From per-frame predictions to tracks."""

    kind: Literal["memory", "minvis"] = "memory"
    confidence: float = 0.3  # least score of an instance that is drawn
    keep: float = 0.05  # least score of a candidate
    nms_iou: float = 0.6  # candidates that overlap a better one more than this are dropped
    new_track: float = 0.2  # least score that starts a track
    match_threshold: float = 0.3  # least similarity of a match
    momentum: float = 0.8  # share of the old embedding that stays in the memory
    exchange: float = Field(0.5, ge=0, le=1)  # share of the guest, or of the memory, in masks, where QEML was learned
    guest_frames: int = Field(3, ge=0)  # frames in a row in which a lost object is shown from its guest alone
    overlap_weight: float = 0.5  # weight of the mask overlap with the track's last frame beside the embeddings
    max_age: int = 20  # frames a track waits for its object to come back
    max_instances: int = 100  # instances a frame


class QcenConfig(Section):
    """Everything a run depends on."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    matching: MatchingConfig = MatchingConfig()
    pairs: PairConfig = PairConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()
    tracker: TrackerConfig = TrackerConfig()


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    folder = resources.files("qcen_core") / "recipes"
    return tuple(sorted(Path(file.name).stem for file in folder.iterdir() if file.name.endswith(".yaml")))


def load_config(recipe: str | Path, overrides: Sequence[str] = ()) -> QcenConfig:
    """Read a recipe and apply overrides.

    Args:
        recipe: name of a recipe of the package, or path of a YAML file.
        overrides: `section.key=value` texts; the value is read as YAML.

    Returns:
        The configuration.

    Raises:
        InputError: unknown recipe, malformed YAML, unknown key or a value of the wrong type.
    """
    path = Path(recipe)
    if path.suffix in {".yaml", ".yml"}:
        place = str(path)
        if not path.is_file():
            raise InputError("no such recipe file", place=place, hint="--recipe takes a name or a YAML file")
        text = path.read_text(encoding="utf-8")
    else:
        place = f"recipe {recipe}"
        if str(recipe) not in recipe_names():
            raise InputError(f"no recipe is called '{recipe}'", hint=_did_you_mean(str(recipe), recipe_names()))
        text = (resources.files("qcen_core") / "recipes" / f"{recipe}.yaml").read_text(encoding="utf-8")
    values = parse_yaml(text, place)
    for override in overrides:
        apply_override(values, override)
    return config_from_dict(values, place)


def config_from_dict(values: Mapping[str, Any], place: str) -> QcenConfig:
    """Build a configuration from nested dictionaries.

    Args:
        values: sections with their keys; what is missing keeps its default.
        place: where the values came from, for messages.

    Returns:
        The configuration.

    Raises:
        InputError: an unknown key (with the nearest known one) or a value of the wrong type.
    """
    try:
        return QcenConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise InputError(f"unknown key '{key}'", place=place, hint=_did_you_mean_key(key)) from None
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(
            f"'{key}': {message[0].lower()}{message[1:]}",
            place=place,
            hint="qcen train --dry-run shows every key with its value",
        ) from None


def dump_config(config: QcenConfig) -> str:
    """The whole configuration as YAML text."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def parse_yaml(text: str, place: str) -> dict[str, Any]:
    """The sections of a YAML text; `place` is where it came from.

    Raises:
        InputError: not YAML, or not a mapping.
    """
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise InputError(f"malformed YAML: {' '.join(str(error).split())}", place=place) from None
    if not isinstance(values, dict):
        raise InputError("a recipe is a mapping of sections", place=place)
    return values


def apply_override(values: dict[str, Any], override: str) -> None:
    """Set one value of nested sections by a text `section.key=value`.

    Raises:
        InputError: the text has another form.
    """
    key, equals, text = override.partition("=")
    parts = key.split(".")
    if not equals or len(parts) < 2:
        raise InputError(f"'{override}' is not of the form section.key=value", hint="example: --set train.steps=500")
    section = values
    for part in parts[:-1]:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise InputError(f"'{key}' goes into a value, not a section", place="--set")
    try:
        section[parts[-1]] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"the value of '{override}' is not YAML", place="--set") from None


def _known_keys(section: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name, field in section.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += _known_keys(field.annotation, f"{prefix}{name}.")
    return keys


def _did_you_mean_key(key: str) -> str:
    """The nearest key, or else those of its section: all keys would fill a screen."""
    section = key.rpartition(".")[0]
    known = [name for name in _known_keys(QcenConfig) if name != section]
    near = difflib.get_close_matches(key, known, n=1)
    return _did_you_mean(key, near or [name for name in known if name.rpartition(".")[0] == section])


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean '{near[0]}'?" if near else "known: " + ", ".join(known)
