"""The task: a Perceiver IO that rebuilds a clip, its sound and its label from few latents."""

from __future__ import annotations

import math

import keras
from keras import ops

from zorro_keras.applications.training.losses import as_probabilities, weighted_mean
from zorro_keras.applications.training.preset_task import PresetTask
from zorro_keras.applications.video_autoencoding.chunks import decode_in_chunks
from zorro_keras.applications.video_autoencoding.preprocessor import VideoAutoencoderPreprocessor
from zorro_keras.models import PerceiverIOBackbone

NAMES = ("audio", "image", "label")
# Section 4.4 and its appendix: absolute differences of picture and sound, cross-entropy of the label.
LOSS_WEIGHTS = {"audio": 1.0, "image": 0.03, "label": 1e-4}
# What the losses of sound and picture take of each difference; the first is the published one.
RECONSTRUCTION_LOSSES = {"absolute": ops.abs, "squared": ops.square}
_RANGES = {"audio": (-1.0, 1.0), "image": (0.0, 1.0)}
_SMALLEST_ERROR = 1e-10  # of a mean square: 100 dB


@keras.saving.register_keras_serializable("zorro_keras")
class VideoAutoencoder(PresetTask):
    """Rebuilds sound and picture, and names what they show where the label is hidden.

    Args:
        backbone: `PerceiverIOBackbone` with the inputs and outputs `audio`, `image` and `label`: its variant
            "autoencoder", or parts of one's own.
        preprocessor: `VideoAutoencoderPreprocessor` applied by `fit`, `evaluate` and `predict` to what they
            are given, or `None` if they are given preprocessed arrays.
        loss_weights: dict of output to the weight of its loss; `None` for the published 1, 0.03 and 0.0001 of
            audio, image and label.
        points_per_chunk: int, queries that are answered at a time where all outputs are asked for.
        reconstruction_loss: "absolute", as published, or "squared": which differences of sound and picture
            the loss means over.

    Call arguments:
        inputs: dict with `audio`, float `(B, S)` in [-1, 1], `image`, float `(B, F, Y, X, 3)` in [0, 1], and
            `label`, float `(B, 1, K)`, one-hot. What is left out, or False in `inputs["presence"]`, is shown
            as a learned mask; of the label, training hides it in half of the examples, too.
            `inputs["rows"]` may map `audio` and `image` to int `(R,)`, the points to answer: patches of the
            waveform, and pixels, as flat indices; without it all are.

    Returns:
        Dict with `audio`, float32 `(B, R, samples of a patch)`, `image`, `(B, R, 3)`, and `label`, logits
        `(B, K)`. `as_clip` gives them the shapes of a clip.

    Labels are ints `(B,)`, or floats `(B, K)`; without them, sound and picture are learned alone. The loss
    compares the answers with the inputs, at the points that were asked for, over the examples that have the
    stream.

    Raises:
        ValueError: if the backbone has other inputs or outputs, or a weight is no output's.

    Example:

    ```python
    backbone = PerceiverIOBackbone.from_variant("autoencoder", num_latents=392)
    model = VideoAutoencoder(backbone)
    model.fit(dataset)  # of (x, labels), x with 512 `rows` of each: see `with_points`
    clip = model.as_clip(model.predict({"audio": sound, "image": frames}))
    ```

    Reference:
        Perceiver IO, arXiv 2107.14795, section 4.4 and the appendix on multimodal autoencoding.
    """

    backbone_cls = PerceiverIOBackbone
    preprocessor_cls = VideoAutoencoderPreprocessor

    def __init__(
        self,
        backbone,
        preprocessor=None,
        loss_weights=None,
        points_per_chunk=6272,
        reconstruction_loss="absolute",
        **kwargs,
    ):
        if {*backbone.streams} != {*NAMES} or {*backbone.output_adapters} != {*NAMES}:
            raise ValueError(
                f"`backbone` must have the inputs and outputs {list(NAMES)}. "
                f"Received: {sorted(backbone.streams)} and {sorted(backbone.output_adapters)}"
            )
        weights = LOSS_WEIGHTS if loss_weights is None else dict(loss_weights)
        if {*weights} != {*NAMES} or any(not 0 <= weight < math.inf for weight in weights.values()):
            raise ValueError(
                f"`loss_weights` must give each of {list(NAMES)} at least 0. Received: {weights}"
            )
        if points_per_chunk < 1:
            raise ValueError(f"`points_per_chunk` must be positive. Received: {points_per_chunk}")
        if reconstruction_loss not in RECONSTRUCTION_LOSSES:
            raise ValueError(
                f"`reconstruction_loss` must be one of {list(RECONSTRUCTION_LOSSES)}. "
                f"Received: {reconstruction_loss!r}"
            )
        super().__init__(backbone, preprocessor, _float32(backbone(backbone.input)), **kwargs)
        self.loss_weights = weights
        self.points_per_chunk = points_per_chunk
        self.reconstruction_loss = reconstruction_loss
        self.compile_by_default()

    @property
    def num_classes(self):
        """Classes, K."""
        return self.backbone.streams["label"].features

    def answer(self, inputs, training=None):
        """Returns the outputs at the points that are asked for: what a call runs."""
        inputs = dict(inputs)
        rows = inputs.pop("rows", None)
        latents = self.backbone.encode(inputs, training=training)
        if rows is None:
            return self.decode(latents)
        return _float32(self.backbone.decode(latents, rows=rows, training=training))

    def decode(self, latents):
        """Returns all outputs of latents that `backbone.encode` gave, chunk by chunk, at constant memory."""
        return _float32(decode_in_chunks(self.backbone, latents, self.points_per_chunk))

    def as_clip(self, outputs):
        """Returns whole outputs in the shapes and ranges of a clip.

        Args:
            outputs: dict as a call without `rows` returns it.

        Returns:
            Dict with `audio`, `(B, S)` in [-1, 1], `image`, `(B, F, Y, X, 3)` in [0, 1], and
            `label_logits` and `label_probabilities` `(B, K)`.
        """
        clip = {
            name: ops.clip(ops.reshape(outputs[name], (-1, *self.backbone.streams[name].shape)), *limits)
            for name, limits in _RANGES.items()
        }
        logits = ops.convert_to_tensor(outputs["label"])
        return {**clip, "label_logits": logits, "label_probabilities": ops.softmax(logits)}

    def export_endpoints(self):
        """Returns what an export serves: see `autoencoder_endpoints`."""
        from zorro_keras.applications.video_autoencoding.endpoints import autoencoder_endpoints

        return autoencoder_endpoints(self)

    def compile(self, optimizer="auto", **kwargs):
        """Configures training.

        Args:
            optimizer: optimizer or its name; "auto" for AdamW with a learning rate of 1e-3.
            **kwargs: further arguments of `keras.Model.compile`, without `loss` and `metrics`.
        """
        self.compile_own(optimizer, 1e-3, kwargs)
        names = ("audio_loss", "audio_psnr", "image_loss", "image_psnr", "label_loss", "label_accuracy")
        self.output_metrics = {name: keras.metrics.Mean(name=name) for name in names}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        weights = self._weights(x, y, sample_weight)
        values = self._figures(x, y, y_pred, sample_weight)
        terms = [
            self.loss_weights[name] * weighted_mean(values[f"{name}_loss"], weights[name])
            for name in NAMES
            if name in weights
        ]
        return self.total_loss(*terms)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        weights = self._weights(x, y, sample_weight)
        for name, values in self._figures(x, y, y_pred, sample_weight).items():
            self.output_metrics[name].update_state(values, sample_weight=weights[name.partition("_")[0]])
        return self.get_metrics_result()

    def _weights(self, x, y, sample_weight):
        """Returns by output how much each example counts, `(B,)`: not where it lacks the stream."""
        given = [name for name in _RANGES if x.get(name) is not None]
        ones = ops.ones(ops.shape(x[given[0]])[:1], dtype="float32")
        whole = ones if sample_weight is None else ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        presence = x.get("presence") or {}
        has = {name: ops.cast(presence[name], "float32") if name in presence else ones for name in given}
        if y is not None:
            has["label"] = ops.max(ops.stack(list(has.values())), axis=0)
        return {name: whole * flags for name, flags in has.items()}

    def _figures(self, x, y, y_pred, sample_weight):
        """Returns what is measured of each example, `(B,)` by name."""
        figures, distance = {}, RECONSTRUCTION_LOSSES[self.reconstruction_loss]
        for name, limits in _RANGES.items():
            if x.get(name) is None:
                continue
            target = self._target(x, name)
            figures[f"{name}_loss"] = ops.mean(distance(y_pred[name] - target), axis=(1, 2))
            error = ops.mean(ops.square(ops.clip(y_pred[name], *limits) - target), axis=(1, 2))
            figures[f"{name}_psnr"] = -10.0 * ops.log10(ops.maximum(error, _SMALLEST_ERROR))
        if y is not None:
            y, logits = as_probabilities(y, self.num_classes, sample_weight), y_pred["label"]
            figures["label_loss"] = keras.losses.categorical_crossentropy(y, logits, from_logits=True)
            right = ops.equal(ops.argmax(y, axis=-1), ops.argmax(logits, axis=-1))
            figures["label_accuracy"] = ops.cast(right, "float32")
        return figures

    def _target(self, x, name):
        """Returns an input `(B, R, C)` as the queries of its output see it: patches, or pixels."""
        queries = self.backbone.output_adapters[name].queries
        target = ops.cast(ops.convert_to_tensor(x[name]), "float32")
        channels = math.prod(self.backbone.streams[name].shape) // queries.length
        target = ops.reshape(target, (-1, queries.length, channels))
        rows = (x.get("rows") or {}).get(name)
        return target if rows is None else ops.take(target, ops.cast(rows, "int32"), axis=1)

    def get_config(self):
        return {
            **super().get_config(),
            "loss_weights": dict(self.loss_weights),
            "points_per_chunk": self.points_per_chunk,
            "reconstruction_loss": self.reconstruction_loss,
        }


def _float32(outputs):
    """Float32 whatever the backbone computes in: losses and exponentials need it."""
    return {name: ops.cast(values, "float32") for name, values in outputs.items()}
