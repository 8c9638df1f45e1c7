"""Frames and their flow scaled, cut, mirrored or reversed: the flow follows. Stateless TensorFlow ops."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Pair = dict[str, Any]  # `frames` (2, Y, X, 3) and `flow` (Y, X, 2) float32, `valid` bool (Y, X)


def scaled_box(pair: Pair, scale_yx: tf.Tensor, corner_yx: tf.Tensor, size_yx: tuple[int, int]) -> Pair:
    """Cuts a box out of a pair that is scaled, without computing the rest.

    Pictures are interpolated linearly. So is flow between the pixels that are known, and its length scaled; a
    pixel is known where the nearest one was. Beyond the picture the border is repeated, and no flow known.

    Args:
        pair: dict with `frames` float32 `(2, Y, X, 3)`, `flow` float32 `(Y, X, 2)`, `valid` bool `(Y, X)`.
        scale_yx: float32 `(2,)`, positive. Of rows and columns.
        corner_yx: `(2,)`. First row and column of the box in the scaled picture; whole numbers keep unscaled
            pixels as they are.
        size_yx: two ints. Rows and columns of the box.

    Returns:
        Dict of the same names, of the box's size.
    """
    scale_yx, corner_yx = tf.cast(scale_yx, tf.float32), tf.cast(corner_yx, tf.float32)
    size_in = tf.shape(pair["flow"])[:2]
    places = [
        (tf.range(size_yx[axis], dtype=tf.float32) + corner_yx[axis] + 0.5) / scale_yx[axis] - 0.5
        for axis in range(2)
    ]
    taps = [_taps(place, size_in[axis]) for axis, place in enumerate(places)]
    frames = _between(pair["frames"], taps, rows_axis=1)
    known = tf.cast(pair["valid"], tf.float32)[..., None]
    weight = _between(known, taps)
    # Known flow may be anything that a file holds; what is not known weighs nothing.
    flow = _between(tf.where(known > 0, pair["flow"], 0.0), taps)
    flow = tf.math.divide_no_nan(flow, weight) * tf.reverse(scale_yx, [0])
    nearest = [tf.cast(tf.round(place), tf.int32) for place in places]
    inside = [(index >= 0) & (index < size_in[axis]) for axis, index in enumerate(nearest)]
    nearest = [tf.clip_by_value(index, 0, size_in[axis] - 1) for axis, index in enumerate(nearest)]
    valid = tf.gather(tf.gather(pair["valid"], nearest[0], axis=0), nearest[1], axis=1)
    valid &= inside[0][:, None] & inside[1][None]
    flow = tf.where(valid[..., None], flow, 0.0)
    return {
        **pair,
        "frames": tf.ensure_shape(frames, [2, *size_yx, 3]),
        "flow": tf.ensure_shape(flow, [*size_yx, 2]),
        "valid": tf.ensure_shape(valid, size_yx),
    }


def mirrored(pair: Pair, mirror_x: tf.Tensor, mirror_y: tf.Tensor) -> Pair:
    """Mirrors a pair left to right, or top to bottom, or both, and turns the flow with it.

    Args:
        pair: as for `scaled_box`.
        mirror_x, mirror_y: bool scalars.
    """
    for axis, mirror in ((1, mirror_x), (0, mirror_y)):
        sign = tf.constant([-1.0, 1.0] if axis else [1.0, -1.0])
        pair = {
            **pair,
            "frames": tf.where(mirror, tf.reverse(pair["frames"], [axis + 1]), pair["frames"]),
            "flow": tf.where(mirror, tf.reverse(pair["flow"], [axis]) * sign, pair["flow"]),
            "valid": tf.where(mirror, tf.reverse(pair["valid"], [axis]), pair["valid"]),
        }
    return pair


def reversed_pair(pair: Pair) -> Pair:
    """The pair with its frames in the other order.

    The flow back is not known, only approximated: at each pixel of the second frame the mean of what went
    there, turned round. Where nothing went it stays unknown.

    Args:
        pair: as for `scaled_box`.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix on optical flow: "averages all the flows terminating at a
        given pixel".
    """
    flow = pair["flow"]
    height, width = tf.shape(flow)[0], tf.shape(flow)[1]
    rows, columns = tf.meshgrid(tf.range(height), tf.range(width), indexing="ij")
    ends = tf.cast(tf.stack([columns, rows], axis=-1), tf.float32) + flow
    # Clipped before the cast: a float that no int32 holds may become anything.
    ends = tf.cast(tf.round(tf.clip_by_value(ends, -1.0, 2.0**20)), tf.int32)
    inside = (ends[..., 0] >= 0) & (ends[..., 0] < width) & (ends[..., 1] >= 0) & (ends[..., 1] < height)
    # What leads nowhere is counted in a place of its own, after all pixels.
    target = tf.where(inside & pair["valid"], ends[..., 1] * width + ends[..., 0], height * width)
    target = tf.reshape(target, [-1])
    count = tf.math.unsorted_segment_sum(tf.ones_like(target, tf.float32), target, height * width + 1)
    total = tf.math.unsorted_segment_sum(tf.reshape(-flow, [-1, 2]), target, height * width + 1)
    mean = tf.math.divide_no_nan(total, count[:, None])[:-1]
    return {
        **pair,
        "frames": tf.reverse(pair["frames"], [0]),
        "flow": tf.ensure_shape(tf.reshape(mean, tf.shape(flow)), flow.shape),
        "valid": tf.ensure_shape(tf.reshape(count[:-1] > 0, [height, width]), pair["valid"].shape),
    }


def _taps(places: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The two samples between which each place lies, and the share of the second."""
    low = tf.floor(places)
    first = tf.cast(low, tf.int32)
    return tf.clip_by_value(first, 0, size - 1), tf.clip_by_value(first + 1, 0, size - 1), places - low


def _between(
    picture: tf.Tensor, taps: list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]], rows_axis: int = 0
) -> tf.Tensor:
    """A picture `(..., Y, X, C)` between its samples: rows, then columns."""
    for axis, (first, second, share) in enumerate(taps, start=rows_axis):
        share = share[:, None, None] if axis == rows_axis else share[:, None]
        before, after = (tf.gather(picture, index, axis=axis) for index in (first, second))
        picture = (1.0 - share) * before + share * after
    return picture
