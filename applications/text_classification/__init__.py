"""Text classification: a Perceiver IO that answers one query per task."""

from zorro_keras.applications.training.lazy_names import lazy_names

_HOMES = {
    "TextClassifier": "classifier",
    "TextPreprocessor": "preprocessor",
    "build_model": "model",
    "task_queries": "model",
}

__all__ = list(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
