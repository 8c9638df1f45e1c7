"""Audio-visual classification: a Zorro over sound and picture, with a head on each of its outputs."""

# Names resolve on first use: reading a configuration must not import a backend.
_HOMES = {
    "AudioVisualClassifier": "classifier",
    "AudioVisualPreprocessor": "preprocessor",
    "build_model": "model",
}

__all__ = list(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
