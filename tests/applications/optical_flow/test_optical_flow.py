"""The task: its loss and metrics, its preprocessor, and that it survives being saved."""

import functools

import keras
import numpy as np
import pytest

from tests.applications.optical_flow.sizes import SIZE, SIZES
from tests.backend import array
from zorro_keras import layers
from zorro_keras.applications.optical_flow import FlowPreprocessor, OpticalFlow
from zorro_keras.applications.optical_flow.losses import FLOW_LOSSES
from zorro_keras.applications.training.endpoints import endpoints_of
from zorro_keras.models import PerceiverIOBackbone

SCALE = 5.0


def build(variant="optical_flow_conv", preprocess=True, dtype=None, **options):
    backbone = PerceiverIOBackbone.from_variant(variant, size_px=SIZE, dtype=dtype, **SIZES)
    rng = np.random.default_rng(0)
    for weight in backbone.trainable_variables:  # the last layer starts at zero: nothing would be seen
        weight.assign(array(weight) + rng.normal(0.0, 0.1, weight.shape).astype("float32"))
    return OpticalFlow(backbone, FlowPreprocessor(SIZE, SCALE) if preprocess else None, **options)


@functools.cache
def model():
    return build()


def pairs(batch=3, seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (batch, 2, *SIZE, 3), dtype=np.uint8)
    flow = rng.normal(0, 3, (batch, *SIZE, 2)).astype("float32")
    return {"frames": frames}, flow, (rng.random((batch, *SIZE)) < 0.6).astype("float32")


def evaluated(task, *given):
    return task.evaluate(*given[:2], sample_weight=given[2], batch_size=2, verbose=0, return_dict=True)


def test_the_loss_and_the_metrics_count_known_pixels_only():
    x, flow, weight = pairs(2)
    spoiled = np.where(weight[..., None] > 0, flow, np.nan)  # what is not known may be anything
    found = evaluated(model(), x, spoiled, weight)
    answer = model().predict(x, verbose=0)["flow"] * SCALE
    errors = np.linalg.norm(answer - flow, axis=-1)[weight > 0]
    assert found["end_point_error"] == pytest.approx(errors.mean(), rel=1e-4)
    assert found["loss"] == pytest.approx(errors.mean() / SCALE, rel=1e-3)
    lengths = np.linalg.norm(flow, axis=-1)[weight > 0]
    assert found["zero_flow_error"] == pytest.approx(lengths.mean(), rel=1e-4)


def test_a_weight_may_be_of_whole_pairs():
    x, flow, _ = pairs(2)
    found = evaluated(model(), x, flow, np.array([1.0, 0.0], "float32"))
    alone = evaluated(model(), {"frames": x["frames"][:1]}, flow[:1], np.ones(1, "float32"))
    assert found["end_point_error"] == pytest.approx(alone["end_point_error"], rel=1e-4)


def test_each_loss_is_what_it_says():
    rng = np.random.default_rng(0)
    true, predicted = rng.normal(size=(2, 3, 5, 2)), rng.normal(size=(2, 3, 5, 2))
    difference = np.abs(true - predicted)
    expected = {
        "end_point": np.sqrt((difference**2).sum(-1)),
        "l1": difference.sum(-1),
        "robust": (difference.sum(-1) + 0.01) ** 0.4,
    }
    assert set(expected) == set(FLOW_LOSSES)
    for name, loss in FLOW_LOSSES.items():
        given = (values.astype("float32") for values in (true, predicted))
        np.testing.assert_allclose(
            array(loss(*map(keras.ops.convert_to_tensor, given))), expected[name], rtol=1e-4
        )


def test_a_perfect_answer_has_a_finite_gradient():
    task = build()
    for weight in task.backbone.trainable_variables:
        weight.assign(np.zeros(weight.shape, "float32"))
    x, flow, _ = pairs(2)
    task.compile(keras.optimizers.SGD(0.1))
    history = task.fit(x, np.zeros_like(flow), verbose=0).history
    assert history["end_point_error"] == [0.0] and np.isfinite(history["loss"]).all()
    assert all(np.isfinite(array(weight)).all() for weight in task.trainable_variables)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["optical_flow", "optical_flow_conv", "optical_flow_separate"])
def test_every_kind_of_model_learns_two_pairs(variant):
    task, (x, _, _) = build(variant), pairs(2)
    flow = np.broadcast_to(np.array([[[[3.0, -2.0]]], [[[-1.0, 4.0]]]], "float32"), (2, *SIZE, 2)).copy()
    task.compile(keras.optimizers.Adam(0.01))
    losses = task.fit(x, flow, epochs=60, verbose=0).history["loss"]
    assert min(losses[-10:]) < 0.5 * losses[0]  # steps this large do not end where they are best


