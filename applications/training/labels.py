"""Checks labels on the host, because backends disagree about bad ones: JAX would train on them."""

from __future__ import annotations

from typing import Any

from zorro_keras.applications.pipelines.faults import TrainingError


def label_names_of(data: Any) -> tuple[str, ...]:
    """The class names of opened data; empty for a task without classes.

    Raises:
        TrainingError: if a name appears twice.
    """
    names = tuple(getattr(data, "label_names", ()))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TrainingError(
            f"`label_names` must differ from each other. Received twice: {twice}",
            stage="labels",
            reason="bad_label",
        )
    return names


def with_checked_labels(
    dataset: Any, num_classes: int, *, smoothing: float = 0.0, multi_label: bool = False
) -> Any:
    """Makes a dataset raise at the first batch whose labels are not class probabilities.

    Args:
        dataset: `tf.data.Dataset` of `(x, y)` or `(x, y, sample_weight)`, `y` float32 `(B, K)` within [0, 1];
            or a dict, of a task with several heads, which checks its labels where it reads them.
        num_classes: int. K.
        smoothing: float in [0, 1). Share of each label that is spread evenly over the K classes, or, of
            `multi_label`, over yes and no.
        multi_label: bool, whether each class is a question of its own.

    Returns:
        The dataset, with `y` replaced by `(1 - smoothing) * y + smoothing / K`; of `multi_label`, by
        `(1 - smoothing) * y + smoothing / 2`.

    Raises:
        TrainingError: if the labels have another shape or type.
    """
    import tensorflow as tf

    spec = dataset.element_spec[1]
    if isinstance(spec, dict):
        return dataset
    if spec.shape.rank != 2 or spec.shape[-1] != num_classes or not spec.dtype.is_floating:
        raise TrainingError(
            f"Labels must be float (B, {num_classes}). Received: {spec.dtype.name} {tuple(spec.shape)}",
            stage="labels", reason="bad_label",
        )  # fmt: skip

    def check(x: Any, y: Any, *weight: Any) -> tuple[Any, ...]:
        # NaN compares false, so it fails as well.
        inside = tf.reduce_all((y >= 0.0) & (y <= 1.0))
        message = "[bad_label] Labels must lie within [0, 1]. Received a batch with"
        with tf.control_dependencies([tf.debugging.Assert(inside, [message, y], summarize=8)]):
            y = tf.identity(y)
        return (x, (1.0 - smoothing) * y + smoothing / (2 if multi_label else num_classes), *weight)

    return dataset.map(check)
