"""Builds the model that a configuration describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras

from zorro_keras.applications.masked_language.config import Config, ModelConfig
from zorro_keras.applications.masked_language.masked_language_model import MaskedLanguageModel
from zorro_keras.applications.masked_language.preprocessor import MaskedLanguagePreprocessor
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.text_tokens import load_tokenizer
from zorro_keras.applications.training.start_weights import StartReport, start_backbone
from zorro_keras.models import PerceiverIOBackbone

# The last word of a layer's setting -> its key in the configuration.
_KEYS = {field.name: f"model.{field.name}" for field in dataclasses.fields(ModelConfig)} | {
    "activation": "model.semantics",
    "length": "data.length",
    "num_cross_heads": "model.num_heads",
    "vocabulary_size": "data.tokenizer",
    "tokenizer": "data.tokenizer",
}


def build_model(config: Config, label_names: Sequence[str] = ()) -> MaskedLanguageModel:
    """Returns the untrained model of a configuration, its preprocessor attached.

    Args:
        config: `Config`.
        label_names: empty: the vocabulary is the tokenizer's.

    Raises:
        ConfigError: if there are label names, or the tokenizer has another number of ids than the model.
    """
    if label_names:
        raise ConfigError(
            f"A masked language model has no classes. Received: label_names={list(label_names)[:5]}",
            stage="config", reason="bad_value",
        )  # fmt: skip
    tokenizer, data, model = load_tokenizer(config.data.tokenizer), config.data, config.model
    vocabulary_size, seed = tokenizer.vocabulary_size, config.training.seed
    if model.vocabulary_size not in (None, vocabulary_size):
        raise ConfigError(
            f"`model.vocabulary_size` must be that of the tokenizer, {vocabulary_size}. "
            f"Received: model.vocabulary_size={model.vocabulary_size}",
            stage="config", reason="bad_value",
        )  # fmt: skip
    backbone = PerceiverIOBackbone.from_variant(
        "language",
        model.semantics,
        length=data.length,
        vocabulary_size=vocabulary_size,
        seed=seed,
        **model.sizes(),
    )
    table = backbone.input_adapters["text"].stem.embeddings
    table.assign(keras.initializers.TruncatedNormal(stddev=model.embedding_stddev, seed=seed)(table.shape))
    preprocessor = MaskedLanguagePreprocessor(tokenizer, data.length, data.mask_rate, seed)
    return MaskedLanguageModel(backbone, preprocessor)


def start_weights(model: MaskedLanguageModel, config: Config) -> StartReport | None:
    """Goes on from `model.pretrained`, before the first step; without that, does nothing.

    Returns:
        What was copied: all of it, the last layer included.

    Raises:
        CheckpointError: if it cannot be read, is no language model, or was made with another tokenizer,
            length, sizes or activation.
    """
    if config.model.pretrained is None:
        return None
    return start_backbone(
        model.backbone,
        config.model.pretrained,
        semantics=config.model.semantics,
        preprocessing={"tokenizer": model.preprocessor.tokens.get_config()},
        keys=_KEYS,
        heads=("text",),
    )
