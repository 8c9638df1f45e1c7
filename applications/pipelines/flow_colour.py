"""Changes of colour, and things in the way, in pairs of frames. Stateless TensorFlow ops."""

from __future__ import annotations

import tensorflow as tf

_LUMA = (0.2989, 0.587, 0.114)


def recoloured(
    frames: tf.Tensor,
    seed: tf.Tensor,
    *,
    brightness: tf.Tensor,
    contrast: tf.Tensor,
    saturation: tf.Tensor,
    hue: tf.Tensor,
    asymmetric_rate: float,
) -> tf.Tensor:
    """Changes brightness, contrast, saturation and hue, in this order, of both frames alike or of each.

    Args:
        frames: float32 `(2, Y, X, 3)` in [0, 255].
        seed: integer `(2,)`.
        brightness, contrast, saturation: float scalars in [0, 1). Factors are drawn from [1 - x, 1 + x].
        hue: float scalar in [0, 0.5]. Shifts are drawn from [-x, x], in turns of the colour circle.
        asymmetric_rate: float in [0, 1]. How often each frame gets colours of its own, as under other light.

    Returns:
        float32 `(2, Y, X, 3)` in [0, 255].

    Reference:
        RAFT, arXiv 2003.12039, and its code: the augmentation of photometry.
    """
    drawn = tf.random.stateless_uniform([2, 4], seed, -1.0, 1.0)
    is_asymmetric = tf.random.stateless_uniform([], seed + 1) < asymmetric_rate
    drawn = tf.where(is_asymmetric, drawn, drawn[:1])
    strength = tf.stack([tf.cast(value, tf.float32) for value in (brightness, contrast, saturation, hue)])
    changed = [_changed(frames[number] / 255.0, drawn[number] * strength) for number in range(2)]
    return tf.stack(changed) * 255.0


def _changed(frame: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
    def grey(frame: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(frame * tf.constant(_LUMA), axis=-1, keepdims=True)

    frame = tf.clip_by_value(frame * (1.0 + by[0]), 0.0, 1.0)
    mean = tf.reduce_mean(grey(frame))
    frame = tf.clip_by_value(mean + (1.0 + by[1]) * (frame - mean), 0.0, 1.0)
    pale = grey(frame)
    frame = tf.clip_by_value(pale + (1.0 + by[2]) * (frame - pale), 0.0, 1.0)
    return tf.clip_by_value(tf.image.adjust_hue(frame, by[3]), 0.0, 1.0)


def erased(frames: tf.Tensor, seed: tf.Tensor, *, rate: tf.Tensor, sides: tuple[float, float]) -> tf.Tensor:
    """Puts one or two boxes of the mean colour over the second frame, as if something were in the way.

    The flow stays as it is: the model is to guess what goes on behind.

    Args:
        frames: float32 `(2, Y, X, 3)`.
        seed: integer `(2,)`.
        rate: float scalar in [0, 1]. How often.
        sides: two floats in (0, 1]. Smallest and largest side of a box over the shorter side of the frame.

    Reference:
        RAFT, arXiv 2003.12039, and its code: the eraser.
    """
    second = frames[1]
    size = tf.cast(tf.shape(second)[:2], tf.float32)
    drawn = tf.random.stateless_uniform([2, 2, 2], seed)  # box, centre or side, axis
    chance = tf.random.stateless_uniform([], seed + 1)
    hidden = tf.zeros(tf.shape(second)[:2], tf.bool)
    for box in range(2):
        # The second box is there half as often as the first.
        wanted = chance < (rate if box == 0 else rate / 2.0)
        centre = drawn[box, 0] * size
        reach = (sides[0] + drawn[box, 1] * (sides[1] - sides[0])) * tf.reduce_min(size) / 2.0
        inside = [tf.abs(tf.range(size[axis]) + 0.5 - centre[axis]) < reach[axis] for axis in range(2)]
        hidden |= inside[0][:, None] & inside[1][None] & wanted
    covered = tf.where(hidden[..., None], tf.reduce_mean(second, axis=[0, 1]), second)
    return tf.stack([frames[0], covered])
