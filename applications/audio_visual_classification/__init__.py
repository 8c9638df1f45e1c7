"""Audio-visual classification: a backbone over sound and picture, with a head on each of its outputs."""

from zorro_keras.applications.training.lazy_names import lazy_names

# Names resolve on first use: reading a configuration must not import a backend.
_HOMES = {
    "AudioVisualClassifier": "classifier",
    "AudioVisualPerceiver": "classifier",
    "AudioVisualPreprocessor": "classifier",
    "build_model": "model",
}

__all__ = list(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
