"""The task: says which units of a battle should be selected."""

from __future__ import annotations

import keras
from keras import ops

from zorro_keras.applications.starcraft_units.preprocessor import UnitPreprocessor
from zorro_keras.applications.starcraft_units.unit_heads import UnitHeads
from zorro_keras.applications.training.losses import weighted_mean
from zorro_keras.applications.training.preset_task import PresetTask
from zorro_keras.models import EntityTransformerBackbone, PerceiverIOBackbone


@keras.saving.register_keras_serializable("zorro_keras")
class UnitSelector(PresetTask):
    """Points at the units of a battle, any number of them, of which any may be chosen.

    Args:
        backbone: `PerceiverIOBackbone` with the input and the output `units`, such as its variant
            "starcraft_units"; of an `EntityTransformerBackbone`, see `TransformerUnitSelector`.
        preprocessor: `UnitPreprocessor`, or `None`.
        embed_dim: int, channels of the embeddings of a unit and of all.
        key_dim: int, channels of the pointer's keys.

    Call arguments:
        inputs: dict with `units`, float `(B, M, F)`, M up to the backbone's length, and optionally
            `padding_mask`, a dict with `units`, bool `(B, M)`, True = real.

    Returns:
        Dict with `selection`: logits `(B, M)`, float32; -1e9 for masked slots, a probability of 0.

    Labels are bools or floats `(B, M)`; sample weights `(B, M)` or `(B,)`. Masked slots never count. The loss
    is the mean of the units' cross-entropies. An example without a real unit counts for nothing.

    Raises:
        ValueError: if the backbone has other inputs or outputs, or another table of features.

    Example:

    ```python
    model = UnitSelector.from_preset("runs/first/preset")
    inputs = model.preprocessor.batch([units_of_one_battle])
    model.predict(inputs)["selection"]  # (1, M)
    ```

    Reference:
        Perceiver IO, arXiv 2107.14795, the application to StarCraft II; AlphaStar, see `UnitHeads`.
    """

    backbone_cls = PerceiverIOBackbone
    preprocessor_cls = UnitPreprocessor

    def __init__(self, backbone, preprocessor=None, embed_dim=256, key_dim=32, **kwargs):
        if list(backbone.streams) != ["units"] or list(backbone.output) != ["units"]:
            raise ValueError(
                "`backbone` must have one input and one output, `units`. "
                f"Received: {list(backbone.streams)} and {list(backbone.output)}"
            )
        stream = backbone.streams["units"]
        if preprocessor is not None and preprocessor.stream != stream:
            raise ValueError(
                "`preprocessor` must have the features and the number of units of the backbone. "
                f"Received: {preprocessor.stream} beside {stream}"
            )
        heads = UnitHeads(embed_dim, key_dim, dtype=backbone.dtype_policy, name="heads")
        outputs = {"selection": heads(backbone(backbone.input)["units"])["selection"]}
        super().__init__(backbone, preprocessor, outputs, **kwargs)
        self.heads = heads
        self.embed_dim = embed_dim
        self.key_dim = key_dim
        self.compile_by_default()

    def answer(self, inputs, training=None):
        """Returns the logits: what a call runs."""
        return {"selection": self.understand(inputs, training)["selection"]}

    def understand(self, inputs, training=None):
        """Returns all that an agent may want: `selection`, `units` and `pooled`, see `UnitHeads`."""
        return self.heads(self.backbone(inputs, training=training)["units"], _mask(inputs))

    def export_endpoints(self):
        """Returns what an export serves: see `unit_endpoints`."""
        from zorro_keras.applications.starcraft_units.endpoints import unit_endpoints

        return unit_endpoints(self)

    def compile(self, optimizer="auto", **kwargs):
        """Configures training.

        Args:
            optimizer: optimizer or its name; "auto" for AdamW with a learning rate of 1e-3.
            **kwargs: further arguments of `keras.Model.compile`, without `loss` and `metrics`.
        """
        self.compile_own(optimizer, 1e-3, kwargs)
        names = ("selection_loss", "unit_accuracy", "exact_selection")
        self.selection_metrics = {name: keras.metrics.Mean(name=name) for name in names}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        values, weights = self._entropy(y, y_pred), _weights(x, y_pred, sample_weight)
        return self.total_loss(weighted_mean(values, weights))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        weights = _weights(x, y_pred, sample_weight)
        wrong = ops.not_equal(ops.cast(y, "bool"), y_pred["selection"] > 0.0)
        counts = ops.cast(ops.any(weights > 0.0, axis=-1), "float32")
        any_wrong = ops.any(ops.logical_and(wrong, weights > 0.0), axis=-1)
        metrics = self.selection_metrics
        metrics["selection_loss"].update_state(self._entropy(y, y_pred), sample_weight=weights)
        metrics["unit_accuracy"].update_state(1.0 - ops.cast(wrong, "float32"), sample_weight=weights)
        metrics["exact_selection"].update_state(1.0 - ops.cast(any_wrong, "float32"), sample_weight=counts)
        return self.get_metrics_result()

    def get_config(self):
        return {**super().get_config(), "embed_dim": self.embed_dim, "key_dim": self.key_dim}

    def _entropy(self, y, y_pred):
        """Returns the cross-entropy of each unit `(B, M)`, in nats."""
        logits = ops.cast(y_pred["selection"], "float32")
        return ops.binary_crossentropy(ops.cast(y, "float32"), logits, from_logits=True)


@keras.saving.register_keras_serializable("zorro_keras")
class TransformerUnitSelector(UnitSelector):
    """`UnitSelector` on an `EntityTransformerBackbone`, whose one input is `units`."""

    backbone_cls = EntityTransformerBackbone


def _mask(inputs):
    if "presence" in inputs:
        raise ValueError("A battle without units is one whose `padding_mask` hides all. Received: `presence`")
    mask = (inputs.get("padding_mask") or {}).get("units")
    return None if mask is None else ops.cast(ops.convert_to_tensor(mask), "bool")


def _weights(x, y_pred, sample_weight):
    """Returns how much each unit counts, float32 `(B, M)`: nothing where it is masked."""
    weights = ops.ones_like(ops.cast(y_pred["selection"], "float32"))
    mask = _mask(x)
    if mask is not None:
        weights = weights * ops.cast(mask, "float32")
    if sample_weight is None:
        return weights
    sample_weight = ops.cast(sample_weight, "float32")
    return weights * (sample_weight if len(sample_weight.shape) == 2 else sample_weight[:, None])
