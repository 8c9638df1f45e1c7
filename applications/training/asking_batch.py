"""How many examples a trained model is asked about at a time: its answers do not depend on it."""

from __future__ import annotations

from zorro_keras.applications.training.config import check

# A cross-attention of float32 over the pixels of 8 published pictures, 261 channels wide, holds arrays of
# 0.4 GB. Batches of training are no guide: several accelerators share them, or there is no training at all.
_MOST_TOKENS = 8 * 224 * 224
_MOST_EXAMPLES = 32


def asking_batch_size(num_tokens: int, given: int | None = None) -> int:
    """Returns the number of examples of `num_tokens` pixels or ids each to ask about at a time.

    Args:
        num_tokens: int >= 1. Of one example.
        given: optional int >= 1. What a person wants; by default at most 32, and fewer of large examples.

    Raises:
        ConfigError: if `given` is not positive.
    """
    if given is not None:
        check("batch_size", given >= 1, "positive", given)
        return given
    return max(1, min(_MOST_EXAMPLES, _MOST_TOKENS // num_tokens))
