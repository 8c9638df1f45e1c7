"""The task: says how far each pixel of a first frame moves until the second."""

from __future__ import annotations

import keras
from keras import ops

from zorro_keras.applications.optical_flow.losses import FLOW_LOSSES
from zorro_keras.applications.optical_flow.preprocessor import FlowPreprocessor
from zorro_keras.applications.training.losses import weighted_mean
from zorro_keras.applications.training.preset_task import PresetTask
from zorro_keras.models import PerceiverIOBackbone


@keras.saving.register_keras_serializable("zorro_keras")
class OpticalFlow(PresetTask):
    """Estimates optical flow.

    Args:
        backbone: `PerceiverIOBackbone` with the input `frames` and the output `flow`: its variants
            `optical_flow...`, or parts of one's own.
        preprocessor: `FlowPreprocessor` applied by `fit`, `evaluate` and `predict` to what they are given, or
            `None` if they are given preprocessed arrays.
        flow_loss: key of `FLOW_LOSSES`: "end_point", "l1" or "robust".

    Call arguments:
        inputs: dict with `frames`, float `(B, 2, Y, X, 3)` in [-1, 1].

    Returns:
        Dict with `flow`: float32 `(B, Y, X, 2)`, u to the right, then v down, in units of
        `preprocessor.flow_scale` pixels.

    Labels are flows of the same shape. A sample weight `(B, Y, X)` of 0 leaves out a pixel whose flow is not
    known; one of `(B,)` weighs examples. The loss is the mean over the pixels that count. Metrics are in
    pixels: `end_point_error`, and `zero_flow_error`, the error of a model that sees no motion.

    Raises:
        ValueError: if the backbone has other inputs or outputs, or the loss is unknown.

    Example:

    ```python
    backbone = PerceiverIOBackbone.from_variant("optical_flow_conv", size_px=(96, 128), num_latents=256)
    model = OpticalFlow(backbone, FlowPreprocessor((96, 128)))
    model.fit({"frames": frames}, flow_px, sample_weight=valid)
    model.predict({"frames": frames})["flow"] * model.flow_scale  # (B, Y, X, 2), pixels
    ```

    Reference:
        Perceiver IO, arXiv 2107.14795, section 4.2 and its appendix on optical flow.
    """

    backbone_cls = PerceiverIOBackbone
    preprocessor_cls = FlowPreprocessor
    heads = ("flow",)

    def __init__(self, backbone, preprocessor=None, flow_loss="end_point", **kwargs):
        if set(backbone.streams) != {"frames"} or set(backbone.output_adapters) != {"flow"}:
            raise ValueError(
                "`backbone` must have the input `frames` and the output `flow`. "
                f"Received: {sorted(backbone.streams)} and {sorted(backbone.output_adapters)}"
            )
        if flow_loss not in FLOW_LOSSES:
            raise ValueError(f"`flow_loss` must be one of {sorted(FLOW_LOSSES)}. Received: {flow_loss!r}")
        outputs = _flow(backbone(backbone.input))
        super().__init__(backbone, preprocessor, outputs, **kwargs)
        self.flow_loss = flow_loss
        self.compile_by_default()

    @property
    def flow_scale(self):
        """Pixels to one unit of the answer: the preprocessor's, or 1 without one."""
        return 1.0 if self.preprocessor is None else self.preprocessor.flow_scale

    def answer(self, inputs, training=None):
        """Returns the flow: what a call runs."""
        return _flow(self.backbone(inputs, training=training))

    def export_endpoints(self):
        """Returns what an export serves: see `flow_endpoints`."""
        from zorro_keras.applications.optical_flow.endpoints import flow_endpoints

        return flow_endpoints(self)

    def compile(self, optimizer="auto", loss="auto", **kwargs):
        """Configures training, with defaults that suit the task.

        Args:
            optimizer: optimizer or its name; "auto" for AdamW with a learning rate of 4e-4.
            loss: function of true and estimated flow `(B, Y, X, 2)` to `(B, Y, X)`; "auto" for that of
                `flow_loss`.
            **kwargs: further arguments of `keras.Model.compile`. `metrics` are made by the task and not
                accepted.
        """
        if loss == "auto":
            loss = FLOW_LOSSES[self.flow_loss]
        self.compile_own(optimizer, 4e-4, kwargs, loss)
        self.pixel_loss = loss
        self.flow_metrics = {
            name: keras.metrics.Mean(name=name) for name in ("end_point_error", "zero_flow_error")
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        y, weights = _counted(y, y_pred["flow"], sample_weight)
        return self.total_loss(weighted_mean(self.pixel_loss(y, y_pred["flow"]), weights))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        y, weights = _counted(y, y_pred["flow"], sample_weight)
        for name, answer in (("end_point_error", y_pred["flow"]), ("zero_flow_error", ops.zeros_like(y))):
            lengths = ops.sqrt(ops.sum(ops.square(y - answer), axis=-1))
            self.flow_metrics[name].update_state(self.flow_scale * lengths, sample_weight=weights)
        return self.get_metrics_result()

    def get_config(self):
        return {**super().get_config(), "flow_loss": self.flow_loss}


def _flow(outputs):
    """Float32 for the loss. The variants' last layer computes in it: a hundredth of a pixel needs that."""
    return {"flow": ops.cast(outputs["flow"], "float32")}


def _counted(y, y_pred, sample_weight):
    """The true flow, 0 where it does not count and may be anything, and the weight of each pixel."""
    y = ops.cast(y, "float32")
    if sample_weight is None:
        return y, ops.ones_like(y_pred[..., 0])
    weights = ops.cast(sample_weight, "float32")
    if len(weights.shape) == 1:
        weights = ops.reshape(weights, (-1, 1, 1))
    weights = ops.broadcast_to(weights, ops.shape(y_pred)[:-1])
    return ops.where(weights[..., None] > 0, y, ops.zeros_like(y)), weights
