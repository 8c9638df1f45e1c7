"""Video autoencoding: a Perceiver IO rebuilds sound, picture and label of a clip from few latents."""

from zorro_keras.applications.training.lazy_names import lazy_names

# Names resolve on first use: reading a configuration must not import a backend.
_HOMES = {
    "VideoAutoencoder": "autoencoder",
    "VideoAutoencoderPreprocessor": "preprocessor",
    "build_model": "model",
}

__all__ = list(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
