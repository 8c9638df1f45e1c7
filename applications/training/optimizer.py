"""AdamW that never applies a non-finite update, with the schedule and the exclusions a run asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.flat_cosine import FlatCosine
from zorro_keras.applications.training.layer_decay import learning_rate_scales
from zorro_keras.applications.training.loss_scale import LossScale
from zorro_keras.applications.training.replicas import in_each_copy, sum_of_replicas


@keras.saving.register_keras_serializable(package="zorro_keras")
class GuardedAdamW(keras.optimizers.AdamW):
    """AdamW that stops for good at the first loss or gradient that is not finite.

    The faulty update is discarded as a whole: weights, moments, averages and the step counter keep the
    values they had. All later updates are discarded too, so the state stays good however late Python looks.
    `halted` is then 1 and `iterations` is the number of steps that were applied.

    One number tells: the norm of all gradients, which clipping needs anyway. To look at each gradient again
    would cost an eighth of a step where the optimizer is most of it.

    On JAX it updates through `stateless_apply` only, as `fit` does.

    Args:
        clip_norm: optional float > 0. Largest norm of all gradients together; longer ones are scaled down.
        scales_loss: bool. For float16: see `LossScale`. A step whose gradients are not finite is left out,
            and counted; it stops for good where that does not help.
        **kwargs: the arguments of `keras.optimizers.AdamW`, without `gradient_accumulation_steps`.

    Attributes:
        rate_scales: list of float, what the learning rate of each trainable variable is multiplied by, and
            with it the decay; `None` for one rate for all. It is no part of the config.
    """

    def __init__(
        self, *args: Any, clip_norm: float | None = None, scales_loss: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.clip_norm = clip_norm
        self.scales_loss = scales_loss
        self.rate_scales: list[float] | None = None

    def rate_of(self, variable: keras.Variable, learning_rate: Any) -> Any:
        """Returns the learning rate of a variable: scaled by its entry of `rate_scales`, if there are any."""
        if self.rate_scales is None:
            return learning_rate
        return learning_rate * self.rate_scales[self._get_variable_index(variable)]

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Takes one step for one array."""
        super().update_step(gradient, variable, self.rate_of(variable, learning_rate))

    def _apply_weight_decay(self, variables: Sequence[keras.Variable]) -> None:
        """Decays each variable, at its own rate where they have their own."""
        for variable in variables:
            if self.weight_decay and self._use_weight_decay(variable):
                rate = ops.cast(self.rate_of(variable, self.learning_rate), variable.dtype)
                variable.assign(variable - variable * ops.cast(self.weight_decay, variable.dtype) * rate)

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[keras.Variable], learning_rate: Any
    ) -> None:
        """Takes one step for each array. The gradients have been added up over replicas already."""
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        self.halted = self.add_variable(shape=(), dtype="int32", initializer="zeros", name="halted")
        self.loss_scale = LossScale(self) if self.scales_loss else None
        super().build(variables)

    def scale_loss(self, loss: Any) -> Any:
        """Returns the loss times 1, or times NaN where it is not finite, so that gradients show the fault."""
        fault = ops.logical_not(ops.isfinite(ops.stop_gradient(loss)))
        loss = super().scale_loss(loss) * ops.where(fault, ops.cast(float("nan"), loss.dtype), 1.0)
        return loss * ops.cast(self.loss_scale.factor, loss.dtype) if self.scales_loss else loss

    def apply(
        self, grads: Sequence[Any], trainable_variables: Sequence[keras.Variable] | None = None
    ) -> None:
        if not self.built:
            if trainable_variables is None:
                raise ValueError("`trainable_variables` must be given while the optimizer is not built.")
            self.build(list(trainable_variables))
        # The parent is bound here: zero-argument super() does not reach into a lambda traced by a backend.
        update, grads = super().apply, self._unscaled(sum_of_replicas(list(grads)))

        def step(grads: Sequence[Any], norm: Any) -> None:
            def take() -> None:
                update(self._clipped(grads, norm), trainable_variables)
                if self.scales_loss:
                    self.loss_scale.grow()

            ops.cond(self._may_update(norm), take, self._refuse)

        in_each_copy(self.iterations, step, grads, _norm(grads))

    def stateless_apply(
        self, optimizer_variables: Sequence[Any], grads: Sequence[Any], trainable_variables: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """The same without side effects (JAX). Returns new trainable and optimizer values."""
        mapping = [
            *zip(self._trainable_variables, trainable_variables, strict=True),
            *zip(self.variables, optimizer_variables, strict=True),
        ]
        update = super().apply
        with keras.StatelessScope(state_mapping=mapping):
            grads = self._unscaled(grads)
            norm = _norm(grads)
            may_update = self._may_update(norm)

        def take_step() -> None:
            update(self._clipped(grads, norm))
            if self.scales_loss:
                self.loss_scale.grow()

        def run(change: Any) -> tuple[list[Any], list[Any]]:
            with keras.StatelessScope(state_mapping=mapping) as scope:
                change()
            return (
                [scope.get_current_value(variable) for variable in self._trainable_variables],
                [scope.get_current_value(variable) for variable in self.variables],
            )

        return ops.cond(may_update, lambda: run(take_step), lambda: run(self._refuse))

    def averages(self) -> list[keras.Variable]:
        """The averaged weights, aligned with the trainable variables; empty without `use_ema`."""
        return list(self._model_variables_moving_average) if self.use_ema else []

    def _refuse(self) -> None:
        """Stops for good, unless a smaller scale of the loss can help."""
        if not self.scales_loss:
            self.halted.assign(ops.ones((), dtype="int32"))
            return
        goes_on = ops.logical_and(ops.equal(self.halted, 0), self.loss_scale.shrink())
        self.halted.assign(ops.cast(ops.logical_not(goes_on), "int32"))
        self.iterations.assign(self.iterations + ops.cast(goes_on, self.iterations.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "clip_norm": self.clip_norm, "scales_loss": self.scales_loss}

    def _unscaled(self, grads: Sequence[Any]) -> list[Any]:
        if not self.scales_loss:
            return list(grads)
        factor = ops.convert_to_tensor(self.loss_scale.factor)
        return [None if gradient is None else gradient / factor for gradient in grads]

    def _may_update(self, norm: Any) -> Any:
        return ops.logical_and(ops.isfinite(norm), ops.equal(self.halted, 0))

    def _clipped(self, grads: Sequence[Any], norm: Any) -> list[Any]:
        if self.clip_norm is None:
            return list(grads)
        scale = ops.minimum(self.clip_norm / norm, 1.0)
        return [None if gradient is None else ops.multiply(gradient, scale) for gradient in grads]


def _norm(grads: Sequence[Any]) -> Any:
    """The Euclidean norm of all gradients together; not finite if any of them is not."""
    return ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in grads if gradient is not None))


