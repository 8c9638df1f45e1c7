"""From texts to what the classifier reads: saved with the model, so that inference never guesses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import keras_hub
import numpy as np

from zorro_keras.applications.pipelines.text_batches import pad_texts
from zorro_keras.applications.pipelines.text_tokens import SEP, load_tokenizer
from zorro_keras.models import PerceiverIOBackbone


@keras.saving.register_keras_serializable("zorro_keras")
class TextPreprocessor(keras_hub.models.Preprocessor):
    """Turns texts, or pairs of texts, into ids of one length.

    A pair is written `A SEP B`; nothing else is added, as in the demonstration of the released model. What is
    too long is cut: of a pair, ids leave the end of the longer text until both fit.

    It also keeps what a user of the model must know: the names of tasks and labels.

    Args:
        tokenizer: "bytes", the path of a SentencePiece model, or the config of such a tokenizer.
        length: int, T, ids per example.
        label_names: dict of task to its label names, in the order of its logits; one name for a task that
            predicts a number.

    Call arguments:
        x: sequence of B texts, each a str or a tuple of 1 or 2 str.
        y: labels, passed through.
        sample_weight: passed through.

    Returns:
        `x`, `(x, y)` or `(x, y, sample_weight)`, where `x` holds `text`, int32 `(B, T)`, and `padding_mask`,
        a dict with `text`, bool `(B, T)`, True = real.
    """

    backbone_cls = PerceiverIOBackbone

    def __init__(
        self, tokenizer="bytes", length=2048, label_names: Mapping[str, Sequence[str]] | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        if length < 3:
            raise ValueError(f"`length` must be at least 3, for a pair. Received: length={length}")
        # Not `tokenizer`: that name is keras-hub's, for tokenizers that are Keras layers.
        self.text_tokens = load_tokenizer(tokenizer)
        self.length = length
        self.label_names = {task: list(names) for task, names in (label_names or {}).items()}
        self.built = True

    def call(self, x, y=None, sample_weight=None):
        x = pad_texts([self.ids_of(text) for text in x], self.length, length=self.length)
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def ids_of(self, text: str | Sequence[str]) -> np.ndarray:
        """Returns the ids of one text or pair, int32 `(T',)`, at most `length` of them."""
        parts = self._parts(text)
        if len(parts) == 1:
            return parts[0][: self.length]
        first, second = parts
        room = self.length - 1
        first = first[: max(room - room // 2, room - len(second))]
        return np.concatenate([first, [SEP], second[: room - len(first)]]).astype(np.int32)

    def is_cut(self, text: str | Sequence[str]) -> bool:
        """Whether a text or pair is too long to be read whole."""
        parts = self._parts(text)
        return sum(map(len, parts)) + len(parts) - 1 > self.length

    def _parts(self, text):
        parts = (text,) if isinstance(text, str) else tuple(text)
        if len(parts) not in (1, 2) or not all(isinstance(part, str) for part in parts):
            raise ValueError(f"A text must be a str or a tuple of 1 or 2 str. Received: {text!r}")
        return [self.text_tokens.encode(part) for part in parts]

    @classmethod
    def from_config(cls, config):
        return cls(**config)  # keras-hub's own would look for a tokenizer layer

    def get_config(self):
        return {
            **super().get_config(),
            "tokenizer": self.text_tokens.get_config(),
            "length": self.length,
            "label_names": self.label_names,
        }
