"""From a waveform to its log-mel spectrogram, by one named and saved specification."""

import keras

# Where each row comes from: reference settings of the field, see `LogMelSpectrogram.from_specification`.
SPECIFICATIONS = {
    # AST and MBT: 25 ms windows every 10 ms of 16 kHz sound (arXiv 2104.01778, section 2.1).
    "16khz_128": {"sample_rate_hz": 16000, "num_bins": 128},
    # The same with half the bins, for small models.
    "16khz_64": {"sample_rate_hz": 16000, "num_bins": 64},
    # MMV and DMVR: 2048-sample windows every 1024 of 48 kHz sound (arXiv 2006.16228, appendix).
    "48khz_80": {
        "sample_rate_hz": 48000,
        "num_bins": 80,
        "window_seconds": 2048 / 48000,
        "hop_seconds": 1024 / 48000,
        "min_hz": 80.0,
        "max_hz": 7600.0,
        "fft_length": 2048,
    },
}


@keras.saving.register_keras_serializable("zorro_keras")
class LogMelSpectrogram(keras.layers.MelSpectrogram):
    """Log of the mel-scaled power spectrogram, normalised, time before frequency.

    Runs on any backend and inside `tf.data`, whatever the backend. The mel scale is HTK's; windows are Hann
    windows centred on multiples of the hop, the ends reflected.

    Args:
        sample_rate_hz: int, rate of the waveform.
        num_bins: int, mel bins.
        window_seconds: float, length of a window.
        hop_seconds: float, distance between windows.
        min_hz: float, lower edge of the lowest bin.
        max_hz: float, upper edge of the highest bin; `None` for half the sample rate.
        fft_length: int, samples of the Fourier transform; longer than a window, it fills the narrow low bins.
        offset: float, added to the power before the logarithm, so that silence is finite.
        mean: float, subtracted from the logarithm.
        std: float, what the result is divided by.

    Call arguments:
        waveform: float tensor `(..., samples)` in [-1, 1].

    Returns:
        Float tensor `(..., frames, num_bins)`, frames = samples // hop.

    Raises:
        ValueError: if the settings contradict each other.
    """

    def __init__(
        self,
        sample_rate_hz=16000,
        num_bins=128,
        window_seconds=0.025,
        hop_seconds=0.010,
        min_hz=20.0,
        max_hz=None,
        fft_length=1024,
        offset=1e-6,
        mean=0.0,
        std=1.0,
        **kwargs,
    ):
        max_hz = sample_rate_hz / 2 if max_hz is None else max_hz
        if not 0 <= min_hz < max_hz <= sample_rate_hz / 2:
            raise ValueError(
                "Expected 0 <= min_hz < max_hz <= sample_rate_hz / 2. "
                f"Received: min_hz={min_hz}, max_hz={max_hz}, sample_rate_hz={sample_rate_hz}"
            )
        if std <= 0 or offset <= 0:
            raise ValueError(f"`std` and `offset` must be positive. Received: std={std}, offset={offset}")
        super().__init__(
            fft_length=fft_length,
            sequence_stride=round(hop_seconds * sample_rate_hz),
            sequence_length=round(window_seconds * sample_rate_hz),
            sampling_rate=sample_rate_hz,
            num_mel_bins=num_bins,
            min_freq=min_hz,
            max_freq=max_hz,
            power_to_db=False,
            **kwargs,
        )
        self.sample_rate_hz = sample_rate_hz
        self.num_bins = num_bins
        self.window_seconds = window_seconds
        self.hop_seconds = hop_seconds
        self.min_hz = min_hz
        self.max_hz = max_hz
        self.offset = offset
        self.mean = mean
        self.std = std

    @classmethod
    def from_specification(cls, name, **overrides):
        """Builds a specification of the field by its name, keyword arguments overriding it."""
        if name not in SPECIFICATIONS:
            raise ValueError(f"`name` must be one of {list(SPECIFICATIONS)}. Received: name={name!r}")
        return cls(**{**SPECIFICATIONS[name], **overrides})

    def num_frames(self, num_samples):
        """Returns how many frames a waveform of so many samples gives; `None` if they are not known."""
        return None if num_samples is None else num_samples // self.sequence_stride

    def call(self, inputs):
        frames = self.num_frames(self.backend.core.shape(inputs)[-1])
        mel = self.backend.numpy.swapaxes(super().call(inputs), -1, -2)[..., :frames, :]
        return (self.backend.numpy.log(mel + self.offset) - self.mean) / self.std

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.num_frames(input_shape[-1]), self.num_bins)

    def get_config(self):
        return {
            **keras.Layer.get_config(self),
            "sample_rate_hz": self.sample_rate_hz,
            "num_bins": self.num_bins,
            "window_seconds": self.window_seconds,
            "hop_seconds": self.hop_seconds,
            "min_hz": self.min_hz,
            "max_hz": self.max_hz,
            "fft_length": self.fft_length,
            "offset": self.offset,
            "mean": self.mean,
            "std": self.std,
        }
