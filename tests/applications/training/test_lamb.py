import math

import keras
import numpy as np
import pytest

from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.lamb import GuardedLamb
from zorro_keras.applications.training.optimizer import build_optimizer
from zorro_keras.models import PerceiverIOBackbone

# Keras hands its variables to numpy in a way that numpy 2 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RATE, DECAY, BETA_1, BETA_2, EPSILON = 0.1, 0.02, 0.9, 0.999, 1e-6


def array(variable):
    return np.array(keras.ops.convert_to_numpy(variable.value))


def trained(gradients, start, undecayed=()):
    """The arrays after one step for each item of `gradients`, a dict of name to array a step."""
    variables = {name: keras.Variable(value, name=name) for name, value in start.items()}
    optimizer = GuardedLamb(RATE, weight_decay=DECAY)
    optimizer.exclude_from_weight_decay(var_list=[variables[name] for name in undecayed])
    optimizer.build(list(variables.values()))
    for step in gradients:
        grads = [keras.ops.convert_to_tensor(step[name]) for name in variables]
        if keras.config.backend() == "jax":  # as `fit` does there
            values = [variable.value for variable in variables.values()]
            state = [variable.value for variable in optimizer.variables]
            values, state = optimizer.stateless_apply(state, grads, values)
            for variable, value in zip(
                [*variables.values(), *optimizer.variables], [*values, *state], strict=True
            ):
                variable.assign(value)
        else:
            optimizer.apply(grads, list(variables.values()))
    return {name: array(variable) for name, variable in variables.items()}, optimizer


def algorithm_2(gradients, x, decay):
    """arXiv 1904.00962, Algorithm 2, line by line, phi the identity."""
    m = v = np.zeros_like(x, dtype="float64")
    x = x.astype("float64")
    for t, g in enumerate(gradients, start=1):
        m = BETA_1 * m + (1 - BETA_1) * g
        v = BETA_2 * v + (1 - BETA_2) * g**2
        m_hat = m / (1 - BETA_1**t)
        v_hat = v / (1 - BETA_2**t)
        r = m_hat / (np.sqrt(v_hat) + EPSILON)
        step = r + decay * x
        ratio = np.linalg.norm(x) / np.linalg.norm(step) if np.linalg.norm(x) > 0 else 1.0
        x = x - RATE * ratio * step
    return x


def test_three_steps_are_those_of_algorithm_2():
    random = np.random.default_rng(0)
    shapes = {"kernel": (5, 3), "positions": (7, 2), "bias": (3,), "zeros": (2, 3)}
    start = {name: random.normal(size=shape).astype("float32") for name, shape in shapes.items()}
    start["zeros"][:] = 0.0
    gradients = [
        {name: random.normal(size=shape).astype("float32") for name, shape in shapes.items()}
        for _ in range(3)
    ]
    found, _ = trained(gradients, start, undecayed=["bias"])
    for name in shapes:
        decay = 0.0 if name == "bias" else DECAY
        expected = algorithm_2([step[name] for step in gradients], start[name], decay)
        np.testing.assert_allclose(found[name], expected, rtol=2e-5, atol=1e-6, err_msg=name)


def test_the_length_of_a_step_does_not_depend_on_that_of_the_gradient():
    start = {"kernel": np.arange(1.0, 7.0, dtype="float32").reshape(2, 3)}
    gradient = np.array([[1.0, -2.0, 0.5], [0.3, 0.1, -1.0]], "float32")
    small, large = (trained([{"kernel": gradient * scale}], start)[0]["kernel"] for scale in (1.0, 1000.0))
    np.testing.assert_allclose(small, large, rtol=1e-4)
    moved = np.linalg.norm(small - start["kernel"]) / np.linalg.norm(start["kernel"])
    assert moved == pytest.approx(RATE, rel=1e-5)


def test_a_gradient_that_is_not_finite_changes_nothing_and_neither_do_later_ones():
    start = {"kernel": np.ones((2, 3), "float32")}
    good, bad = np.ones((2, 3), "float32"), np.full((2, 3), math.nan, "float32")
    once, _ = trained([{"kernel": good}], start)
    stopped, optimizer = trained([{"kernel": step} for step in (good, bad, good)], start)
    assert (stopped["kernel"] == once["kernel"]).all() and (stopped["kernel"] != 1.0).all()
    assert int(array(optimizer.halted)) == 1 and int(array(optimizer.iterations)) == 1


def layers_of(layer):
    yield layer
    for inner in layer._flatten_layers(recursive=False, include_self=False):
        yield from layers_of(inner)


def test_all_but_biases_and_norms_decay_whatever_they_are_called():
    """The oracle asks each layer for what it is; the optimizer looks at shapes alone."""
    backbone = PerceiverIOBackbone.from_variant(
        "image_conv", size_px=8, num_bands=2, num_latents=3, latent_dim=8, num_layers=1, num_repeats=1
    )
    norms = (keras.layers.LayerNormalization, keras.layers.BatchNormalization)
    spared = set()
    for layer in layers_of(backbone):
        found = layer.trainable_weights if isinstance(layer, norms) else [getattr(layer, "bias", None)]
        spared |= {id(variable) for variable in found if variable is not None}
    optimizer = build_optimizer(backbone, TrainingConfig(optimizer="lamb", weight_decay=0.1), 10)
    left_out = {
        id(variable) for variable in backbone.trainable_variables if not optimizer._use_weight_decay(variable)
    }
    assert left_out == spared
    tables = [backbone.encoder.latents, backbone.output_adapters["label"].queries]
    weights = [variable for table in tables for variable in table.trainable_weights]
    assert len(weights) == 2 and not {id(variable) for variable in weights} & left_out


def test_it_is_rebuilt_from_its_config():
    optimizer = GuardedLamb(0.5, weight_decay=0.3, clip_norm=2.0)
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert isinstance(twin, GuardedLamb) and twin.get_config() == optimizer.get_config()
