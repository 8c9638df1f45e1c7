"""Texts in memory as batches with hidden words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from zorro_keras.applications.masked_language.preprocessor import MaskedLanguagePreprocessor


class MaskedBatches(keras.utils.PyDataset):
    """What `fit` reads of a list of texts, in their order.

    Which words are hidden follows from the preprocessor's seed, the pass and the batch, so that two trainings
    are equal.

    Args:
        texts: sequence of str.
        preprocessor: hides the words.
        batch_size: int >= 1. The last batch may be smaller.
        same_each_pass: bool. Whether each pass hides the words of the first, so that what is measured in them
            can be compared.
    """

    def __init__(
        self,
        texts: Sequence[str],
        preprocessor: MaskedLanguagePreprocessor,
        batch_size: int,
        *,
        same_each_pass: bool = False,
    ):
        super().__init__()
        self.texts, self.preprocessor, self.batch_size = texts, preprocessor, batch_size
        self.same_each_pass = same_each_pass
        self._passes = -1

    def __len__(self) -> int:
        return -(-len(self.texts) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        # A pass is known by its first batch: the end of one is told too late to a reader that runs ahead.
        self._passes += index == 0
        step = index if self.same_each_pass else self._passes * len(self) + index
        first = index * self.batch_size
        return self.preprocessor(self.texts[first : first + self.batch_size], step=step)
