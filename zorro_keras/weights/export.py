"""From a model to a repository that Hugging Face's transformers loads."""

import json
from pathlib import Path

import keras
import numpy as np
from safetensors.numpy import save_file

from zorro_keras.layers import ClassificationHead, FourierPositions, LearnedArray, TiedEmbedding
from zorro_keras.streams import Image, Tokens
from zorro_keras.weights import names
from zorro_keras.weights.error import WeightsError
from zorro_keras.weights.forms import to_hugging_face
from zorro_keras.weights.load import variable_at
from zorro_keras.weights.settings import ACTIVATIONS

_CLASSES = {
    "language": "PerceiverForMaskedLM",
    "text_classification": "PerceiverForSequenceClassification",
    "image_learned": "PerceiverForImageClassificationLearned",
    "image_fourier": "PerceiverForImageClassificationFourier",
    "image_conv": "PerceiverForImageClassificationConvProcessing",
}
_LABEL = ("label", LearnedArray, ClassificationHead)
_KINDS = {
    ("text", Tokens, "add", "cut", LearnedArray, "text", LearnedArray, TiedEmbedding): "language",
    ("text", Tokens, "add", "cut", LearnedArray, *_LABEL): "text_classification",
    ("image", Image, "concat", "cut", LearnedArray, *_LABEL): "image_learned",
    ("image", Image, "concat", "cut", FourierPositions, *_LABEL): "image_fourier",
    ("image", Image, "concat", "conv", FourierPositions, *_LABEL): "image_conv",
}
_COUNTER = "perceiver.input_preprocessor.convnet.batchnorm.num_batches_tracked"


def save_hugging_face(backbone, folder):
    """Writes `model.safetensors` and `config.json` as Hugging Face's transformers reads them.

    Args:
        backbone: `PerceiverIOBackbone` for masked language, text classification or image classification, in
            a form that transformers has: one input "text" or "image", one output "text" or "label".
        folder: str or path, made where it is missing.

    Raises:
        WeightsError: for a model that transformers would not compute the same way, saying where it differs.

    Reference:
        The Perceiver of huggingface/transformers, whose fixed widths and heads are checked here.
    """
    model = _model_of(backbone)
    if faults := [fault for fault, differs in _differences(backbone, model).items() if differs]:
        raise WeightsError(f"{_CLASSES[model]} of transformers has not: {'; '.join(faults)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        row.hugging_face: to_hugging_face(row, _array(variable_at(backbone, row.ours)))
        for row in names.rows(model, backbone.encoder.num_layers)
    }
    if model == "image_conv":
        tensors[_COUNTER] = np.zeros((), "int64")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.dumps(_config(backbone, model), indent=2)
    (folder / "config.json").write_text(config + "\n", encoding="utf-8")


def _model_of(backbone):
    """Returns which of transformers' models a backbone is, by the kinds of its parts."""
    inputs, outputs = backbone.input_adapters, backbone.output_adapters
    adapter, output = next(iter(inputs.values())), next(iter(outputs.values()))
    kinds = (
        *inputs,
        type(adapter.stream),
        adapter.join,
        "conv" if adapter.stem == "conv" else "cut",
        type(adapter.positions),
        *outputs,
        type(output.queries),
        type(output.head),
    )
    if kinds not in _KINDS:
        raise WeightsError(
            f"Only models of text or images as transformers has them are exported: {list(_CLASSES)}. "
            f"Received: inputs {list(inputs)}, outputs {list(outputs)}, of {kinds}"
        )
    return _KINDS[kinds]


