"""Masked language modelling: a Perceiver IO that says what was hidden in a text."""

from zorro_keras.applications.training.lazy_names import lazy_names

_HOMES = {
    "Completion": "fill",
    "MaskedLanguageModel": "masked_language_model",
    "MaskedLanguagePreprocessor": "preprocessor",
    "build_model": "model",
    "fill_in": "fill",
}

__all__ = list(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
