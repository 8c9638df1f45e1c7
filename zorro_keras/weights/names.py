"""What each weight is called here, in DeepMind's Haiku code and at Hugging Face, model by model.

Ours are attribute paths on a `PerceiverIOBackbone`. Axes are names, or sizes where they are fixed: the same
name means the same size in a whole model, and so a model is built from the shapes of its file.
"""

from typing import NamedTuple


class Row(NamedTuple):
    """One weight: its three names, its form (see `forms`), and its axes in our order."""

    ours: str
    deepmind: str
    hugging_face: str
    form: str
    axes: tuple


_SEPARATORS = (".", "/", ".")  # ours, DeepMind's, Hugging Face's


def _placed(places, names):
    return tuple(
        separator.join(part for part in (place, name) if part)
        for separator, place, name in zip(_SEPARATORS, places, names, strict=True)
    )


def _table(ours, deepmind, hugging_face, *axes, form="table"):
    return (Row(ours, deepmind, hugging_face, form, axes),)


def _norm(names, axis):
    leaves = (("gamma", "scale", "weight"), ("beta", "offset", "bias"))
    return tuple(Row(*_placed(names, leaf), "vector", (axis,)) for leaf in leaves)


def _linear(names, inputs, outputs, form="matrix"):
    return (
        Row(*_placed(names, ("kernel", "w", "weight")), form, (inputs, outputs)),
        Row(*_placed(names, ("bias", "b", "bias")), "vector", (outputs,)),
    )


_CROSS_NORMS = (
    (("query_norm", "layer_norm", "attention.self.layernorm1"), "query"),
    (("context_norm", "layer_norm_1", "attention.self.layernorm2"), "context"),
    (("mlp_norm", "layer_norm_2", "layernorm"), "query"),
)
_SELF_NORMS = (
    (("attention_norm", "layer_norm", "attention.self.layernorm1"), "query"),
    (("mlp_norm", "layer_norm_1", "layernorm"), "query"),
)
_LINEARS = (
    (("attention.query_dense", "attention/linear", "attention.self.query"), "query", "query_key_dim"),
    (("attention.key_dense", "attention/linear_1", "attention.self.key"), "context", "query_key_dim"),
    (("attention.value_dense", "attention/linear_2", "attention.self.value"), "context", "value_dim"),
    (("attention.output_dense", "attention/linear_3", "attention.output.dense"), "value_dim", "query"),
    (("mlp.hidden_dense", "mlp/linear", "mlp.dense1"), "query", "mlp_dim"),
    (("mlp.output_dense", "mlp/linear_1", "mlp.dense2"), "mlp_dim", "query"),
)


def block(places, norms, role, query, context):
    """Returns the rows of a block of attention and MLP.

    Args:
        places: its names, ours, DeepMind's and Hugging Face's.
        norms: `_CROSS_NORMS` or `_SELF_NORMS`.
        role: what its widths are called after, such as "cross" in "cross_mlp_dim".
        query: axis of the side that reads.
        context: axis of the side that is read.
    """
    axes = {"query": query, "context": context}
    axes |= {width: f"{role}_{width}" for width in ("query_key_dim", "value_dim", "mlp_dim")}
    rows = [_norm(_placed(places, names), axes[axis]) for names, axis in norms]
    rows += [_linear(_placed(places, names), axes[i], axes[o]) for names, i, o in _LINEARS]
    return tuple(row for group in rows for row in group)


def encoder(num_layers, context="context_dim", deepmind="perceiver_encoder"):
    """Returns the rows of an encoder with so many layers in its stack."""
    latents = (
        "encoder.latents.array",
        f"{deepmind}/~/trainable_position_encoding/pos_embs",
        "perceiver.embeddings.latents",
    )
    places = ("encoder.cross_attention", f"{deepmind}/~/cross_attention", "perceiver.encoder.cross_attention")
    rows = _table(*latents, "num_latents", "latent_dim")
    rows += block(places, _CROSS_NORMS, "cross", "latent_dim", context)
    for layer in range(num_layers):
        suffix = f"_{layer}" if layer else ""
        places = (
            f"encoder.blocks.{layer}",
            f"{deepmind}/~/self_attention{suffix}",
            f"perceiver.encoder.self_attends.{layer}",
        )
        rows += block(places, _SELF_NORMS, "self", "latent_dim", "latent_dim")
    return rows


