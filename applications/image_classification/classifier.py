"""The task: names what a picture shows."""

from __future__ import annotations

import keras
from keras import ops

from zorro_keras.applications.image_classification.preprocessor import ImagePreprocessor
from zorro_keras.applications.training.losses import as_probabilities, example_losses, weighted_mean
from zorro_keras.applications.training.preset_task import PresetTask
from zorro_keras.models import PerceiverIOBackbone


@keras.saving.register_keras_serializable("zorro_keras")
class ImageClassifier(PresetTask):
    """Classifies pictures.

    Args:
        backbone: `PerceiverIOBackbone` with the input `image` and the output `label`, logits of K classes:
            its variants `image_...`, or parts of one's own.
        preprocessor: `ImagePreprocessor` applied by `fit`, `evaluate` and `predict` to what they are given,
            or `None` if they are given preprocessed arrays.
        label_smoothing: float in [0, 1), share of the label that the default loss spreads over all classes.

    Call arguments:
        inputs: dict with `image`, float `(B, Y, X, 3)`.

    Returns:
        Dict with `label`: logits `(B, K)`, float32.

    Labels are ints `(B,)` or, mixed or smoothed, floats `(B, K)` that sum to 1. The loss is the mean over
    examples by their sample weights: a picture of weight 0 leaves it as it is. An int that is
    no class makes it NaN.

    Raises:
        ValueError: if the backbone has other inputs or outputs.

    Example:

    ```python
    backbone = PerceiverIOBackbone.from_variant("image_fourier", num_classes=10)
    model = ImageClassifier(backbone, ImagePreprocessor(224, mean, std, label_names))
    model.fit({"image": pictures}, labels)
    model.predict({"image": pictures})["label"]  # (B, 10)
    ```

    Reference:
        Perceiver IO, arXiv 2107.14795, section 4.5.
    """

    backbone_cls = PerceiverIOBackbone
    preprocessor_cls = ImagePreprocessor
    multi_label = False
    heads = ("label",)

    def __init__(self, backbone, preprocessor=None, label_smoothing=0.0, **kwargs):
        if set(backbone.streams) != {"image"} or set(backbone.output_adapters) != {"label"}:
            raise ValueError(
                "`backbone` must have the input `image` and the output `label`. "
                f"Received: {sorted(backbone.streams)} and {sorted(backbone.output_adapters)}"
            )
        outputs = _logits(backbone(backbone.input))
        super().__init__(backbone, preprocessor, outputs, **kwargs)
        self.label_smoothing = label_smoothing
        self.compile_by_default()

    @property
    def num_classes(self):
        """Classes, K."""
        return self.output["label"].shape[-1]

    def answer(self, inputs, training=None):
        """Returns the logits: what a call runs."""
        return _logits(self.backbone(inputs, training=training))

    def export_endpoints(self):
        """Returns what an export serves: see `image_endpoints`."""
        from zorro_keras.applications.image_classification.endpoints import image_endpoints

        return image_endpoints(self)

    def compile(self, optimizer="auto", loss="auto", **kwargs):
        """Configures training, with defaults that suit the task.

        Args:
            optimizer: optimizer or its name; "auto" for AdamW with a learning rate of 3e-4.
            loss: Keras loss of labels `(B, K)` and logits `(B, K)`; "auto" for softmax cross-entropy.
            **kwargs: further arguments of `keras.Model.compile`. `metrics` are made by the task, top-1 and
                top-5 accuracy, and not accepted.
        """
        if loss == "auto":
            loss = keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=self.label_smoothing
            )
        self.compile_own(optimizer, 3e-4, kwargs, loss)
        self.label_loss = keras.losses.get(loss)
        self.label_metrics = [
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.TopKCategoricalAccuracy(min(5, self.num_classes), name="top5_accuracy"),
        ]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        labels = as_probabilities(y, self.num_classes, sample_weight)
        values = example_losses(self.label_loss, labels, y_pred["label"])
        weights = ops.ones_like(values) if sample_weight is None else ops.reshape(sample_weight, (-1,))
        return self.total_loss(weighted_mean(values, weights))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        labels = as_probabilities(y, self.num_classes, sample_weight)
        for metric in self.label_metrics:
            metric.update_state(labels, y_pred["label"], sample_weight=sample_weight)
        return self.get_metrics_result()

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def _logits(outputs):
    """Float32 whatever the backbone computes in: a loss's exponentials need it."""
    return {"label": ops.cast(outputs["label"], "float32")}
