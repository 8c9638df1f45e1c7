"""Text classification: a Perceiver IO that answers one query per task."""

# Names resolve on first use: reading a configuration must not import a backend.
_HOMES = {
    "TextClassifier": "classifier",
    "TextPreprocessor": "preprocessor",
    "build_model": "model",
    "task_queries": "model",
}

__all__ = list(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
