"""The words by which people name the splits of a data set."""

from __future__ import annotations

_WORDS = {
    "train": ("train", "training", "trainval"),
    "val": ("val", "valid", "validate", "validation", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SPLIT_OF_WORD = {word: split for split, words in _WORDS.items() for word in words}