def decoder(deepmind, hugging_face="perceiver.decoder.decoder", query="query_dim"):
    """Returns the rows of a decoder's cross-attention."""
    places = (
        "decoder.cross_attention",
        f"{deepmind}/cross_attention",
        f"{hugging_face}.decoding_cross_attention",
    )
    return block(places, _CROSS_NORMS, "decoder", query, "latent_dim")


_CLASSES = "classification_decoder/~/basic_decoder"
_FEATURES = "perceiver.decoder.decoder"
_INPUT = "perceiver.input_preprocessor"
_HAIKU_IMAGE = "image_preprocessor/~_build_network_inputs"

_TEXT_INPUT = (
    *_table("input_adapters.text.stem.embeddings", "embed/embeddings", f"{_INPUT}.embeddings.weight",
            "vocabulary_size", "embed_dim"),
    *_table("input_adapters.text.positions.array", "trainable_position_encoding/pos_embs",
            f"{_INPUT}.position_embeddings.weight", "length", "embed_dim"),
)  # fmt: skip
_LABEL_OUTPUT = (
    *decoder(_CLASSES),
    *_table("output_adapters.label.queries.array", f"{_CLASSES}/~/trainable_position_encoding/pos_embs",
            f"{_FEATURES}.output_position_encodings.position_embeddings", 1, "query_dim"),
    *_linear(("output_adapters.label.head.dense", f"{_CLASSES}/output", f"{_FEATURES}.final_layer"),
             "query_dim", "num_classes"),
)  # fmt: skip
_LANGUAGE = (
    *_TEXT_INPUT,
    *decoder("basic_decoder", "perceiver.decoder", query="embed_dim"),
    *_table("output_adapters.text.queries.array", "basic_decoder/~/trainable_position_encoding/pos_embs",
            "perceiver.decoder.output_position_encodings.position_embeddings", "length", "embed_dim"),
    *_table("output_adapters.text.head.bias", "embedding_decoder/bias", "embedding_decoder.bias",
            "vocabulary_size", form="vector"),
)  # fmt: skip
_IMAGE_LEARNED = (
    *_linear(("input_adapters.image.stem.projection", "image_preprocessor/~/conv2_d",
              f"{_INPUT}.convnet_1x1"), "channels", "embed_dim", form="pointwise"),
    *_table("input_adapters.image.positions.array", f"{_HAIKU_IMAGE}/trainable_position_encoding/pos_embs",
            f"{_INPUT}.position_embeddings.position_embeddings", "num_pixels", "code_dim"),
    *_linear(("input_adapters.image.position_projection",
              f"{_HAIKU_IMAGE}/position_encoding_projector/linear", f"{_INPUT}.positions_projection"),
             "code_dim", "position_dim"),
    *_LABEL_OUTPUT,
)  # fmt: skip
_STEM = ("input_adapters.image.stem", "image_preprocessor/~/conv2_d_downsample/~", f"{_INPUT}.convnet")
_STEM_ROWS = (
    (("convolutions.0.kernel", "conv/w", "conv.weight"), "kernel", (7, 7, "channels", "embed_dim")),
    (("norms.0.gamma", "batchnorm/scale", "batchnorm.weight"), "channels", ("embed_dim",)),
    (("norms.0.beta", "batchnorm/offset", "batchnorm.bias"), "channels", ("embed_dim",)),
    (("norms.0.moving_mean", "batchnorm/~/mean_ema/average", "batchnorm.running_mean"), "channels",
     ("embed_dim",)),
    (("norms.0.moving_variance", "batchnorm/~/var_ema/average", "batchnorm.running_var"), "channels",
     ("embed_dim",)),
)  # fmt: skip
_IMAGE_CONV = (
    *(Row(*_placed(_STEM, names), form, axes) for names, form, axes in _STEM_ROWS),
    *_LABEL_OUTPUT,
)
_FLOW = (
    *_linear(("input_adapters.frames.stem.projection", "image_preprocessor/patches_linear",
              f"{_INPUT}.conv_after_patches"), "neighbourhood", "embed_dim"),
    *decoder("flow_decoder/~/basic_decoder", query="context_dim"),
    *_linear(("decoder.output_dense", "flow_decoder/~/basic_decoder/output", f"{_FEATURES}.final_layer"),
             "context_dim", "output_dim"),
)  # fmt: skip
_HEADS = {
    "audio": ("head", "audio_postprocessor/linear", "samples_per_patch"),
    "image": ("head", "projection_postprocessor/linear", "channels"),
    "label": ("head.dense", "classification_postprocessor/linear", "num_classes"),
}


