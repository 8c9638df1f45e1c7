"""Exact metrics from (y_true, y_pred): numpy arrays in, numbers out."""

from zorro_keras.metrics.agreement import f1_score, macro_f1_score, matthews_correlation
from zorro_keras.metrics.classification import accuracy, confusion_matrix, top_k_accuracy
from zorro_keras.metrics.correlation import pearson_correlation, spearman_correlation
from zorro_keras.metrics.flow import end_point_error, end_point_errors, fl_all, flow_regions
from zorro_keras.metrics.ranking import (
    average_precision,
    d_prime,
    mean_average_precision,
    mean_roc_auc,
    roc_auc,
)
from zorro_keras.metrics.reconstruction import decibels, peak_signal_to_noise_ratio
from zorro_keras.metrics.retrieval import nearest_neighbour_accuracy, recall_at
from zorro_keras.metrics.summary import classification_summary

__all__ = [
    "accuracy",
    "average_precision",
    "classification_summary",
    "confusion_matrix",
    "d_prime",
    "decibels",
    "end_point_error",
    "end_point_errors",
    "f1_score",
    "fl_all",
    "flow_regions",
    "macro_f1_score",
    "matthews_correlation",
    "mean_average_precision",
    "mean_roc_auc",
    "nearest_neighbour_accuracy",
    "peak_signal_to_noise_ratio",
    "pearson_correlation",
    "recall_at",
    "roc_auc",
    "spearman_correlation",
    "top_k_accuracy",
]
