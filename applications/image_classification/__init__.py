"""Image classification: a Perceiver IO over pixels, with the published ImageNet recipe."""

from zorro_keras.applications.training.lazy_names import lazy_names

# Names resolve on first use: reading a configuration must not import a backend.
_HOMES = {
    "ImageClassifier": "classifier",
    "ImagePreprocessor": "preprocessor",
    "build_model": "model",
}

__all__ = list(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
