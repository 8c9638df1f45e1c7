"""Rows of ids for a masked language model: texts joined, then cut to the model's length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from zorro_keras.applications.pipelines.text_readers import SPLITS, TextFiles
from zorro_keras.applications.pipelines.text_tokens import Tokenizer

BLOCK_ROWS = 4096  # rows that are shuffled among each other, and held in memory
_FILES, _ROWS, _CROP = range(3)  # what a random number is for; never renumber: runs resume by these


class TextRows:
    """The rows of one split, or of both.

    Texts that follow each other in a file are joined by a line break, `texts_per_row` at a time.

    Args:
        texts: `TextFiles`.
        tokenizer: makes ids of a joined text.
        length: int, T. No row is longer.
        split: "train" or "test", or None for both.
        texts_per_row: int >= 1.

    Attributes:
        num_rows: int. Rows of one pass in training.
    """

    def __init__(
        self, texts: TextFiles, tokenizer: Tokenizer, length: int, split: str | None, texts_per_row: int
    ) -> None:
        self.texts, self.tokenizer, self.length = texts, tokenizer, length
        self.split, self.texts_per_row = split, texts_per_row
        splits = SPLITS if split is None else (split,)
        counts = [sum(scan.num_texts[split] for split in splits) for scan in texts.scans]
        self._rows_of_file = [-(-count // texts_per_row) for count in counts]
        self.num_rows = sum(self._rows_of_file)

    def shuffled(self, seed: int, start_position: int = 0) -> Iterator[np.ndarray]:
        """Yields rows without end; which row stands at a position is a function of (seed, position).

        A pass takes the files in random order, and shuffles each `BLOCK_ROWS` rows that follow each other. So
        memory is bounded, and files that can only be read from their start are read once a pass. A row is a
        crop at random, of each pass another.

        Args:
            seed: int.
            start_position: int. The first position to give. Reading up to it costs no more than reading one
                file and one block.
        """
        first_epoch, place = divmod(start_position, self.num_rows)
        for epoch in itertools.count(first_epoch):
            first_block, skip = divmod(place, BLOCK_ROWS)
            rows = self._pass(seed, epoch, first_block * BLOCK_ROWS)
            for block in itertools.count(first_block):
                shuffled = list(itertools.islice(rows, BLOCK_ROWS))
                if not shuffled:
                    break
                order = np.random.default_rng([seed, epoch, _ROWS, block]).permutation(len(shuffled))
                yield from (shuffled[row] for row in order[skip:])
                skip = 0
            place = 0

    def in_order(self) -> Iterator[np.ndarray]:
        """Yields all of the split once: each joined text in as many rows as it fills."""
        for file in range(len(self._rows_of_file)):
            for joined in self._joined(file):
                ids = self.tokenizer.encode(joined)
                for start in range(0, len(ids), self.length):
                    yield ids[start : start + self.length]

    def _pass(self, seed: int, epoch: int, first_row: int) -> Iterator[np.ndarray]:
        """The rows of one pass before they are shuffled, from `first_row` on."""
        row = 0
        for file in np.random.default_rng([seed, epoch, _FILES]).permutation(len(self._rows_of_file)):
            count = self._rows_of_file[file]
            if row + count > first_row:
                skip = max(first_row - row, 0)
                for number, joined in enumerate(self._joined(file, skip), start=row + skip):
                    random = np.random.default_rng([seed, epoch, _CROP, number])
                    yield self._crop(self.tokenizer.encode(joined), random)
            row += count

    def _joined(self, file: int, skip: int = 0) -> Iterator[str]:
        texts = self.texts.texts_of(file, self.split)
        texts = itertools.islice(texts, skip * self.texts_per_row, None)
        while group := list(itertools.islice(texts, self.texts_per_row)):
            yield "\n".join(group)

    def _crop(self, ids: np.ndarray, random: np.random.Generator) -> np.ndarray:
        start = random.integers(max(len(ids) - self.length, 0) + 1)
        return ids[start : start + self.length].copy()  # a view would hold the whole text in memory