def _differences(backbone, model):
    """Returns what transformers cannot express, as a dict of words to whether the model has it."""
    encoder, decoder = backbone.encoder, backbone.decoder
    (adapter,), (output,) = backbone.input_adapters.values(), backbone.output_adapters.values()
    query, width, language = output.queries.dim, encoder.latent_dim, model == "language"
    differences = {
        f"{decoder.num_heads} decoder heads": decoder.num_heads != (8 if language else 1),
        f"decoder query residual {decoder.query_residual}": decoder.query_residual == language,
        "a decoder MLP of another width than its query": decoder.mlp_dim not in (None, query),
        "MLPs that are no multiple of the latents": any(
            (dim or width) % width for dim in (encoder.mlp_dim, encoder.cross_mlp_dim)
        ),
        "values of the self-attention unlike the latents": encoder.value_dim != width
        and (encoder.value_dim or encoder.query_key_dim) is not None,
        f"{output.queries.length} queries": output.queries.length
        != (adapter.stream.num_tokens if language else 1),
        "two activations": encoder.activation is not decoder.activation,
        "other activations than transformers": _activation(encoder) is None,
        "a last linear layer in the decoder": decoder.output_dim is not None,
        "an epsilon other than 1e-5": (encoder.epsilon, decoder.epsilon) != (1e-5, 1e-5),
    }
    if language:
        widths = decoder.query_key_dim or width, decoder.value_dim or decoder.query_key_dim or width
        return {**differences, f"decoder widths {widths}": widths != (256, query)}
    widths = query, decoder.query_key_dim or width, decoder.value_dim or decoder.query_key_dim or width
    differences[f"a label query and decoder widths {widths}"] = widths != (width,) * 3
    return {**differences, **_image_differences(backbone, model)}


def _image_differences(backbone, model):
    if model == "text_classification":
        return {}
    adapter = backbone.input_adapters["image"]
    step = 4 if model == "image_conv" else 1
    found = {
        f"the stem {adapter.stem} with steps of {adapter.stream.patch}": adapter.stream.patch != (step, step),
        f"{adapter.stream.channels} colours": adapter.stream.channels != 3,
    }
    if model == "image_learned":
        widths = adapter.embed_dim, adapter.positions.dim, adapter.position_dim
        sides = adapter.stream.shape[:2]
        return {
            **found,
            f"widths {widths}": widths != (256,) * 3,
            f"pictures of {sides}": len(set(sides)) > 1,
        }
    positions = adapter.positions
    codes = positions.num_bands, positions.max_resolution, positions.keep_positions, positions.sine_only
    expected = (64, (224 // step, 224 // step), True, False)
    found[f"positions with (bands, resolution, kept, sine only) = {codes}"] = codes != expected
    embed_dim = 64 if model == "image_conv" else None
    found[f"embed_dim={adapter.embed_dim}"] = adapter.embed_dim != embed_dim
    found["the padding of DeepMind"] = model == "image_conv" and adapter.semantics != "hugging_face"
    return found


def _config(backbone, model):
    encoder, (adapter,) = backbone.encoder, backbone.input_adapters.values()
    config = {
        "architectures": [_CLASSES[model]],
        "model_type": "perceiver",
        "num_latents": encoder.num_latents,
        "d_latents": encoder.latent_dim,
        "d_model": adapter.dim,
        "num_blocks": encoder.num_repeats,
        "num_self_attends_per_block": encoder.num_layers,
        "num_self_attention_heads": encoder.num_heads,
        "num_cross_attention_heads": encoder.num_cross_heads,
        "qk_channels": encoder.query_key_dim,
        "v_channels": encoder.value_dim,
        "self_attention_widening_factor": (encoder.mlp_dim or encoder.latent_dim) // encoder.latent_dim,
        "cross_attention_widening_factor": (encoder.cross_mlp_dim or encoder.latent_dim)
        // encoder.latent_dim,
        "hidden_act": _activation(encoder),
        "attention_probs_dropout_prob": 0.0,
        "dtype": "float32",
    }
    if "text" in backbone.input_adapters:
        config["vocab_size"] = adapter.stream.vocabulary_size
        config["max_position_embeddings"] = adapter.stream.num_tokens
    else:
        config["image_size"] = adapter.stream.shape[0]
    if model != "language":
        labels = [f"LABEL_{label}" for label in range(backbone.output_adapters["label"].head.num_classes)]
        config["id2label"] = {str(label): name for label, name in enumerate(labels)}
        config["label2id"] = {name: label for label, name in enumerate(labels)}
    return config


def _activation(encoder):
    """Returns transformers' name of the activation, `None` where it has none."""
    names_ = {keras.activations.get(ours): theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    return names_.get(encoder.activation)


def _array(variable):
    return keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))
