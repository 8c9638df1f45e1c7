"""Exact metrics from (y_true, y_pred): numpy arrays in, numbers out."""

from zorro_keras.metrics.classification import accuracy, confusion_matrix, top_k_accuracy
from zorro_keras.metrics.ranking import (
    average_precision,
    d_prime,
    mean_average_precision,
    mean_roc_auc,
    roc_auc,
)
from zorro_keras.metrics.summary import classification_summary

__all__ = [
    "accuracy",
    "average_precision",
    "classification_summary",
    "confusion_matrix",
    "d_prime",
    "mean_average_precision",
    "mean_roc_auc",
    "roc_auc",
    "top_k_accuracy",
]
