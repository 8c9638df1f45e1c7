"""RandAugment: some operations one after another, each chosen by chance, all of one magnitude."""

from __future__ import annotations

from functools import partial

import tensorflow as tf

from zorro_keras.applications.pipelines.image_operations import LARGEST, OPERATIONS


def rand_augment(
    image: tf.Tensor, seed: tf.Tensor, *, num_layers: int = 4, magnitude: float = 5.0
) -> tf.Tensor:
    """Applies `num_layers` of the operations to an image.

    Args:
        image: uint8 `(Y, X, 3)`.
        seed: integer `(2,)`.
        num_layers: int >= 0. Operations, one after another; the same may come again.
        magnitude: float in [0, 10]. How strong they are.

    Returns:
        uint8 `(Y, X, 3)`.

    Raises:
        ValueError: if an argument is out of range.

    Reference:
        RandAugment, arXiv 1909.13719. The paper of Perceiver IO takes 4 layers of magnitude 5.
    """
    if num_layers < 0 or not 0.0 <= magnitude <= LARGEST:
        raise ValueError(
            f"`num_layers` must be at least 0 and `magnitude` within [0, {LARGEST:g}]. "
            f"Received: num_layers={num_layers}, magnitude={magnitude}"
        )

    def one(layer: tf.Tensor, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        layer_seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(layer, seed.dtype))
        choice_seed, operation_seed = tf.unstack(tf.random.experimental.stateless_split(layer_seed, 2))
        choice = tf.random.stateless_uniform([], choice_seed, maxval=len(OPERATIONS), dtype=tf.int32)
        branches = [partial(operation, image, magnitude, operation_seed) for operation in OPERATIONS.values()]
        return layer + 1, tf.ensure_shape(tf.switch_case(choice, branches), [None, None, 3])

    # A loop, so that the operations stand in the graph once.
    start = (tf.constant(0), tf.ensure_shape(image, [None, None, 3]))
    _, image = tf.while_loop(
        lambda layer, _: layer < num_layers,
        one,
        start,
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None, 3])),
    )
    return image
