"""The task: a HiP that tells what was hidden of a clip."""

from __future__ import annotations

import keras
from keras import ops

from zorro_keras.applications.masked_autoencoding.preprocessor import MaskedClipPreprocessor
from zorro_keras.applications.training.losses import weighted_mean
from zorro_keras.applications.training.preset_task import PresetTask
from zorro_keras.models import HiPBackbone, MaskedAutoencoder

STREAMS = ("audio", "video")


@keras.saving.register_keras_serializable("zorro_keras")
class MaskedClipAutoencoder(PresetTask):
    """Hides most of the sound and picture of a clip, and tells it from the rest.

    What is trained is the backbone: `HiPBackbone.from_preset` of this model's preset goes on from it.

    Args:
        backbone: `HiPBackbone` with decoder levels whose streams are `audio`, `video` or both: elements of
            few samples and pixels, see `MaskedAutoencoder`.
        preprocessor: `MaskedClipPreprocessor` applied by `fit`, `evaluate` and `predict` to what they are
            given, or `None` if they are given preprocessed arrays.
        mask_rate: float in (0, 1), share of the places of a group that are hidden.
        seed: int, seed of the patterns.

    Call arguments:
        inputs: dict with `audio`, float `(B, S)`, and `video`, float `(B, F, Y, X, 3)`, as the backbone takes
            it. What is left out, or False in `inputs["presence"]`, is neither read nor asked for.

    Returns:
        Dict with `reconstruction`, a dict of each stream to `(B, M, P)`, and `hidden`, one to bool `(B, M)`.
        `as_clip` gives them the shapes of a clip. In training the patterns are drawn anew in each step;
        otherwise they are the same each time.

    The loss is that of `MaskedAutoencoder`; there are no labels. The metrics `audio_error` and `video_error`
    are mean squares over all hidden samples, in [-1, 1], and numbers of pixels, in [0, 1].

    Raises:
        ValueError: if the backbone has other streams, or `MaskedAutoencoder` refuses it.

    Example:

    ```python
    streams = {"video": Video(8, 32, 32, patch=(1, 2, 2)), "audio": Waveform(2560, patch=(5,))}
    model = MaskedClipAutoencoder(HiPBackbone.from_variant("mini", streams))
    model.fit({"audio": sound, "video": frames})
    model.save_to_preset("pretrained")
    backbone = HiPBackbone.from_preset("pretrained").encoding_half()
    ```

    Reference:
        HiP, arXiv 2202.10890.
    """

    backbone_cls = HiPBackbone
    preprocessor_cls = MaskedClipPreprocessor

    def __init__(self, backbone, preprocessor=None, mask_rate=0.85, seed=0, **kwargs):
        if not {*backbone.streams} <= {*STREAMS}:
            raise ValueError(
                f"`backbone` must have no other streams than {list(STREAMS)}. "
                f"Received: {sorted(backbone.streams)}"
            )
        masking = MaskedAutoencoder(backbone, mask_rate, seed)
        super().__init__(backbone, preprocessor, backbone(backbone.input), **kwargs)
        self.masking = masking
        self.compile_by_default()

    def answer(self, inputs, training=None):
        """Returns the reconstructions and what was hidden: what a call runs."""
        outputs, hidden = self.masking.reconstruct(inputs, training=training)
        return {"reconstruction": outputs, "hidden": hidden}

    def as_clip(self, outputs):
        """Returns what a call returned in the shapes of a clip.

        Returns:
            Dict of `reconstruction`, a dict of stream to float32 `(B, *shape)`, and `hidden`, one to bool of
            the same shapes.
        """
        made = {name: ops.cast(values, "float32") for name, values in outputs["reconstruction"].items()}
        hidden = {
            name: ops.broadcast_to(ops.cast(flags, "float32")[..., None], ops.shape(made[name]))
            for name, flags in outputs["hidden"].items()
        }
        hidden = {name: ops.cast(flags, "bool") for name, flags in self.masking.as_arrays(hidden).items()}
        return {"reconstruction": self.masking.as_arrays(made), "hidden": hidden}

    def compile(self, optimizer="auto", **kwargs):
        """Configures training.

        Args:
            optimizer: optimizer or its name; "auto" for AdamW with a learning rate of 1e-3.
            **kwargs: further arguments of `keras.Model.compile`, without `loss` and `metrics`.
        """
        self.compile_own(optimizer, 1e-3, kwargs)
        self.error_metrics = {
            name: keras.metrics.Mean(name=f"{name}_error") for name in self.backbone.streams
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        means = [weighted_mean(error, count) for error, count in self._missed(x, y_pred).values()]
        return self.total_loss(sum(means) / len(means))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        scales = {} if self.preprocessor is None else self.preprocessor.scales
        for name, (error, count) in self._missed(x, y_pred).items():
            self.error_metrics[name].update_state(scales.get(name, 1.0) ** 2 * error, sample_weight=count)
        return self.get_metrics_result()

    def _missed(self, x, y_pred):
        return self.masking.missed(x, y_pred["reconstruction"], y_pred["hidden"])

    def get_config(self):
        masking = self.masking
        return {**super().get_config(), "mask_rate": masking.mask_rate, "seed": masking.seed}
