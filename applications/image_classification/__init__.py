"""Image classification: a Perceiver IO over pixels, with the published ImageNet recipe."""

# Names resolve on first use: reading a configuration must not import a backend.
_HOMES = {
    "ImageClassifier": "classifier",
    "ImagePreprocessor": "preprocessor",
    "build_model": "model",
}

__all__ = list(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
