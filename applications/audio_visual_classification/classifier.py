"""The task: a head on each output of a backbone, trained together."""

from __future__ import annotations

import keras
from keras import ops

from zorro_keras.applications.training.audio_visual_preprocessor import AudioVisualPreprocessor
from zorro_keras.applications.training.backbone_task import BackboneTask
from zorro_keras.applications.training.endpoints import with_probabilities
from zorro_keras.applications.training.losses import as_probabilities, example_losses, weighted_mean
from zorro_keras.layers import ClassificationHead
from zorro_keras.models import PerceiverIOBackbone, ZorroHiPBackbone, ZorroSwinBackbone, ZorroViTBackbone


@keras.saving.register_keras_serializable("zorro_keras")
class AudioVisualClassifier(BackboneTask):
    """Classifies clips from sound, picture, or both.

    Every output of the backbone, features `(B, D)`, has its own linear head. One that is named like a stream
    is of that stream alone, which only a backbone that keeps its streams apart can give; any other is of all
    that is there. Training takes the mean of their losses over the
    heads whose streams the example has, and over the examples that have any, by their sample weights; so the
    loss keeps its scale whatever is missing.

    Args:
        backbone: `ZorroViTBackbone`, `ZorroSwinBackbone` or `ZorroHiPBackbone`. Of a `PerceiverIOBackbone`
            the result is an `AudioVisualPerceiver`.
        num_classes: int, K.
        multi_label: bool, whether an example may have any number of labels (sigmoid) or has exactly one
            (softmax).
        preprocessor: `AudioVisualPreprocessor` applied by `fit`, `evaluate` and `predict` to what they are
            given, or `None` if they are given preprocessed arrays.
        label_smoothing: float in [0, 1), share of the label that the default loss spreads over all classes.

    Call arguments:
        inputs: as for the backbone: any subset of its streams, with `presence` by example if wanted.

    Returns:
        Dict of head to logits `(B, K)`, float32. Heads of streams that are not given are left out; where an
        example lacks a stream, that head's logits mean nothing and weigh nothing in loss and metrics.

    Labels are ints `(B,)` or, soft or multi-label, floats `(B, K)` in [0, 1]. An int that is no class makes
    the loss NaN.

    Example:

    ```python
    model = AudioVisualClassifier(backbone, num_classes=527, multi_label=True)
    model.fit(train_dataset, validation_data=test_dataset)
    model.predict({"audio": mel})  # {"audio", "fusion", "global"}: (B, 527)
    ```

    Reference:
        Zorro, arXiv 2301.09595, Figure 2: four linear heads. Weighting them equally is our choice.
    """

    backbone_cls = ZorroViTBackbone
    preprocessor_cls = AudioVisualPreprocessor

    def __init__(
        self, backbone, num_classes, multi_label=False, preprocessor=None, label_smoothing=0.0, **kwargs
    ):
        if num_classes < 1:
            raise ValueError(f"`num_classes` must be positive. Received: num_classes={num_classes}")
        self._check_backbone(backbone)
        heads = {
            name: keras.layers.Dense(num_classes, dtype=_logits_policy(backbone), name=f"{name}_logits")
            for name in backbone.output
        }
        features = backbone(backbone.input)
        outputs = {name: head(features[name]) for name, head in heads.items()}
        super().__init__(backbone, preprocessor, outputs, **kwargs)
        self.heads = heads
        self.num_classes = num_classes
        self.multi_label = multi_label
        self.label_smoothing = label_smoothing
        self.compile_by_default()

    def answer(self, inputs, training=None):
        """Returns the logits for the streams that `inputs` holds: what a call runs."""
        # A backbone that does not learn must not be disturbed either.
        features = self.backbone(inputs, training=training and self.backbone.trainable)
        return {name: self.heads[name](feature) for name, feature in features.items()}

    def served(self, outputs):
        """Returns what an export answers: the logits, and the probabilities beside them."""
        return with_probabilities(outputs, multi_label=self.multi_label)

    def compile(self, optimizer="auto", loss="auto", **kwargs):
        """Configures training, with defaults that suit the task.

        Args:
            optimizer: optimizer or its name; "auto" for AdamW with a learning rate of 3e-4.
            loss: Keras loss of labels `(B, K)` and logits `(B, K)`, applied to each head; "auto" for the
                cross-entropy of a softmax, or of sigmoids if `multi_label`.
            **kwargs: further arguments of `keras.Model.compile`. `metrics` are made by head and not accepted.
        """
        if loss == "auto":
            cross_entropy = (
                keras.losses.BinaryCrossentropy if self.multi_label else keras.losses.CategoricalCrossentropy
            )
            loss = cross_entropy(from_logits=True, label_smoothing=self.label_smoothing)
        self.compile_own(optimizer, 3e-4, kwargs, loss)
        self.head_loss = keras.losses.get(loss)
        self.head_metrics = [metric for head in self.heads for metric in self._metrics_of(head)]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        labels = as_probabilities(y, self.num_classes, sample_weight)
        shares = self._shares(x, y_pred, sample_weight)
        values = [example_losses(self.head_loss, labels, y_pred[head]) for head in shares]
        return self.total_loss(weighted_mean(ops.stack(values), ops.stack(list(shares.values()))))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        labels = as_probabilities(y, self.num_classes, sample_weight)
        weights = self._presence(x, y_pred, sample_weight)
        for metric in self.head_metrics:
            head = metric.name.rsplit("_", 1)[0]
            if head in y_pred:
                metric.update_state(labels, y_pred[head], sample_weight=weights[head])
        absent = [metric.name for metric in self.head_metrics if metric.name.rsplit("_", 1)[0] not in y_pred]
        return {name: result for name, result in self.get_metrics_result().items() if name not in absent}

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "multi_label": self.multi_label,
            "label_smoothing": self.label_smoothing,
        }

    def _metrics_of(self, head):
        if self.multi_label:
            return [keras.metrics.BinaryAccuracy(name=f"{head}_accuracy", threshold=0.0)]
        top = min(5, self.num_classes)
        return [
            keras.metrics.CategoricalAccuracy(name=f"{head}_accuracy"),
            keras.metrics.TopKCategoricalAccuracy(top, name=f"{head}_top{top}"),
        ]

    def _presence(self, x, y_pred, sample_weight):
        """Returns by head the weight `(B,)` of each example: none where it lacks all that the head reads."""
        presence = x.get("presence") or {}
        like = next(iter(y_pred.values()))
        ones = ops.ones(ops.shape(like)[:1], dtype="float32")
        whole = ones if sample_weight is None else ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        streams = [name for name in self.backbone.streams if x.get(name) is not None]
        has = {name: ops.cast(presence[name], "float32") if name in presence else ones for name in streams}
        has_any = ops.max(ops.stack(list(has.values())), axis=0)
        return {head: whole * has.get(head, has_any) for head in y_pred}

    def _shares(self, x, y_pred, sample_weight):
        """Returns by head the share `(B,)` that it has in each example's mean loss."""
        weights = self._presence(x, y_pred, None)
        total = ops.maximum(sum(weights.values()), 1.0)
        whole = 1.0 if sample_weight is None else ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        return {head: whole * weight / total for head, weight in weights.items()}


