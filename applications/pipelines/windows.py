"""Cuts the time-aligned window of a clip out of its packed sound and frames."""

from __future__ import annotations

import tensorflow as tf

from zorro_keras.applications.pipelines.geometry import ClipGeometry


def window_start_seconds(
    fraction: tf.Tensor, duration_seconds: tf.Tensor, geometry: ClipGeometry
) -> tf.Tensor:
    """Where the window starts: both streams share it, so they stay aligned.

    Args:
        fraction: float scalar in `[0, 1]`. 0 is the earliest start, 0.5 the centre, 1 the latest.
        duration_seconds: float scalar. Length of the clip.
        geometry: `ClipGeometry`. Length of the window.

    Returns:
        float32 scalar in `[0, max(0, duration - window)]`; 0 when the clip is shorter than the window.
    """
    spare_seconds = tf.maximum(tf.cast(duration_seconds, tf.float32) - geometry.seconds, 0.0)
    return tf.cast(fraction, tf.float32) * spare_seconds


def cut_audio(audio: tf.Tensor, start_seconds: tf.Tensor, geometry: ClipGeometry) -> tf.Tensor:
    """The samples of one window, followed by zeros where the clip is over.

    Args:
        audio: float32 `(S,)`. The whole clip at `geometry.sample_rate_hz`.
        start_seconds: float scalar. At least 0.
        geometry: `ClipGeometry`.

    Returns:
        float32 `(num_samples,)`.
    """
    start = tf.cast(tf.round(tf.cast(start_seconds, tf.float32) * geometry.sample_rate_hz), tf.int32)
    window = audio[start : start + geometry.num_samples]
    window = tf.pad(window, [[0, geometry.num_samples - tf.shape(window)[0]]])
    return tf.ensure_shape(window, [geometry.num_samples])


def frame_indices(
    num_frames: tf.Tensor, frame_rate_hz: tf.Tensor, start_seconds: tf.Tensor, geometry: ClipGeometry
) -> tf.Tensor:
    """The frames a player would show at the times a window asks for.

    Frame `i` of a packed clip is shown from `i / frame_rate_hz` on. Where the clip is over, its last frame
    repeats.

    Args:
        num_frames: int scalar. Frames in the clip, at least 1.
        frame_rate_hz: float scalar. Constant rate of the packed frames.
        start_seconds: float scalar. At least 0.
        geometry: `ClipGeometry`.

    Returns:
        int32 `(geometry.num_frames,)`, each in `[0, num_frames)`, ascending.
    """
    times_seconds = tf.cast(start_seconds, tf.float32) + tf.constant(geometry.frame_times(0.0), tf.float32)
    # A thousandth of a frame forgives the rounding of times that fall on a change of frames.
    shown = tf.cast(tf.floor(times_seconds * tf.cast(frame_rate_hz, tf.float32) + 1e-3), tf.int32)
    return tf.clip_by_value(shown, 0, tf.cast(num_frames, tf.int32) - 1)
