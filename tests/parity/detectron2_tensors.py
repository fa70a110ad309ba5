"""Tensors of Mask2Formers in detectron2: names and shapes of the published ones, and names for those of others."""

import re

NORM = ("weight", "bias", "running_mean", "running_var")
BLOCKS = (3, 4, 6, 3)


def resnet50_shapes():
    """Name -> shape of the backbone; no convolution has a bias, and norms are buffers."""
    shapes = {}

    def conv(name, out, into, size):
        shapes[f"backbone.{name}.weight"] = (out, into, size, size)
        shapes.update({f"backbone.{name}.norm.{part}": (out,) for part in NORM})

    conv("stem.conv1", 64, 3, 7)
    into = 64
    for stage, blocks in enumerate(BLOCKS):
        middle, out = 64 * 2**stage, 256 * 2**stage
        for block in range(blocks):
            name = f"res{stage + 2}.{block}"
            if block == 0:
                conv(f"{name}.shortcut", out, into, 1)
            conv(f"{name}.conv1", middle, into, 1)
            conv(f"{name}.conv2", middle, middle, 3)
            conv(f"{name}.conv3", out, middle, 1)
            into = out
    return shapes


def pixel_decoder_shapes():
    shapes = {}

    def put(name, *shape, bias=True):
        shapes[f"sem_seg_head.pixel_decoder.{name}.weight"] = shape
        if bias:
            shapes[f"sem_seg_head.pixel_decoder.{name}.bias"] = shape[:1]

    put("adapter_1", 256, 256, 1, 1, bias=False)
    put("adapter_1.norm", 256)
    put("layer_1", 256, 256, 3, 3, bias=False)
    put("layer_1.norm", 256)
    for level, into in enumerate((2048, 1024, 512)):
        put(f"input_proj.{level}.0", 256, into, 1, 1)
        put(f"input_proj.{level}.1", 256)
    put("mask_features", 256, 256, 1, 1)
    shapes["sem_seg_head.pixel_decoder.transformer.level_embed"] = (3, 256)
    for index in range(6):
        layer = f"transformer.encoder.layers.{index}"
        put(f"{layer}.self_attn.sampling_offsets", 192, 256)
        put(f"{layer}.self_attn.attention_weights", 96, 256)
        put(f"{layer}.self_attn.value_proj", 256, 256)
        put(f"{layer}.self_attn.output_proj", 256, 256)
        put(f"{layer}.linear1", 1024, 256)
        put(f"{layer}.linear2", 256, 1024)
        put(f"{layer}.norm1", 256)
        put(f"{layer}.norm2", 256)
    return shapes


def predictor_shapes(classes, content):
    shapes = {}

    def put(name, *shape):
        shapes[f"sem_seg_head.predictor.{name}.weight"] = shape
        shapes[f"sem_seg_head.predictor.{name}.bias"] = shape[:1]

    for index in range(9):
        for kind, module in (("self", "self_attn"), ("cross", "multihead_attn")):
            layer = f"transformer_{kind}_attention_layers.{index}"
            shapes[f"sem_seg_head.predictor.{layer}.{module}.in_proj_weight"] = (768, 256)
            shapes[f"sem_seg_head.predictor.{layer}.{module}.in_proj_bias"] = (768,)
            put(f"{layer}.{module}.out_proj", 256, 256)
            put(f"{layer}.norm", 256)
        layer = f"transformer_ffn_layers.{index}"
        put(f"{layer}.linear1", 2048, 256)
        put(f"{layer}.linear2", 256, 2048)
        put(f"{layer}.norm", 256)
    put("decoder_norm", 256)
    for name, rows in ((content, 100), ("query_embed", 100), ("level_embed", 3)):
        shapes[f"sem_seg_head.predictor.{name}.weight"] = (rows, 256)
    put("class_embed", classes + 1, 256)
    for index in range(3):
        put(f"mask_embed.layers.{index}", 256, 256)
    return shapes


def mask2former_shapes(classes=80, content="query_feat"):
    """All names and shapes of a Mask2Former of ResNet-50 size; old files call the queries' content `static_query`."""
    return resnet50_shapes() | pixel_decoder_shapes() | predictor_shapes(classes, content)


def is_buffer(name):
    """Whether a tensor belongs to a frozen norm of the backbone."""
    return name.startswith("backbone.") and ".norm." in name


