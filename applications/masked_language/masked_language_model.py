"""The task: a Perceiver IO that says what was hidden in a text."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from zorro_keras.applications.masked_language.masked_batches import MaskedBatches
from zorro_keras.applications.masked_language.preprocessor import MaskedLanguagePreprocessor
from zorro_keras.applications.training.compiled_task import CompiledTask
from zorro_keras.applications.training.replicas import sum_of_replicas
from zorro_keras.models import PerceiverIOBackbone


@keras.saving.register_keras_serializable("zorro_keras")
class MaskedLanguageModel(CompiledTask):
    """Predicts the hidden ids of a text.

    Only as many queries are asked as the input is long, so a short text costs little; in training, only those
    of what was hidden.

    Args:
        backbone: `PerceiverIOBackbone` with one input and one output `text`, such as its variant "language".
        preprocessor: `MaskedLanguagePreprocessor`: `fit` and `evaluate` then take texts, and `predict` texts
            with `[MASK]`. `None` if they are given arrays; each id then counts as one byte.

    Call arguments:
        inputs: dict with `text`, int `(B, T)`, and optionally `padding_mask`, a dict with `text`, bool
            `(B, T)`: True where the text is real; and `mask_positions`, int `(B, M)`, the places to be asked
            about, by default all.

    Returns:
        Dict with `text`, logits `(B, T, V)`, or `(B, M, V)` of those places: with 32,000 pieces the logits of
        a whole text would take more memory than its encoding.

    Labels are ids, and sample weights 1 where an id was hidden and 0 where the loss and the metrics should
    not look: both `(B, T)`, or `(B, M)` with `mask_positions`.

    Example:

    ```python
    backbone = PerceiverIOBackbone.from_variant("language")
    model = MaskedLanguageModel(backbone, MaskedLanguagePreprocessor("bytes"))
    model.fit(texts)
    model.predict(["The cat[MASK*4] on the mat."])
    ```

    Reference:
        Perceiver IO, arXiv 2107.14795, section 4.1.
    """

    backbone_cls = PerceiverIOBackbone
    preprocessor_cls = MaskedLanguagePreprocessor

    def __init__(self, backbone, preprocessor=None, **kwargs):
        if list(backbone.input_adapters) != ["text"] or list(backbone.output_adapters) != ["text"]:
            raise ValueError(
                "`backbone` must have one input and one output, `text`. "
                f"Received: {list(backbone.input_adapters)} and {list(backbone.output_adapters)}"
            )
        stream = backbone.streams["text"]
        if preprocessor is not None and preprocessor.length > stream.length:
            raise ValueError(
                f"`preprocessor.length` must be at most the backbone's {stream.length}. "
                f"Received: preprocessor.length={preprocessor.length}"
            )
        if preprocessor is not None and preprocessor.tokens.vocabulary_size != stream.vocabulary_size:
            raise ValueError(
                f"The backbone knows {stream.vocabulary_size} ids, the preprocessor's tokenizer "
                f"{preprocessor.tokens.vocabulary_size}; they must be the same."
            )
        super().__init__(backbone, preprocessor, backbone(backbone.input), **kwargs)
        self.length = stream.length
        self.byte_lengths = np.ones(stream.vocabulary_size, "float32")
        if preprocessor is not None:
            self.byte_lengths = preprocessor.tokens.byte_lengths()
        self.compile_by_default()

    def answer(self, inputs, training=None):
        """Returns the logits of what is asked about, by default all of the text: what a call runs."""
        inputs = dict(inputs)
        asked, text = inputs.pop("mask_positions", None), inputs["text"]
        latents = self.backbone.encode(inputs, training=training)
        if asked is None and text.shape[1] != self.length:
            asked = ops.arange(ops.shape(text)[1])
        rows = None if asked is None else {"text": asked}
        return self.backbone.decode(latents, rows=rows, training=training)

    def compile(self, optimizer="auto", **kwargs):
        """Configures training; the loss is the mean cross-entropy over what was hidden in a batch.

        Keras reports its mean over batches; `masked_loss` is the mean over all that was hidden.

        Args:
            optimizer: optimizer or its name; "auto" for AdamW with a learning rate of 1e-3.
            **kwargs: further arguments of `keras.Model.compile`, without `loss` and `metrics`.
        """
        self.compile_own(optimizer, 1e-3, kwargs)
        names = ("masked_loss", "masked_accuracy", "bits_per_byte")
        self.masked_metrics = {name: keras.metrics.Mean(name=name) for name in names}

    def fit(self, x=None, y=None, batch_size=None, validation_data=None, **kwargs):
        """Trains as `keras.Model.fit` does; with a preprocessor on texts, which are taken in their order.

        Of a list of texts other words are hidden in each pass, of `validation_data` the same; of a dataset
        those that its elements tell.
        """
        kwargs |= {"batch_size": batch_size, "validation_data": validation_data}
        if self.preprocessor is None:
            return keras.Model.fit(self, x=x, y=y, **{"shuffle": y is not None, **kwargs})
        if y is not None or not _is_texts(x):
            return super().fit(x=x, y=y, **{"shuffle": False, **kwargs})
        if _is_texts(validation_data):
            kwargs["validation_data"] = self._measured(validation_data, batch_size)
        kwargs |= {"batch_size": None, "shuffle": False}
        return keras.Model.fit(self, MaskedBatches(x, self.preprocessor, batch_size or 32), **kwargs)

    def evaluate(self, x=None, y=None, **kwargs):
        """Evaluates as `keras.Model.evaluate` does; on texts the same words are hidden each time."""
        if self.preprocessor is None:
            return keras.Model.evaluate(self, x=x, y=y, **kwargs)
        if y is None and _is_texts(x):
            x = self._measured(x, kwargs.pop("batch_size", None))
            return keras.Model.evaluate(self, x=x, **kwargs)
        return super().evaluate(x=x, y=y, **kwargs)

    def predict(self, x, **kwargs):
        """Returns the logits of arrays, or, with a preprocessor, of texts with `[MASK]`."""
        if self.preprocessor is not None and not isinstance(x, dict):
            x = self.preprocessor.encode_marked([x] if isinstance(x, str) else list(x))
        return keras.Model.predict(self, x, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        entropy, weight = self._entropy(y, y_pred), self._weight(y, sample_weight)
        total = sum_of_replicas(ops.sum(weight))
        return self.total_loss(ops.sum(entropy * weight) / ops.maximum(total, 1.0))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        weight = self._weight(y, sample_weight)
        right = ops.equal(ops.cast(y, "int32"), ops.cast(ops.argmax(y_pred["text"], axis=-1), "int32"))
        num_bytes = ops.take(ops.convert_to_tensor(self.byte_lengths), ops.cast(y, "int32"))
        entropy, metrics = self._entropy(y, y_pred), self.masked_metrics
        bits = entropy / math.log(2) / ops.maximum(num_bytes, 1.0)
        metrics["masked_loss"].update_state(entropy, sample_weight=weight)
        metrics["masked_accuracy"].update_state(ops.cast(right, "float32"), sample_weight=weight)
        metrics["bits_per_byte"].update_state(bits, sample_weight=weight * num_bytes)
        return self.get_metrics_result()

    def _measured(self, texts, batch_size):
        """Returns the batches that texts are measured in: the same words are hidden each time."""
        return MaskedBatches(texts, self.preprocessor, batch_size or 32, same_each_pass=True)

    def _entropy(self, y, y_pred):
        """Returns the cross-entropy of each label in nats, of the shape of `y`."""
        logits = ops.cast(y_pred["text"], "float32")
        return keras.losses.sparse_categorical_crossentropy(ops.cast(y, "int32"), logits, from_logits=True)

    def _weight(self, y, sample_weight):
        return ops.ones(ops.shape(y)) if sample_weight is None else ops.cast(sample_weight, "float32")


def _is_texts(x):
    """Whether texts lie in memory: a list, tuple or array of them."""
    return isinstance(x, (list, tuple, np.ndarray)) and len(x) > 0 and isinstance(x[0], str)
