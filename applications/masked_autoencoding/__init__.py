"""Masked auto-encoding: a HiP tells the pixels and samples of a clip that it was not shown."""

from zorro_keras.applications.training.lazy_names import lazy_names

# Names resolve on first use: reading a configuration must not import a backend.
_HOMES = {
    "MaskedClipAutoencoder": "autoencoder",
    "MaskedClipPreprocessor": "preprocessor",
    "build_model": "model",
}

__all__ = list(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