def test_the_preprocessor_is_the_published_one():
    x, flow, weight = pairs(2)
    found = FlowPreprocessor(SIZE, SCALE)(x, flow, weight)
    np.testing.assert_allclose(array(found[0]["frames"]), x["frames"] / 255 * 2 - 1, atol=1e-6)
    np.testing.assert_allclose(array(found[1]), flow / SCALE, rtol=1e-6)
    np.testing.assert_array_equal(array(found[2]), weight)
    with pytest.raises(
        ValueError, match=r"`frames` must have the shape \(batch, 2, Y, X, 3\). Received: \(2, 3"
    ):
        FlowPreprocessor(SIZE)({"frames": np.zeros((2, 3, *SIZE, 3), "float32")})


def test_a_preset_keeps_weights_unit_and_size(tmp_path):
    model().save_to_preset(str(tmp_path))
    loaded = OpticalFlow.from_preset(str(tmp_path))
    assert loaded.preprocessor.get_config() == model().preprocessor.get_config()
    assert (loaded.flow_scale, loaded.preprocessor.size_px, loaded.flow_loss) == (SCALE, SIZE, "end_point")
    x, _, _ = pairs()
    expected, found = model().predict(x, verbose=0), loaded.predict(x, verbose=0)
    np.testing.assert_allclose(found["flow"], expected["flow"], atol=1e-6)


@pytest.mark.slow
def test_a_keras_file_keeps_the_compiled_task(tmp_path):
    task, given = build(flow_loss="l1"), pairs(2)
    task.fit(*given[:2], sample_weight=given[2], verbose=0)
    task.save(tmp_path / "task.keras")
    loaded = keras.models.load_model(tmp_path / "task.keras")
    assert evaluated(loaded, *given) == pytest.approx(evaluated(task, *given), rel=1e-5)


@pytest.mark.parametrize("variant", ["optical_flow", "optical_flow_conv", "optical_flow_separate"])
def test_flow_is_float32_in_mixed_precision(variant):
    flow = build(variant, dtype="mixed_bfloat16").predict(pairs()[0], verbose=0)["flow"]
    assert flow.dtype == np.float32 and flow.shape == (3, *SIZE, 2)
    rounded = array(keras.ops.cast(keras.ops.cast(flow, "bfloat16"), "float32"))
    assert (flow != rounded).mean() > 0.9  # computed in it, not cast to it at the end


def test_every_layer_is_built_so_that_predict_runs_compiled_at_once():
    assert all(layer.built for layer in model()._flatten_layers())


def test_what_is_served_is_flow_in_pixels():
    endpoints = {endpoint.name: endpoint for endpoint in endpoints_of(model())}
    assert list(endpoints) == ["serve", "encode", "decode", "serve_raw"]
    x, _, _ = pairs()
    expected = model().predict(x, verbose=0)["flow"] * SCALE
    seen = {"frames": array(model().preprocessor(x)["frames"])}
    np.testing.assert_allclose(array(endpoints["serve"].ask(seen)["flow"]), expected, atol=1e-5)
    np.testing.assert_allclose(endpoints["serve_raw"].ask(x)["flow"], expected, atol=1e-5)
    latents = array(endpoints["encode"].answer(seen)["latents"])
    decoded = endpoints["decode"].answer({"latents": latents, **seen})["flow"]
    np.testing.assert_allclose(array(decoded), expected, atol=1e-4)
    real = endpoints["serve_raw"].real()["frames"]
    assert real.shape == (3, 2, *SIZE, 3) and real.dtype == np.uint8


def test_what_cannot_be_is_refused():
    parts = model().backbone
    other = PerceiverIOBackbone(
        parts.input_adapters,
        parts.encoder,
        {"label": layers.OutputAdapter(layers.LearnedArray(1, 8), layers.ClassificationHead(3))},
        layers.PerceiverDecoder(),
    )
    with pytest.raises(ValueError, match=r"the output `flow`. Received: \['frames'\] and \['label'\]"):
        OpticalFlow(other)
    with pytest.raises(ValueError, match="`flow_loss` must be one of"):
        OpticalFlow(parts, flow_loss="l3")
    with pytest.raises(ValueError, match="`metrics` must be left to the task. Received: metrics="):
        build().compile("sgd", metrics=["mse"])
