"""Audio-visual pre-training: a backbone learns without labels which sound and picture belong together."""

from zorro_keras.applications.training.lazy_names import lazy_names

# Names resolve on first use: reading a configuration must not import a backend.
_HOMES = {
    "AudioVisualPretrainer": "pretrainer",
    "AudioVisualPreprocessor": "pretrainer",
    "build_model": "model",
}

__all__ = list(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
