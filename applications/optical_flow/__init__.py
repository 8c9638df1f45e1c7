"""Optical flow: a Perceiver IO that says how far each pixel of one frame moves until the next."""

from zorro_keras.applications.training.lazy_names import lazy_names

# Names resolve on first use: reading a configuration must not import a backend.
_HOMES = {
    "FlowPreprocessor": "preprocessor",
    "OpticalFlow": "optical_flow",
    "TiledFlow": "tiled_flow",
    "build_model": "model",
}

__all__ = list(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
