import math

import keras
import numpy as np
import pytest

from zorro_keras.applications.training.backend import precision
from zorro_keras.applications.training.callbacks import averaged_weights
from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.loss_scale import STEADY_STEPS
from zorro_keras.applications.training.optimizer import adamw_decays, build_optimizer, learning_rate_schedule

# Keras hands its variables to numpy in a way that numpy 2 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def arrays(variables):
    return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in variables]


def compiled_model(steps_per_execution=1, **settings):
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((5,)),
        keras.layers.Dense(7),
        keras.layers.LayerNormalization(),
        keras.layers.Dense(3),
    ]
    model = keras.Sequential(layers)
    optimizer = build_optimizer(model, TrainingConfig(weight_decay=0.1, **settings), total_steps=20)
    loss = keras.losses.MeanSquaredError()
    model.compile(
        optimizer=optimizer, loss=loss, steps_per_execution=steps_per_execution, auto_scale_loss=False
    )
    return model


def batches(num, bad=None, value=math.nan, in_labels=False):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(num * 2, 5)).astype("float32"), rng.normal(size=(num * 2, 3)).astype("float32")
    if bad is not None:
        (y if in_labels else x)[2 * bad, 1] = value
    return x, y


@pytest.mark.parametrize(
    ("settings", "value", "in_labels"),
    [
        ({}, math.nan, False),
        ({"ema_momentum": 0.9}, math.inf, False),
        ({"ema_momentum": 0.9}, 3e38, True),
        ({"clip_norm": None}, math.nan, False),
    ],
)
def test_a_non_finite_step_and_all_after_it_change_nothing(settings, value, in_labels):
    stopped, shorter = (compiled_model(**settings) for _ in range(2))
    x, y = batches(5, bad=3, value=value, in_labels=in_labels)
    stopped.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    shorter.fit(x[:6], y[:6], batch_size=2, shuffle=False, verbose=0)
    assert int(arrays([stopped.optimizer.halted])[0]) == 1
    assert int(arrays([shorter.optimizer.halted])[0]) == 0
    assert int(arrays([stopped.optimizer.iterations])[0]) == 3
    states = [arrays(model.trainable_variables + model.optimizer.variables) for model in (stopped, shorter)]
    different = [
        variable.path
        for variable, one, other in zip(
            stopped.trainable_variables + stopped.optimizer.variables, *states, strict=True
        )
        if not np.array_equal(one, other)
    ]
    assert [path.split("/")[-1] for path in different] == ["halted"]


@pytest.mark.parametrize(("size", "halted"), [(1e25, 1), (1e15, 0)])
def test_finite_gradients_whose_norm_is_not_change_nothing(size, halted):
    model = compiled_model()
    optimizer, weights = model.optimizer, model.trainable_variables
    before = arrays(weights)
    grads = [keras.ops.full(weight.shape, size) for weight in weights]
    if keras.config.backend() == "jax":
        state = [variable.value for variable in optimizer.variables]
        new, state = optimizer.stateless_apply(state, grads, [weight.value for weight in weights])
        for variable, value in zip(weights + optimizer.variables, [*new, *state], strict=True):
            variable.assign(value)
    else:
        optimizer.apply(grads)
    assert int(arrays([optimizer.halted])[0]) == halted
    unchanged = [np.array_equal(one, other) for one, other in zip(arrays(weights), before, strict=True)]
    assert all(unchanged) if halted else not any(unchanged)
    assert all(np.isfinite(weight).all() for weight in arrays(weights))


def half_model(**settings):
    """Computes in float16, as a run with `training.mixed_precision=float16` does."""
    with precision(mixed="float16"):
        return compiled_model(mixed_precision="float16", **settings)


