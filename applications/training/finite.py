"""Refuses a model's answer that is no number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zorro_keras.applications.pipelines.faults import TrainingError


def check_finite(
    answers: np.ndarray, stage: str, names: Sequence[str] | None = None, where: str = ""
) -> None:
    """Raises where an answer holds NaN or infinity.

    Args:
        answers: floats `(N, ...)`.
        stage: what is being done, for the error.
        names: optional, what each of the N is called. Where there are some, the first bad one is named.
        where: what the message adds: of which inputs, by which head.

    Raises:
        TrainingError: if a number is not finite.
    """
    bad = ~np.isfinite(answers).all(axis=tuple(range(1, answers.ndim)))
    if bad.any():
        raise TrainingError(
            f"The model gives a number that is not finite{where}.",
            row=None if names is None else names[int(bad.argmax())], stage=stage, reason="non_finite",
            advice="Check that the training ended well, and that what was read is sound.",
        )  # fmt: skip