def _modality(name):
    head, haiku_head, outputs = _HEADS[name]
    haiku_query = "multimodal_decoder/~decoder_query"
    return (
        *_table(f"parts.input_join.paddings.{name}", f"multimodal_preprocessor/{name}_padding/pos_embs",
                f"{_INPUT}.padding.{name}", 1, f"{name}_padding"),
        *_table(f"parts.input_join.mask_vectors.{name}",
                f"multimodal_preprocessor/{name}_mask_token/pos_embs", f"{_INPUT}.mask.{name}",
                1, "context_dim"),
        *_table(f"parts.query_join.paddings.{name}", f"{haiku_query}/{name}_padding/pos_embs",
                f"perceiver.decoder.padding.{name}", 1, f"{name}_query_padding"),
        *_linear((f"output_adapters.{name}.{head}", haiku_head,
                  f"perceiver.output_postprocessor.modalities.{name}.classifier"), "output_dim", outputs),
    )  # fmt: skip


_AUTOENCODER = (
    *(row for name in _HEADS for row in _modality(name)),
    *decoder("multimodal_decoder/~/basic_decoder"),
    *_linear(("decoder.output_dense", "multimodal_decoder/~/basic_decoder/output",
              f"{_FEATURES}.final_layer"), "query_dim", "output_dim"),
    *_table("output_adapters.label.queries.array", f"{_CLASSES}/~/trainable_position_encoding/pos_embs",
            "perceiver.decoder.modalities.label.decoder.output_position_encodings.position_embeddings",
            1, "label_query_dim"),
)  # fmt: skip
_MODELS = {
    "language": _LANGUAGE,
    "text_classification": (*_TEXT_INPUT, *_LABEL_OUTPUT),
    "image_learned": _IMAGE_LEARNED,
    "image_fourier": _LABEL_OUTPUT,
    "image_conv": _IMAGE_CONV,
    "optical_flow": _FLOW,
    "autoencoder": _AUTOENCODER,
}


def rows(model, num_layers):
    """Returns the rows of a whole model whose stack has so many layers."""
    context = "embed_dim" if model in ("language", "text_classification") else "context_dim"
    haiku = "encoder" if model == "autoencoder" else "perceiver_encoder"
    return encoder(num_layers, context, haiku) + _MODELS[model]


# The tensor by which a file is known to be of a model; the first that is there counts.
MARKS = {
    "hugging_face": {
        f"{_INPUT}.padding.audio": "autoencoder",
        f"{_INPUT}.conv_after_patches.weight": "optical_flow",
        f"{_INPUT}.convnet.conv.weight": "image_conv",
        f"{_INPUT}.convnet_1x1.weight": "image_learned",
        "embedding_decoder.bias": "language",
        f"{_INPUT}.embeddings.weight": "text_classification",
        f"{_FEATURES}.final_layer.weight": "image_fourier",
    },
    "deepmind": {
        "multimodal_preprocessor/audio_padding/pos_embs": "autoencoder",
        "image_preprocessor/patches_linear/w": "optical_flow",
        "image_preprocessor/~/conv2_d_downsample/~/conv/w": "image_conv",
        f"{_HAIKU_IMAGE}/trainable_position_encoding/pos_embs": "image_learned",
        "embedding_decoder/bias": "language",
        f"{_CLASSES}/output/w": "image_fourier",
    },
}

# How the names of a stack's layers begin: their number is that of the different beginnings.
LAYERS = {
    "hugging_face": r"perceiver\.encoder\.self_attends\.\d+",
    "deepmind": r"[a-z_]+/~/self_attention(_\d+)?",
}

# Tensors that no model needs, by the end of their names.
UNUSED = {
    "batchnorm.num_batches_tracked": "a counter of torch's batch norm",
    "_ema/hidden": "the moving average before its bias correction",
    "_ema/counter": "a counter of Haiku's moving average",
}
