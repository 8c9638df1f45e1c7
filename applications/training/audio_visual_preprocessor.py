"""From a raw clip to what a model reads: saved with the model, so that inference never guesses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import keras_hub

from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.layers import LogMelSpectrogram


@keras.saving.register_keras_serializable("zorro_keras")
class AudioVisualPreprocessor(keras_hub.models.Preprocessor):
    """Turns sound into log-mel spectrograms, or leaves it a waveform, and pixels into numbers in [-1, 1].

    It also keeps what a user of the model must know: the geometry of a clip and the names of the classes.

    Args:
        geometry: `ClipGeometry`, or its config: the window of sound and picture.
        log_mel: `LogMelSpectrogram` for the sound, at the geometry's sample rate; `None` hands the waveform
            on as it is.
        label_names: sequence of K class names, in the order of the logits.
        spectrogram_frames: optional int. The most frames that are kept of a spectrogram, for a window that
            its hops do not divide; `None` for all.

    Call arguments:
        x: dict with `audio`, a float waveform `(B, samples)` in [-1, 1], and `video`, uint8 frames
            `(B, F, Y, X, 3)`; either may be missing. Anything else, such as `presence`, passes through.
        y: labels, passed through.
        sample_weight: passed through.

    Returns:
        `x`, `(x, y)` or `(x, y, sample_weight)`, with `audio` float32 `(B, frames, bins)`, or `(B, samples)`
        without `log_mel`, and `video` float32 `(B, F, Y, X, 3)`.
    """

    def __init__(self, geometry, log_mel, label_names=(), spectrogram_frames=None, **kwargs):
        super().__init__(**kwargs)
        geometry = ClipGeometry.from_config(geometry) if isinstance(geometry, dict) else geometry
        log_mel = keras.saving.deserialize_keras_object(log_mel) if isinstance(log_mel, dict) else log_mel
        if log_mel is not None and log_mel.sample_rate_hz != geometry.sample_rate_hz:
            raise ValueError(
                f"`log_mel` must work at the geometry's {geometry.sample_rate_hz} Hz. "
                f"Received: log_mel.sample_rate_hz={log_mel.sample_rate_hz}"
            )
        self.geometry = geometry
        self.log_mel = log_mel
        self.rescale = keras.layers.Rescaling(1 / 127.5, -1.0, dtype="float32")
        self.label_names = list(label_names)
        self.spectrogram_frames = spectrogram_frames
        self.built = True

    def call(self, x, y=None, sample_weight=None):
        x = dict(x)
        if self.log_mel is not None and x.get("audio") is not None:
            x["audio"] = self._spectrogram(x["audio"])
        if x.get("video") is not None:
            x["video"] = self.rescale(x["video"])
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def _spectrogram(self, audio):
        """Hops that do not divide a window make a few frames too many; longer sound is not cut."""
        is_window = audio.shape[1] in (None, self.geometry.num_samples)
        return self.log_mel(audio)[:, : self.spectrogram_frames if is_window else None]

    def get_config(self):
        return {
            **super().get_config(),
            "geometry": self.geometry.get_config(),
            "log_mel": keras.saving.serialize_keras_object(self.log_mel),
            "label_names": self.label_names,
            "spectrogram_frames": self.spectrogram_frames,
        }


def build_preprocessor(config: Any, label_names: Sequence[str] = ()) -> AudioVisualPreprocessor:
    """Returns the preprocessor that a configuration describes.

    Args:
        config: with `data` a `DataConfig` and `model` a `ClipModelConfig`.
        label_names: sequence of K class names.
    """
    model, clip = config.model, config.data.geometry
    if model.waveform_patch is not None:
        return AudioVisualPreprocessor(clip, None, label_names)
    log_mel = LogMelSpectrogram.from_specification(
        model.spectrogram_specification,
        sample_rate_hz=clip.sample_rate_hz,
        num_bins=model.spectrogram_bins,
        hop_seconds=clip.num_samples // model.spectrogram_frames / clip.sample_rate_hz,
        mean=model.spectrogram_mean,
        std=model.spectrogram_std,
    )
    return AudioVisualPreprocessor(clip, log_mel, label_names, model.spectrogram_frames)
