"""What training changes in a pair of frames: a curriculum that begins with nothing and ends with everything.

Every change is a function of (seed, position).

Reference:
    Perceiver IO, arXiv 2107.14795, appendix on optical flow; AutoFlow, arXiv 2104.14544; RAFT, arXiv
    2003.12039, and its code, from which the ranges come.
"""

from __future__ import annotations

import enum

import tensorflow as tf

from zorro_keras.applications.pipelines.flow_colour import erased, recoloured
from zorro_keras.applications.pipelines.flow_ranges import FlowRanges
from zorro_keras.applications.pipelines.flow_warp import Pair, mirrored, scaled_box
from zorro_keras.applications.pipelines.order import draw_seed


class FlowDraw(enum.IntEnum):
    """What a random number is for, as `order.Draw`. Never renumber: runs resume by these."""

    SCALE = 64
    CROP = 65
    MIRROR = 66
    COLOUR = 67
    ERASE = 68


def severity_at(position: tf.Tensor, ramp_positions: int) -> tf.Tensor:
    """How much of the augmentation is in force: from 0 up to 1 at `ramp_positions`, in a straight line."""
    done = tf.cast(position + 1, tf.float32) / max(ramp_positions, 1)
    return tf.minimum(done, 1.0)


def augmented(
    pair: Pair,
    seed: int,
    position: tf.Tensor,
    severity: tf.Tensor,
    ranges: FlowRanges,
    size_yx: tuple[int, int],
) -> Pair:
    """Scales, cuts, mirrors, recolours and erases. At severity 0 it only cuts a box at a random place.

    Args:
        pair: dict with `frames` float32 `(2, Y, X, 3)` in [0, 255], `flow` float32 `(Y, X, 2)`, `valid` bool
            `(Y, X)`.
        seed: int. The seed of the run.
        position: int64 scalar.
        severity: float scalar in [0, 1].
        ranges: `FlowRanges`.
        size_yx: two ints. Rows and columns of the result. A pair that is smaller is enlarged.

    Returns:
        Dict of the same names.
    """
    size_in = tf.shape(pair["flow"])[:2]
    scale_yx = _scale(draw_seed(seed, position, FlowDraw.SCALE), severity, ranges)
    scale_yx = tf.maximum(scale_yx, tf.constant(size_yx, tf.float32) / tf.cast(size_in, tf.float32))
    # A hundredth forgives the rounding of a scale that just fits.
    spare = tf.floor(scale_yx * tf.cast(size_in, tf.float32) + 0.01) - tf.constant(size_yx, tf.float32)
    place = tf.random.stateless_uniform([2], draw_seed(seed, position, FlowDraw.CROP))
    pair = scaled_box(pair, scale_yx, tf.floor(place * (spare + 1.0)), size_yx)
    chance = tf.random.stateless_uniform([2], draw_seed(seed, position, FlowDraw.MIRROR))
    pair = mirrored(
        pair, chance[0] < severity * ranges.mirror_x_rate, chance[1] < severity * ranges.mirror_y_rate
    )
    return {**pair, "frames": _seen_otherwise(pair["frames"], seed, position, severity, ranges)}


def _seen_otherwise(
    frames: tf.Tensor, seed: int, position: tf.Tensor, severity: tf.Tensor, ranges: FlowRanges
) -> tf.Tensor:
    """Frames in other colours, with things in the way; what has no range costs nothing."""
    colours = {name: getattr(ranges, name) for name in ("brightness", "contrast", "saturation", "hue")}
    if any(colours.values()):
        changed = recoloured(
            frames,
            draw_seed(seed, position, FlowDraw.COLOUR),
            asymmetric_rate=ranges.asymmetric_rate,
            **{name: severity * value for name, value in colours.items()},
        )
        frames = tf.where(severity > 0, changed, frames)  # colours that are not changed are not rounded
    if ranges.erase_rate:
        erase_seed = draw_seed(seed, position, FlowDraw.ERASE)
        frames = erased(frames, erase_seed, rate=severity * ranges.erase_rate, sides=ranges.erase_sides)
    return frames


def _scale(seed: tf.Tensor, severity: tf.Tensor, ranges: FlowRanges) -> tf.Tensor:
    """Scales of rows and columns, float32 `(2,)`."""
    low, high = ranges.scale
    drawn = tf.random.stateless_uniform([2], seed)
    both = low + drawn[0] * (high - low)
    is_stretched = drawn[1] < ranges.stretch_rate
    each = tf.random.stateless_uniform([2], seed + 1, -ranges.stretch, ranges.stretch)
    return tf.pow(2.0, severity * (both + tf.where(is_stretched, each, 0.0)))