def test_in_float16_an_overflow_halves_the_scale_and_leaves_out_the_step():
    model = half_model(clip_norm=None)
    optimizer, (x, y) = model.optimizer, batches(4)
    optimizer.loss_scale.factor.assign(2.0**24)  # the gradients of its outputs are beyond 65,504
    before = arrays(model.trainable_variables)
    model.fit(x[:2], y[:2], batch_size=2, verbose=0)
    assert arrays([optimizer.loss_scale.factor])[0] == 2.0**23
    assert [int(x) for x in arrays([optimizer.halted, optimizer.iterations])] == [0, 1]
    for weight, old in zip(arrays(model.trainable_variables), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    optimizer.loss_scale.factor.assign(2.0**10)
    optimizer.loss_scale.steady.assign(STEADY_STEPS - 1)
    model.fit(x, y, batch_size=2, verbose=0)
    assert arrays([optimizer.loss_scale.factor])[0] == 2.0**11
    assert int(arrays([optimizer.iterations])[0]) == 5
    moved = zip(arrays(model.trainable_variables), before, strict=True)
    assert all((weight != old).any() and np.isfinite(weight).all() for weight, old in moved)


def test_in_float16_a_fault_that_no_scale_mends_stops_for_good():
    model = half_model()
    x, y = batches(3, bad=0)
    model.optimizer.loss_scale.factor.assign(2.0)
    model.fit(x[:2], y[:2], batch_size=2, verbose=0)
    assert int(arrays([model.optimizer.halted])[0]) == 0  # as far as it can tell, a smaller scale may help
    model.fit(x[:2], y[:2], batch_size=2, verbose=0)
    assert int(arrays([model.optimizer.halted])[0]) == 1


def test_the_scale_of_the_loss_changes_no_step():
    """Of a model in float32, where a power of two changes no digit."""
    models = [compiled_model(), compiled_model(mixed_precision="float16")]
    for model in models:
        model.fit(*batches(4), batch_size=2, shuffle=False, verbose=0)
    assert models[1].optimizer.scales_loss and not models[0].optimizer.scales_loss
    for one, other in zip(*(arrays(model.trainable_variables) for model in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_optimizer_is_rebuilt_from_its_configuration():
    optimizer = compiled_model(clip_norm=0.3).optimizer
    rebuilt = type(optimizer).from_config(optimizer.get_config())
    assert rebuilt.clip_norm == 0.3 and rebuilt.get_config() == optimizer.get_config()


@pytest.mark.skipif(keras.config.backend() == "torch", reason="Keras runs one step at a time on torch")
def test_several_steps_per_execution_stop_at_the_same_step():
    model = compiled_model(steps_per_execution=2)
    x, y = batches(6, bad=3)
    model.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    assert int(arrays([model.optimizer.iterations])[0]) == 3


def test_the_guard_changes_no_finite_step():
    guarded, plain = compiled_model(), compiled_model()
    optimizer = keras.optimizers.AdamW(
        learning_rate_schedule(TrainingConfig(), 20), weight_decay=0.1, global_clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(
        var_list=[v for v in plain.trainable_variables if not adamw_decays(v)]
    )
    plain.compile(optimizer=optimizer, loss=keras.losses.MeanSquaredError())
    x, y = batches(5)
    for model in (guarded, plain):
        model.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    for one, other in zip(arrays(guarded.weights), arrays(plain.weights), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_weight_decay_spares_everything_but_kernels():
    model = compiled_model()
    for variable in model.trainable_variables:
        variable.assign(variable + 1.0)
    before = arrays(model.trainable_variables)
    model.compile(optimizer=model.optimizer, loss=lambda y_true, y_pred: 0.0 * keras.ops.sum(y_pred))
    model.train_on_batch(*batches(1))  # no gradient: decay alone moves a weight
    shrunk = [
        variable.name
        for variable, old, new in zip(
            model.trainable_variables, before, arrays(model.trainable_variables), strict=True
        )
        if not np.array_equal(old, new)
    ]
    assert shrunk == ["kernel", "kernel"] and len(before) == 6


def test_the_schedule_warms_up_to_the_peak_and_ends_at_zero():
    config = TrainingConfig(learning_rate=0.5, warmup_fraction=0.25)
    schedule = learning_rate_schedule(config, 40)
    rates = [float(keras.ops.convert_to_numpy(schedule(step))) for step in range(41)]
    assert 0 < rates[0] < 0.06 and max(rates) == pytest.approx(0.5) and rates.index(max(rates)) == 10
    assert rates[25] == pytest.approx(0.25) and rates[40] == pytest.approx(0.0, abs=1e-7)
    flat = learning_rate_schedule(TrainingConfig(learning_rate=0.5, warmup_fraction=0.0), 40)
    assert float(keras.ops.convert_to_numpy(flat(0))) == pytest.approx(0.5)


def test_averaged_weights_stand_in_for_a_while_and_the_weights_come_back():
    model = compiled_model(ema_momentum=0.5)
    x, y = batches(4)
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    weights, averages = arrays(model.trainable_variables), arrays(model.optimizer.averages())
    with averaged_weights(model):
        inside = arrays(model.trainable_variables)
    assert not all(np.array_equal(one, other) for one, other in zip(inside, weights, strict=True))
    for one, other in zip(inside + arrays(model.trainable_variables), averages + weights, strict=True):
        np.testing.assert_array_equal(one, other)