@keras.saving.register_keras_serializable("zorro_keras")
class AudioVisualSwin(AudioVisualClassifier):
    """An `AudioVisualClassifier` of a `ZorroSwinBackbone`, as which it is made, saved and loaded."""

    backbone_cls = ZorroSwinBackbone


@keras.saving.register_keras_serializable("zorro_keras")
class AudioVisualHiP(AudioVisualClassifier):
    """An `AudioVisualClassifier` of a `ZorroHiPBackbone`, as which it is made, saved and loaded."""

    backbone_cls = ZorroHiPBackbone

    @classmethod
    def _check_backbone(cls, backbone):
        super()._check_backbone(backbone)
        if backbone.decoder_levels:
            raise ValueError(
                "A classifier reads no reconstructions; give it `backbone.encoding_half()`. "
                f"Received: decoder_levels={backbone.decoder_levels}"
            )


@keras.saving.register_keras_serializable("zorro_keras")
class AudioVisualPerceiver(AudioVisualClassifier):
    """Classifies clips from sound, picture, or both, by one question to a Perceiver IO.

    There is one head for each output of the backbone, by default one, `label`, and each is of all that is
    there: latents read sound and picture together. So nothing is promised about what a stream alone decides;
    only a stream that is not given, or whose `presence` is False, cannot reach the answer. The latents read
    neither its elements nor anything in their place.

    Args:
        backbone: `PerceiverIOBackbone` whose outputs are features `(B, D)`:
            `from_variant("audioset_raw", num_classes=None)`, or parts of one's own. No output may have the
            name of an input.
        num_classes, multi_label, preprocessor, label_smoothing: as for `AudioVisualClassifier`.

    Call arguments:
        inputs: as for `AudioVisualClassifier`.

    Returns:
        Dict of output to logits `(B, K)`, float32.

    Raises:
        ValueError: if the backbone has outputs that are no features, or of a stream's name.

    Example:

    ```python
    backbone = PerceiverIOBackbone.from_variant("audioset_mel", num_classes=None)
    model = AudioVisualPerceiver(backbone, num_classes=527, multi_label=True)
    model.predict({"audio": mel})["label"]  # (B, 527)
    ```

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix on AudioSet.
    """

    backbone_cls = PerceiverIOBackbone

    @classmethod
    def _check_backbone(cls, backbone):
        super()._check_backbone(backbone)
        for name, output in backbone.output.items():
            has_scores = isinstance(backbone.output_adapters[name].head, ClassificationHead)
            if has_scores or len(output.shape) != 2 or name in backbone.streams:
                raise ValueError(
                    "Each output of `backbone` must be features (batch, channels) under a name that no input "
                    "has; variants give them with `num_classes=None`. "
                    f"Received: {name!r} {tuple(output.shape)}, head={backbone.output_adapters[name].head}"
                )


def _logits_policy(backbone):
    """Logits are float32 whatever the backbone computes in; a losses' exponentials need it."""
    return keras.DTypePolicy("float32") if backbone.compute_dtype != "float32" else backbone.dtype_policy
