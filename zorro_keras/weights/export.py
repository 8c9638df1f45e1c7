"""From a model to a repository that Hugging Face's transformers loads."""

import json
from pathlib import Path

import keras
import numpy as np
from safetensors.numpy import save_file

from zorro_keras.weights import names
from zorro_keras.weights.axes import sizes_of
from zorro_keras.weights.error import WeightsError
from zorro_keras.weights.expressible import inexpressible
from zorro_keras.weights.forms import to_hugging_face
from zorro_keras.weights.load import variable_at, weights_without
from zorro_keras.weights.settings import ACTIVATIONS

_CLASSES = {
    "language": "PerceiverForMaskedLM",
    "text_classification": "PerceiverForSequenceClassification",
    "image_learned": "PerceiverForImageClassificationLearned",
    "image_fourier": "PerceiverForImageClassificationFourier",
    "image_conv": "PerceiverForImageClassificationConvProcessing",
}
_INPUTS = {"language": "text", "text_classification": "text"}  # image for the others
_COUNTER = "perceiver.input_preprocessor.convnet.batchnorm.num_batches_tracked"


def save_hugging_face(backbone, folder, labels=None):
    """Writes `model.safetensors` and `config.json` as Hugging Face's transformers reads them.

    Args:
        backbone: `PerceiverIOBackbone` for masked language, text classification or image classification, in
            a form that transformers has: one input "text" or "image", one output "text" or "label", semantics
            "hugging_face". Weights of another type than float32 are cast to it.
        folder: str or path, made where it is missing.
        labels: optional sequence of str, the names of a classifier's classes in the order of its logits;
            `LABEL_0` and so on without. A task has them: `task.preprocessor.label_names`.

    Raises:
        WeightsError: for a model that transformers would not compute the same way, naming each setting in
            which they differ, as for image_learned and image_conv with DeepMind's numbers; or for labels
            that are not its classes'. Nothing is written then.

    Reference:
        The Perceiver of huggingface/transformers, whose fixed widths and heads are checked here.
    """
    model, variables = _recognised(backbone)
    arrays = {row: _array(variable) for row, variable in variables.items()}
    axes = sizes_of(arrays, "hugging_face")
    config = {**_config(backbone, model, axes), **_labelled(labels, axes.get("num_classes", 0))}
    faults = [f"the weight {path}" for path in weights_without(backbone, variables.values())]
    if faults := faults or inexpressible(backbone, model, axes, config):
        raise WeightsError(
            f"`backbone` must be what {_CLASSES[model]} of transformers computes. "
            f"Received: {'; '.join(faults)}"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {row.hugging_face: to_hugging_face(row, array) for row, array in arrays.items()}
    if model == "image_conv":
        tensors[_COUNTER] = np.zeros((), "int64")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _recognised(backbone):
    """Returns whose weights a backbone has all of, the largest such model, and dict of row to variable."""
    found = {}
    for model in _CLASSES:
        rows = names.rows(model, backbone.encoder.num_layers)
        if _INPUTS.get(model, "image") not in backbone.input_adapters:
            continue
        try:
            found[model] = {row: variable_at(backbone, row.ours) for row in rows}
        except (AttributeError, KeyError, IndexError, TypeError):
            continue
    if not found:
        raise WeightsError(
            f"`backbone` must have the weights of one of {list(_CLASSES)}, an input called text or image, "
            f"and an output called text or label. Received: inputs {list(backbone.input_adapters)}, outputs "
            f"{list(backbone.output_adapters)}"
        )
    return max(found.items(), key=lambda item: len(item[1]))


def _config(backbone, model, axes):
    encoder, adapter = backbone.encoder, backbone.input_adapters[_INPUTS.get(model, "image")]
    latent_dim = encoder.latent_dim
    config = {
        "architectures": [_CLASSES[model]],
        "model_type": "perceiver",
        "num_latents": encoder.num_latents,
        "d_latents": latent_dim,
        "d_model": adapter.dim,
        "num_blocks": encoder.num_repeats,
        "num_self_attends_per_block": encoder.num_layers,
        "num_self_attention_heads": encoder.num_heads,
        "num_cross_attention_heads": encoder.num_cross_heads,
        "qk_channels": encoder.query_key_dim,
        "v_channels": encoder.value_dim,
        "self_attention_widening_factor": axes["self_mlp_dim"] // latent_dim,
        "cross_attention_widening_factor": axes["cross_mlp_dim"] // latent_dim,
        "hidden_act": _activation(encoder),
        "attention_probs_dropout_prob": encoder.attention_dropout_rate,
        "dtype": "float32",
    }
    if model in _INPUTS:
        config["vocab_size"] = axes["vocabulary_size"]
        config["max_position_embeddings"] = axes["length"]
    else:
        config["image_size"] = adapter.stream.shape[0]
    return config


def _labelled(labels, num_classes):
    """Returns what `config.json` says of the classes; of a model without classes nothing."""
    if labels is None:
        labels = [f"LABEL_{label}" for label in range(num_classes)]
    labels = [labels] if isinstance(labels, str) else list(labels)
    if len(labels) != num_classes or not all(isinstance(name, str) and name.strip() for name in labels):
        raise WeightsError(
            f"`labels` must be {num_classes} names, one for each class. Received: {len(labels)}: {labels[:5]}"
        )
    if not labels:
        return {}
    return {
        "id2label": {str(label): name for label, name in enumerate(labels)},
        "label2id": {name: label for label, name in enumerate(labels)},
    }


def _activation(encoder):
    """Returns transformers' name of the activation.

    Raises:
        WeightsError: if it has none.
    """
    theirs = {keras.activations.get(ours): theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    if encoder.activation not in theirs:
        raise WeightsError(
            f"`encoder.activation` must be one of {list(ACTIVATIONS)} for transformers. "
            f"Received: {keras.activations.serialize(encoder.activation)}"
        )
    return theirs[encoder.activation]


def _array(variable):
    return keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))