def build_optimizer(model: keras.Model, config: TrainingConfig, total_steps: int) -> GuardedAdamW:
    """Makes the optimizer of a run, built on the trainable variables of `model`.

    Args:
        model: a built Keras model.
        config: the training configuration.
        total_steps: int >= 1. Steps of the whole run: the length of the schedule.
    """
    from zorro_keras.applications.training.lamb import GuardedLamb  # it extends `GuardedAdamW`

    kind = GuardedLamb if config.optimizer == "lamb" else GuardedAdamW
    optimizer = kind(
        learning_rate=learning_rate_schedule(config, total_steps),
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
        scales_loss=config.mixed_precision == "float16",
        use_ema=config.ema_momentum is not None,
        ema_momentum=config.ema_momentum if config.ema_momentum is not None else 0.99,
    )
    decays = lamb_decays if config.optimizer == "lamb" else adamw_decays
    undecayed = [variable for variable in model.trainable_variables if not decays(variable)]
    optimizer.exclude_from_weight_decay(var_list=undecayed)
    optimizer.build(model.trainable_variables)
    if config.layer_decay != 1.0:
        optimizer.rate_scales = learning_rate_scales(model, config.layer_decay)
    return optimizer


def adamw_decays(variable: keras.Variable) -> bool:
    """Whether AdamW's decay applies: to kernels; not to biases, norms, positions, embeddings or queries."""
    return "kernel" in variable.name and len(variable.shape) >= 2


def lamb_decays(variable: keras.Variable) -> bool:
    """Whether LAMB's decay applies: to all but biases and norms, which are the arrays of one axis.

    Tables of positions, embeddings, latents and queries decay, as in the recipes of the Perceiver papers.

    Reference:
        google-deepmind/deepmind-research, perceiver/train/utils.py.
    """
    return len(variable.shape) >= 2


def learning_rate_schedule(
    config: TrainingConfig, total_steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear warm-up to `learning_rate`, then `flat_fraction` of it, then a cosine to 0 at `total_steps`."""
    asked = config.warmup_steps
    warmup_steps = min(
        round(config.warmup_fraction * total_steps) if asked is None else asked, total_steps - 1
    )
    flat_steps = min(round(config.flat_fraction * total_steps), total_steps - 1 - warmup_steps)
    if flat_steps > 0:
        return FlatCosine(config.learning_rate, warmup_steps, flat_steps, total_steps)
    if warmup_steps == 0:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, decay_steps=total_steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / (warmup_steps + 1),
        decay_steps=total_steps - warmup_steps,
        warmup_target=config.learning_rate,
        warmup_steps=warmup_steps,
    )