# Plain replacements, one after the other, from a name of Hugging Face to one of detectron2.
RENAMES = (
    ("model.pixel_level_module.encoder.encoder.layers", "backbone.layers"),
    ("model.pixel_level_module.encoder.embeddings.patch_embeddings.projection", "backbone.patch_embed.proj"),
    ("model.pixel_level_module.encoder.embeddings.norm", "backbone.patch_embed.norm"),
    (".attention.self.relative", ".attn.relative"),
    (".attention.output.dense", ".attn.proj"),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
    (".intermediate.dense", ".mlp.fc1"),
    (".output.dense", ".mlp.fc2"),
    *((f"model.pixel_level_module.encoder.hidden_states_norms.stage{i + 1}", f"backbone.norm{i}") for i in range(4)),
    ("model.pixel_level_module.encoder.embedder.embedder", "backbone.stem.conv1"),
    *((f"model.pixel_level_module.encoder.encoder.stages.{i}.layers", f"backbone.res{i + 2}") for i in range(4)),
    *((f".layer.{i}.", f".conv{i + 1}.") for i in range(3)),
    (".normalization.", ".norm."),
    (".convolution.", "."),
    ("model.pixel_level_module.decoder.encoder", "sem_seg_head.pixel_decoder.transformer.encoder"),
    ("model.pixel_level_module.decoder.level_embed", "sem_seg_head.pixel_decoder.transformer.level_embed"),
    ("model.pixel_level_module.decoder.input_projections", "sem_seg_head.pixel_decoder.input_proj"),
    ("model.pixel_level_module.decoder.mask_projection", "sem_seg_head.pixel_decoder.mask_features"),
    ("model.pixel_level_module.decoder.adapter_1.0", "sem_seg_head.pixel_decoder.adapter_1"),
    ("model.pixel_level_module.decoder.adapter_1.1", "sem_seg_head.pixel_decoder.adapter_1.norm"),
    ("model.pixel_level_module.decoder.layer_1.0", "sem_seg_head.pixel_decoder.layer_1"),
    ("model.pixel_level_module.decoder.layer_1.1", "sem_seg_head.pixel_decoder.layer_1.norm"),
    ("model.transformer_module.decoder.layernorm", "sem_seg_head.predictor.decoder_norm"),
    ("model.transformer_module.queries_features", "sem_seg_head.predictor.query_feat"),
    ("model.transformer_module.queries_embedder", "sem_seg_head.predictor.query_embed"),
    ("model.transformer_module.level_embed", "sem_seg_head.predictor.level_embed"),
    ("class_predictor", "sem_seg_head.predictor.class_embed"),
    *(
        (
            f"model.transformer_module.decoder.mask_predictor.mask_embedder.{i}.0",
            f"sem_seg_head.predictor.mask_embed.layers.{i}",
        )
        for i in range(3)
    ),
)
ENCODER_LAYER = (
    ("self_attn_layer_norm", "norm1"),
    ("final_layer_norm", "norm2"),
    ("fc1", "linear1"),
    ("fc2", "linear2"),
)
DECODER_LAYER = (
    (r"cross_attn_layer_norm", r"transformer_cross_attention_layers.\1.norm"),
    (r"self_attn_layer_norm", r"transformer_self_attention_layers.\1.norm"),
    (r"final_layer_norm", r"transformer_ffn_layers.\1.norm"),
    (r"cross_attn", r"transformer_cross_attention_layers.\1.multihead_attn"),
    (r"self_attn", r"transformer_self_attention_layers.\1.self_attn"),
    (r"fc1", r"transformer_ffn_layers.\1.linear1"),
    (r"fc2", r"transformer_ffn_layers.\1.linear2"),
)


def as_detectron2(tensors, join):
    """The tensors of a Mask2Former of Hugging Face, as detectron2 would have saved them.

    Args:
        tensors: name -> tensor, as `save_pretrained` writes them.
        join: puts query, key and value on top of each other.
    """
    renamed = {}
    for name, tensor in tensors.items():
        triple = re.fullmatch(r"(.+\.(?:attention\.self|self_attn)\.)(query|q_proj)(\.\w+)", name)
        if triple:
            others = ("key", "value") if triple[2] == "query" else ("k_proj", "v_proj")
            tensor = join([tensor, *(tensors[triple[1] + other + triple[3]] for other in others)])
            joined = "qkv" + triple[3] if triple[2] == "query" else "in_proj_" + triple[3][1:]
            name = triple[1].replace("attention.self.", "attn.") + joined
        elif re.search(r"\.(attention\.self|self_attn)\.(key|value|k_proj|v_proj)\.", name) or "swin.layernorm" in name:
            continue
        renamed[_named(name)] = tensor
    return renamed


def _named(name):
    for old, new in DECODER_LAYER:
        name = re.sub(
            rf"model\.transformer_module\.decoder\.layers\.(\d+)\.{old}", f"sem_seg_head.predictor.{new}", name
        )
    for old, new in RENAMES:
        name = name.replace(old, new)
    if name.startswith("sem_seg_head.pixel_decoder.transformer.encoder"):
        for old, new in ENCODER_LAYER:
            name = name.replace(old, new)
    return name
