"""A keras-hub task that trains as it comes: compiled when it is made, and when it is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import keras_hub

from zorro_keras.applications.training.replicas import share_of_loss
from zorro_keras.models import AnyStreams


class CompiledTask(AnyStreams, keras_hub.models.Task):
    """A backbone and what a task makes of its outputs, compiled with metrics that the task makes itself.

    A subclass ends its constructor with `compile_by_default`, says in `answer` what a call runs, and compiles
    by `compile_own`.

    Args:
        backbone: functional backbone of streams.
        preprocessor: layer, or `None`.
        outputs: dict of name to symbolic tensor, made of `backbone(backbone.input)`.
        compile: bool. Whether `compile_by_default` compiles.
        **kwargs: further arguments of `keras.Model`.
    """

    def __init__(self, backbone, preprocessor, outputs, compile=True, **kwargs):
        super().__init__(inputs=backbone.input, outputs=outputs, compile=False, **kwargs)
        self.backbone = backbone
        self.preprocessor = preprocessor
        self._compiles = compile

    def compile_by_default(self):
        """Compiles, unless the caller asked for a model that is not: `compile` needs all that a task sets."""
        if self._compiles:
            self.compile()

    def compile_own(self, optimizer, learning_rate, kwargs, loss=None):
        """Compiles with what the task makes itself.

        Args:
            optimizer: optimizer or its name; "auto" for AdamW.
            learning_rate: float, of that AdamW.
            kwargs: dict. What else `compile` was given.
            loss: optional Keras loss.

        Raises:
            ValueError: if `kwargs` hold a loss or metrics.
        """
        for name in ("loss", "metrics", "weighted_metrics"):
            if (value := kwargs.pop(name, None)) is not None:
                raise ValueError(f"`{name}` must be left to the task. Received: {name}={value!r}")
        optimizer = keras.optimizers.AdamW(learning_rate) if optimizer == "auto" else optimizer
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def export(self, filepath, format="saved_model", verbose=None, **options):
        """Writes every endpoint of the task, and compares their answers with those of this model.

        `keras.Model.export` would serve one call on arrays: neither subsets of the streams nor raw inputs.

        Args:
            filepath: folder to write.
            format: "saved_model", which Keras calls "tf_saved_model"; "tf_serving", "onnx" or "litert".
            verbose: ignored; for callers of `keras.Model.export`.
            **options: of `ExportOptions`.

        Returns:
            What `zorro_keras.applications.training.export.export_task` does, with its errors.
        """
        from zorro_keras.applications.training.export import export_task

        format = "saved_model" if format == "tf_saved_model" else format
        return export_task(self, filepath, format=format, **options)

    def total_loss(self, *terms):
        """Returns the sum of some terms and of what layers add, such as regularizers.

        Args:
            *terms: scalars, a replica's part of each, as `weighted_mean` gives it.
        """
        return sum([*terms, *map(share_of_loss, self.losses)])

    def compile_from_config(self, config):
        """Compiles as the saved model was, and builds the optimizer, so that training goes on."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def save_task_weights(self, filepath):
        """Saves what is not the backbone; a preset holds no optimizer's state."""
        with self._without_optimizer():
            super().save_task_weights(filepath)

    def load_task_weights(self, filepath):
        """Loads what is not the backbone."""
        with self._without_optimizer():
            super().load_task_weights(filepath)

    @contextmanager
    def _without_optimizer(self) -> Iterator[None]:
        optimizer, self.optimizer = getattr(self, "optimizer", None), None
        try:
            yield
        finally:
            self.optimizer = optimizer
