"""Masked language modelling: a Perceiver IO that says what was hidden in a text."""

# Names resolve on first use: reading a configuration must not import a backend.
_HOMES = {
    "Completion": "fill",
    "MaskedLanguageModel": "masked_language_model",
    "MaskedLanguagePreprocessor": "preprocessor",
    "build_model": "model",
    "fill_in": "fill",
}

__all__ = list(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
