"""The usual figures of a classifier, in one dict."""

from __future__ import annotations

from numpy.typing import ArrayLike

from zorro_keras.metrics.classification import accuracy, top_k_accuracy
from zorro_keras.metrics.ranking import d_prime, mean_average_precision, mean_roc_auc


def classification_summary(
    y_true: ArrayLike, y_pred: ArrayLike, *, multi_label: bool, sample_weight: ArrayLike | None = None
) -> dict[str, float]:
    """Exact metrics over a whole evaluation set.

    Args:
        y_true: `(B, K)` of 0 and 1; one 1 per row unless `multi_label`.
        y_pred: `(B, K)` scores.
        multi_label: bool. Accuracy has no meaning with any number of labels and is left out.
        sample_weight: optional `(B,)`, at least 0.

    Returns:
        Dict with `mean_average_precision`, `roc_auc` and `d_prime` (of the mean area), and, for one label
        per example, `accuracy` and `top_5_accuracy`. A figure that is not defined is NaN.

    Raises:
        ValueError: if shapes do not fit, a score is NaN, or a target is neither 0 nor 1.
    """
    auc = mean_roc_auc(y_true, y_pred, sample_weight)
    figures = {
        "mean_average_precision": mean_average_precision(y_true, y_pred, sample_weight),
        "roc_auc": auc,
        "d_prime": d_prime(auc),
    }
    if not multi_label:
        figures["accuracy"] = accuracy(y_true, y_pred, sample_weight)
        figures["top_5_accuracy"] = top_k_accuracy(y_true, y_pred, 5, sample_weight)
    return figures
