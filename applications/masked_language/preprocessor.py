"""From texts to what the model reads, and which of it is hidden: saved with the model."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np

from zorro_keras.applications.masked_language.masking import (
    encode_marked,
    hidden_first,
    mask_words,
    room_for_hidden,
)
from zorro_keras.applications.pipelines.text_batches import pad_texts
from zorro_keras.applications.pipelines.text_tokens import Tokenizer, load_tokenizer
from zorro_keras.models import PerceiverIOBackbone


@keras.saving.register_keras_serializable("zorro_keras")
class MaskedLanguagePreprocessor(keras_hub.models.Preprocessor):
    """Turns texts into ids, cuts them to one length and hides words at random.

    Args:
        tokenizer: a tokenizer of `pipelines.text_tokens`, or what `load_tokenizer` takes.
        length: int, T. Ids of a row; longer texts are cut, shorter ones are padded.
        mask_rate: float in [0, 1], probability of a word to be hidden.
        seed: int. Which words are hidden is drawn from it.
        mask_selection_length: optional int, M. Ids of a row that can be hidden, by default twice as many as
            are expected, and 16, up to a multiple of 8. Where the words drawn have more, some stay visible.

    Call arguments:
        x: sequence of B strings.
        step: optional int, or integer tensor. Which words are hidden is a function of the seed, the step, the
            text and its place in the batch: the same in any order of calls, as of a parallel
            `Dataset.map`, and another at another step. `Dataset.enumerate` gives steps.

    Returns:
        `(x, y, sample_weight)`: `x` as the model reads it, a dict of `text`, int32 `(B, T)` with MASK in
        place of what is hidden, of `padding_mask`, a dict of `text`, bool `(B, T)`, and of `mask_positions`,
        int32 `(B, M)`, where something is hidden; `y` the ids that stood there, int32 `(B, M)`;
        `sample_weight` float32 `(B, M)`, 1 for each of them and 0 for the places that are left over.

    Raises:
        ValueError: if labels are given: the text itself is the label.
    """

    backbone_cls = PerceiverIOBackbone

    def __init__(
        self, tokenizer="bytes", length=2048, mask_rate=0.15, seed=0, mask_selection_length=None, **kwargs
    ):
        super().__init__(**kwargs)
        if length < 1 or not 0.0 <= mask_rate <= 1.0:
            raise ValueError(
                "`length` must be positive and `mask_rate` within [0, 1]. "
                f"Received: length={length}, mask_rate={mask_rate}"
            )
        if mask_selection_length is None:
            mask_selection_length = room_for_hidden(length, mask_rate)
        if not 1 <= mask_selection_length <= length:
            raise ValueError(
                f"`mask_selection_length` must be within 1 and the {length} ids of a row. "
                f"Received: mask_selection_length={mask_selection_length}"
            )
        # Not `tokenizer`, which keras-hub takes for a layer of its own kind.
        self.tokens: Tokenizer = (
            load_tokenizer(tokenizer) if isinstance(tokenizer, (str, dict)) else tokenizer
        )
        self.length = length
        self.mask_rate = mask_rate
        self.seed = seed
        self.mask_selection_length = mask_selection_length
        self.built = True

    def call(self, x, y=None, sample_weight=None, step=0):
        if y is not None or sample_weight is not None:
            raise ValueError("A masked language model takes texts without `y` or `sample_weight`.")
        if not self._use_tf_workflow():
            return _structured(*self._masked_arrays(np.asarray(x, dtype=object), step))
        import tensorflow as tf

        types = (tf.int32, tf.bool, tf.int32, tf.int32, tf.float32)
        lengths = (self.length,) * 2 + (self.mask_selection_length,) * 3
        arrays = tf.numpy_function(self._masked_arrays, [x, step], types)
        shaped = (tf.ensure_shape(x, [None, length]) for x, length in zip(arrays, lengths, strict=True))
        return _structured(*shaped)

    def mask_rows(self, rows: Sequence[np.ndarray], seeds: Sequence[Sequence[int]]) -> tuple[Any, Any, Any]:
        """Makes one batch of rows of ids.

        Args:
            rows: B arrays of ids, each `(T_i,)`.
            seeds: for each row the ints that decide what is hidden in it.

        Returns:
            `(x, y, sample_weight)` of numpy arrays, as a call gives them.
        """
        draws = [np.random.default_rng(list(seed)).random(self.length) for seed in seeds]
        return _structured(*self._masked(rows, np.stack(draws)))

    def encode_marked(self, texts: Sequence[str]) -> dict[str, Any]:
        """Returns `x` for texts with `[MASK]` or `[MASK*9]` where something is to be filled in.

        The arrays are padded to a bucket of `pipelines.text_batches`.

        Raises:
            ValueError: if a text is longer than the model's length.
        """
        ids = [encode_marked(text, self.tokens) for text in texts]
        if max(map(len, ids), default=0) > self.length:
            raise ValueError(
                f"A text must have at most {self.length} ids. Received: {max(map(len, ids))} ids"
            )
        return pad_texts(ids, self.length)

    def _masked_arrays(self, texts: np.ndarray, step: Any) -> tuple[np.ndarray, ...]:
        texts = [text.decode("utf-8") if isinstance(text, bytes) else text for text in texts.ravel().tolist()]
        draws = np.empty((len(texts), self.length))
        for row, text in enumerate(texts):
            seed = [self.seed, int(step), row, zlib.crc32(text.encode("utf-8", "surrogatepass"))]
            draws[row] = np.random.default_rng(seed).random(self.length)
        return self._masked([self.tokens.encode(text) for text in texts], draws)

    def _masked(self, rows: Sequence[np.ndarray], draws: np.ndarray) -> tuple[np.ndarray, ...]:
        batch = pad_texts(rows, self.length, length=self.length)
        ids, most = batch["text"], self.mask_selection_length
        visible, hidden = mask_words(ids, self.tokens, self.mask_rate, draws, most)
        places = hidden_first(hidden, most)
        labels = np.take_along_axis(ids, places, axis=1)
        weight = np.arange(most) < hidden.sum(axis=1, keepdims=True)
        return visible, batch["padding_mask"]["text"], places, labels, weight.astype(np.float32)

    def get_config(self):
        return {
            **super().get_config(),
            "tokenizer": self.tokens.get_config(),
            "length": self.length,
            "mask_rate": self.mask_rate,
            "seed": self.seed,
            "mask_selection_length": self.mask_selection_length,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)  # keras-hub's own would look for a tokenizer layer


def _structured(text: Any, real: Any, places: Any, labels: Any, weight: Any) -> tuple[Any, Any, Any]:
    return {"text": text, "padding_mask": {"text": real}, "mask_positions": places}, labels, weight
