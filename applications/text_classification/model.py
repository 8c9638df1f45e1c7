"""Builds the classifier that a configuration describes, and starts it from a masked language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from zorro_keras.applications.pipelines.faults import CheckpointError
from zorro_keras.applications.text_classification.classifier import TextClassifier
from zorro_keras.applications.text_classification.config import Config
from zorro_keras.applications.text_classification.preprocessor import TextPreprocessor
from zorro_keras.applications.text_classification.scores import default_metrics, task_scores
from zorro_keras.applications.text_classification.text_sets import tasks_of
from zorro_keras.layers import LearnedArray, OutputAdapter, PerceiverDecoder
from zorro_keras.models import PerceiverIOBackbone

STREAM = "text"


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
        embed_dim=model.embed_dim,
        num_latents=model.num_latents,
        latent_dim=model.latent_dim,
        num_layers=model.num_layers,
        num_heads=model.num_heads,
        query_key_dim=model.query_key_dim,
        dropout_rate=model.dropout_rate,
        remat=model.remat,
        seed=config.training.seed,
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


def start_weights(model: TextClassifier, config: Config) -> None:
    """Puts the input and encoder of `model.pretrained`, if there is one, into a model before its first step.

    Raises:
        CheckpointError: if it cannot be read, or its sizes are not those of the configuration.
    """
    source = config.model.pretrained
    if source is None:
        return
    pretrained = _language_model(source)
    parts = {"encoder": (pretrained.encoder, model.backbone.encoder)}
    parts["input"] = tuple(part.input_adapters.get(STREAM) for part in (pretrained, model.backbone))
    for name, (theirs, ours) in parts.items():
        shapes = [None if part is None else [tuple(w.shape) for w in part.weights] for part in (theirs, ours)]
        if shapes[0] != shapes[1]:
            raise CheckpointError(
                f"The {name} of `model.pretrained` has other sizes than the configuration: "
                f"{_difference(*shapes)}.",
                path=source, stage="start_weights", reason="wrong_model",
            )  # fmt: skip
        for variable, value in zip(ours.weights, theirs.weights, strict=True):
            variable.assign(keras.ops.convert_to_numpy(value))


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


def _language_model(source: str) -> PerceiverIOBackbone:
    if (Path(source) / "config.json").is_file() and (Path(source) / "metadata.json").is_file():
        return PerceiverIOBackbone.from_preset(source)
    from zorro_keras import weights

    try:
        return weights.load(source)
    except weights.WeightsError as error:
        raise CheckpointError(
            "`model.pretrained` must be a preset of a masked language model, or published weights of one: "
            f"{error}",
            path=source, stage="start_weights", reason="bad_preset",
        ) from error  # fmt: skip


def _difference(theirs, ours) -> str:
    if theirs is None:
        return f"it has no input `{STREAM}`"
    for place, (their, our) in enumerate(zip(theirs, ours, strict=False)):
        if their != our:
            return f"array {place} has the shape {their}, not {our}"
    return f"it has {len(theirs)} arrays, not {len(ours)}"
