"""SpecAugment: hides random bands and moments of log-mel spectrograms."""

from __future__ import annotations

import tensorflow as tf

from zorro_keras.applications.pipelines.batch_rows import BatchRows

PROVIDERS = ("own", "tensorflow-io")


def spec_augment(
    log_mel: tf.Tensor,
    frequency_seed: tf.Tensor,
    time_seed: tf.Tensor,
    *,
    num_frequency_masks: int,
    frequency_width_bins: int,
    num_time_masks: int,
    time_width_frames: int,
    provider: str = "own",
    rows: BatchRows | None = None,
) -> tf.Tensor:
    """Sets random bands of bins and runs of frames to 0, which is the mean of a normalised spectrogram.

    Args:
        log_mel: float `(B, T, bins)`.
        frequency_seed: integer `(2,)`. Seeds the bands.
        time_seed: integer `(2,)`. Seeds the runs of frames.
        num_frequency_masks: int. Bands per example.
        frequency_width_bins: int. The widest a band can be.
        num_time_masks: int. Runs per example.
        time_width_frames: int. The longest a run can be.
        provider: `"own"`, which is a pure function of the seeds, or `"tensorflow-io"`, which draws from
            TensorFlow's global generator and ignores the seeds: runs with it cannot be resumed exactly.
        rows: optional `BatchRows`. Which rows of a batch these are; None for all of them.

    Returns:
        float `(B, T, bins)`.

    Raises:
        ValueError: if the provider is unknown.
        ImportError: if tensorflow-io is asked for and not installed.

    Reference: Park et al. 2019, SpecAugment, section 2, without time warping.
    """
    if provider not in PROVIDERS:
        raise ValueError(f"`provider` must be one of {PROVIDERS}. Received: provider={provider!r}")
    if provider == "tensorflow-io":
        return _tensorflow_io_masks(
            log_mel, num_frequency_masks, frequency_width_bins, num_time_masks, time_width_frames
        )
    shape = tf.shape(log_mel)
    batch_size = shape[0] if rows is None else rows.batch_size
    bins = _hidden(batch_size, shape[2], frequency_seed, num_frequency_masks, frequency_width_bins)
    frames = _hidden(batch_size, shape[1], time_seed, num_time_masks, time_width_frames)
    if rows is not None:
        bins, frames = rows.of(bins), rows.of(frames)
    hidden = frames[:, :, None] | bins[:, None, :]
    return tf.where(hidden, tf.zeros([], log_mel.dtype), log_mel)


def _hidden(
    batch_size: tf.Tensor, size: tf.Tensor, seed: tf.Tensor, num_masks: int, max_width: int
) -> tf.Tensor:
    """True where one of `num_masks` random runs along an axis of `size` lies. Returns bool `(B, size)`."""
    draws = tf.random.stateless_uniform([2, batch_size, num_masks, 1], seed)
    width = tf.floor(draws[0] * (tf.cast(tf.minimum(max_width, size), tf.float32) + 1.0))
    start = tf.floor(draws[1] * (tf.cast(size, tf.float32) - width + 1.0))
    place = tf.cast(tf.range(size), tf.float32)
    return tf.reduce_any((place >= start) & (place < start + width), 1)


def _tensorflow_io_masks(
    log_mel: tf.Tensor,
    num_frequency_masks: int,
    frequency_width_bins: int,
    num_time_masks: int,
    time_width_frames: int,
) -> tf.Tensor:
    try:
        import tensorflow_io as tfio
    except ImportError as error:
        raise ImportError(
            "`provider='tensorflow-io'` needs the package tensorflow-io: pip install 'zorro-keras[tfio]'."
        ) from error

    def hide(spectrogram: tf.Tensor) -> tf.Tensor:
        for _ in range(num_frequency_masks):
            spectrogram = tfio.audio.freq_mask(spectrogram, param=frequency_width_bins)
        for _ in range(num_time_masks):
            spectrogram = tfio.audio.time_mask(spectrogram, param=time_width_frames)
        return spectrogram

    return tf.map_fn(hide, log_mel)
