"""Builds the classifier that a configuration describes, and starts it from a masked language model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from zorro_keras.applications.text_classification.classifier import TextClassifier
from zorro_keras.applications.text_classification.config import Config, ModelConfig
from zorro_keras.applications.text_classification.preprocessor import TextPreprocessor
from zorro_keras.applications.text_classification.scores import default_metrics, task_scores
from zorro_keras.applications.text_classification.text_sets import tasks_of
from zorro_keras.applications.training.start_weights import StartReport, start_backbone
from zorro_keras.layers import LearnedArray, OutputAdapter, PerceiverDecoder
from zorro_keras.models import PerceiverIOBackbone

# The last word of a layer's setting -> its key in the configuration.
_KEYS = {field.name: f"model.{field.name}" for field in dataclasses.fields(ModelConfig)} | {
    "activation": "model.semantics",
    "length": "model.num_positions",
    "vocabulary_size": "data.tokenizer",
    "tokenizer": "data.tokenizer",
}


def build_model(config: Config, label_names: Sequence[str]) -> TextClassifier:
    """Returns the untrained classifier of a configuration, its preprocessor attached.

    Args:
        config: `Config`.
        label_names: sequence of `task/label`, as `TextData.label_names` gives it.
    """
    tasks, model = tasks_of(label_names), config.model
    preprocessor = TextPreprocessor(config.data.tokenizer, config.data.length, tasks)
    language_model = PerceiverIOBackbone.from_variant(
        "language",
        model.semantics,
        length=model.num_positions,
        vocabulary_size=preprocessor.text_tokens.vocabulary_size,
        seed=config.training.seed,
        **model.sizes(),
    )
    return TextClassifier(
        task_queries(language_model, tasks),
        {task: len(labels) for task, labels in tasks.items()},
        preprocessor=preprocessor,
        label_smoothing=config.training.label_smoothing,
    )


def task_queries(language_model: PerceiverIOBackbone, tasks: Sequence[str] | Mapping) -> PerceiverIOBackbone:
    """Returns a backbone that shares the input and the encoder of another and answers one query per task.

    The queries are learned, as wide as an id's embedding, and answered together by a new decoder of the same
    settings: 8 tasks are an output array of 8 x E.

    Args:
        language_model: `PerceiverIOBackbone` of one input of ids.
        tasks: names of the tasks.

    Reference:
        Perceiver IO, arXiv 2107.14795, section 4.1: multitask Perceiver IO.
    """
    ((name, adapter),) = language_model.input_adapters.items()
    policy = language_model.dtype_policy
    decoder = PerceiverDecoder.from_config({**language_model.decoder.get_config(), "name": "task_decoder"})
    queries = {
        task: OutputAdapter(LearnedArray(1, adapter.dim, dtype=policy, name=f"query_{place}"))
        for place, task in enumerate(sorted(tasks))
    }
    return PerceiverIOBackbone(
        {name: adapter}, language_model.encoder, queries, decoder, query_padding=0, dtype=policy
    )


def start_weights(model: TextClassifier, config: Config) -> StartReport | None:
    """Starts a model from `model.pretrained`, before its first step; without that, does nothing.

    Returns:
        What was copied: input, encoder and decoder. Queries and heads start fresh.

    Raises:
        CheckpointError: if it cannot be read, or was made with another tokenizer, sizes or activation.
    """
    if config.model.pretrained is None:
        return None
    return start_backbone(
        model.backbone,
        config.model.pretrained,
        semantics=config.model.semantics,
        preprocessing={"tokenizer": model.preprocessor.text_tokens.get_config()},
        keys=_KEYS,
    )


def epoch_metrics(
    predictions: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    sample_weight: Mapping[str, np.ndarray],
) -> dict[str, float]:
    """Returns the official figures of each task over a whole split, as `TASK_figure`.

    Args:
        predictions: dict of task to `(B, K)`.
        labels: dict of task to `(B,)`.
        sample_weight: dict of task to `(B,)`; 0 where an example is another task's or padding.
    """
    figures = {}
    for task, answers in predictions.items():
        metrics = default_metrics(task, answers.shape[1])
        scores = task_scores(metrics, labels[task], answers, sample_weight[task])
        figures.update({f"{task}_{metric}": score for metric, score in scores.items()})
    return figures
