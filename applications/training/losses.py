"""Losses over the examples that count."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from zorro_keras.applications.training.replicas import sum_of_replicas


def weighted_mean(values: Any, weights: Any) -> Any:
    """Returns the mean of some values, each counted as often as its weight says.

    Where Keras divides a weighted sum by the size of the batch, a batch with blanks would teach and measure
    less than one without. A replica of `tf.distribute` has a part of the batch, and returns its part of the
    mean: over all of it the parts are added up.

    Args:
        values: float tensor `(B, ...)`.
        weights: tensor of the same shape, at least 0.

    Returns:
        Scalar, float32; 0 where nothing counts.
    """
    weights = ops.cast(weights, "float32")
    total = sum_of_replicas(ops.sum(weights))
    return ops.sum(weights * ops.cast(values, "float32")) / ops.maximum(total, 1e-7)


def example_losses(loss: Any, labels: Any, predictions: Any) -> Any:
    """Returns the loss of each example `(B,)`, whatever the reduction that the loss was made with.

    Args:
        loss: `keras.losses.Loss`, or a function of labels and predictions.
        labels, predictions: tensors `(B, ...)`.
    """
    values = (loss.call if isinstance(loss, keras.losses.Loss) else loss)(labels, predictions)
    return values if len(values.shape) == 1 else ops.mean(values, axis=tuple(range(1, len(values.shape))))


def as_probabilities(labels: Any, num_classes: int, sample_weight: Any = None) -> Any:
    """Returns labels as float32 `(B, K)`: ints `(B,)` one-hot, anything else as it is.

    An int that is no class gives NaN, and so does the loss: a step that is compiled cannot raise on every
    backend, and a row of zeros would count as a loss of 0. Where the weight is 0 it counts for nothing.

    Args:
        labels: int tensor `(B,)`, or float `(B, K)`.
        num_classes: int. K.
        sample_weight: optional tensor of B weights.
    """
    labels = ops.convert_to_tensor(labels)
    if len(labels.shape) != 1:
        return ops.cast(labels, "float32")
    is_class = ops.equal(ops.cast(labels, "int32")[:, None], ops.arange(num_classes, dtype="int32"))
    is_wrong = ops.logical_not(ops.any(is_class, axis=-1, keepdims=True))
    if sample_weight is not None:
        is_wrong = ops.logical_and(is_wrong, ops.reshape(sample_weight, (-1, 1)) > 0)
    return ops.where(is_wrong, float("nan"), ops.cast(is_class, "float32"))
