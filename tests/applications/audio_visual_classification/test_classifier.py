import functools
import math

import keras
import numpy as np
import pytest

from tests.backend import array
from zorro_keras import streams as zs
from zorro_keras.applications.audio_visual_classification import (
    AudioVisualClassifier,
    AudioVisualPreprocessor,
)
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.training import export
from zorro_keras.layers import LogMelSpectrogram
from zorro_keras.models import ZorroViTBackbone

STREAMS = {
    "audio": zs.Spectrogram(frames=32, bins=10, patch=(8, 5)),
    "video": zs.Video(frames=4, height_px=6, width_px=10, patch=(2, 3, 5)),
}
GEOMETRY = ClipGeometry(seconds=0.32, sample_rate_hz=8000, num_frames=4, height_px=6, width_px=10)
HEADS = ["audio", "video", "fusion", "global"]


def build(preprocess=False, num_classes=3, **overrides):
    backbone = ZorroViTBackbone(
        STREAMS, num_layers=1, num_heads=2, hidden_dim=14, mlp_dim=22, num_fusion_tokens=3
    )
    preprocessor = None
    if preprocess:
        preprocessor = AudioVisualPreprocessor(GEOMETRY, LogMelSpectrogram(8000, 10), ["cat", "dog", "owl"])
    return AudioVisualClassifier(backbone, num_classes, preprocessor=preprocessor, **overrides)


@functools.cache
def model():
    return build()


def clips(batch=4, seed=0):
    random = np.random.default_rng(seed)
    return {n: random.normal(size=(batch, *s.shape)).astype("float32") for n, s in STREAMS.items()}


def raw_clips(batch=4):
    random = np.random.default_rng(0)
    return {
        "audio": random.uniform(-1, 1, (batch, GEOMETRY.num_samples)).astype("float32"),
        "video": random.integers(0, 256, (batch, 4, 6, 10, 3)).astype("uint8"),
    }


def cross_entropy(labels, logits):
    logits = logits.astype("float64")
    return np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(labels)), labels]


@pytest.mark.slow
def test_the_loss_is_the_mean_over_the_heads_whose_streams_are_present():
    labels = np.array([0, 1, 2, 1])
    presence = {"audio": np.array([True, True, False, False]), "video": np.array([True, False, True, False])}
    inputs = {**clips(), "presence": presence}
    logits = {head: array(output) for head, output in model()(inputs).items()}
    losses = {head: cross_entropy(labels, output) for head, output in logits.items()}
    expected = [
        np.mean([losses[head][0] for head in HEADS]),
        np.mean([losses[head][1] for head in ("audio", "fusion", "global")]),
        np.mean([losses[head][2] for head in ("video", "fusion", "global")]),
    ]  # the last clip has neither stream: it counts for nothing
    model().compile("sgd")
    found = model().evaluate(inputs, labels, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_label_that_is_no_class_makes_the_loss_nan_unless_it_weighs_nothing():
    inputs, weight = clips(), np.array([1, 1, 1, 0], "float32")
    logits = model()(inputs)
    for labels, is_right in (([0, 1, 2, 3], True), ([0, 1, 3, 0], False)):
        loss = model().compute_loss(inputs, np.array(labels), logits, weight)
        assert np.isfinite(array(loss)) == is_right


@pytest.mark.slow
def test_a_head_counts_the_clips_that_have_its_stream():
    labels, presence = np.array([0, 1, 2, 1]), {"audio": np.array([True, True, False, False])}
    inputs = {**clips(), "presence": presence}
    right = array(model()(inputs)["audio"]).argmax(-1) == labels
    results = model().evaluate(inputs, labels, verbose=0, return_dict=True)
    assert results["audio_accuracy"] == pytest.approx(right[:2].mean())


@pytest.mark.slow
# TensorFlow says that what the missing stream alone uses is not trained; that is as it should be.
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
@pytest.mark.parametrize("given", [["audio"], ["video"], ["audio", "video"]])
def test_any_subset_is_predicted_evaluated_and_fitted(given):
    trained = build()
    inputs, heads = {name: clips()[name] for name in given}, {*given, "fusion", "global"}
    assert set(trained.predict(inputs, verbose=0)) == heads
    results = trained.evaluate(inputs, np.arange(4) % 3, verbose=0, return_dict=True)
    assert {name.split("_")[0] for name in results} == {*heads, "loss"}
    history = trained.fit(inputs, np.arange(4) % 3, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_a_stream_of_none_is_predicted_without():
    with_none = model().predict({**clips(), "video": None}, verbose=0)
    np.testing.assert_array_equal(
        with_none["audio"], model().predict({"audio": clips()["audio"]}, verbose=0)["audio"]
    )


def test_unimodal_logits_never_move_with_the_other_stream():
    before, after = model().predict(clips(), verbose=0), clips()
    after["video"] = clips(seed=1)["video"]
    after = model().predict(after, verbose=0)
    assert (before["audio"] == after["audio"]).all()
    assert (before["fusion"] != after["fusion"]).any()


@pytest.mark.slow
def test_training_takes_the_same_path_on_every_backend():
    task = build()
    for weight in task.weights:
        # By shape alone, so that neither a name nor the order of building counts.
        waves = 0.1 * np.sin(1.0 + np.arange(math.prod(weight.shape)))
        weight.assign(np.ones(weight.shape) if weight.path.endswith("gamma") else waves.reshape(weight.shape))
    task.compile(keras.optimizers.SGD(0.5))
    losses = task.fit(clips(), np.arange(4) % 3, epochs=4, verbose=0).history["loss"]
    assert losses == pytest.approx([1.092772, 1.085865, 1.079724, 1.074220], abs=2e-5)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Keras builds a step apart from tracing it"
)
def test_a_train_step_is_traced_once_on_tensorflow(monkeypatch):
    traced, calls = build(), []
    answer = traced.answer
    monkeypatch.setattr(traced, "answer", lambda *args, **kwargs: calls.append(1) or answer(*args, **kwargs))
    keras.Model.train_on_batch(traced, clips(), np.array([0, 1, 2, 1]))
    assert len(calls) == 1


@pytest.mark.slow
def test_integer_and_one_hot_labels_mean_the_same():
    labels = np.array([0, 1, 2, 1])
    as_integers = model().evaluate(clips(), labels, verbose=0, return_dict=True)
    as_rows = model().evaluate(clips(), np.eye(3, dtype="float32")[labels], verbose=0, return_dict=True)
    assert as_integers == pytest.approx(as_rows)


@pytest.mark.slow
def test_multi_label_clips_are_trained_by_sigmoids():
    many = build(multi_label=True)
    labels = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 1]], "float32")
    logits = np.stack([many.predict(clips(), verbose=0)[head] for head in HEADS]).astype("float64")
    expected = (np.logaddexp(0, logits) - labels * logits).mean()
    assert many.evaluate(clips(), labels, verbose=0, return_dict=True)["loss"] == pytest.approx(
        expected, rel=1e-5
    )


def test_sample_weights_leave_padding_out():
    labels, weights = np.array([0, 1, 2, 1]), np.array([1.0, 1.0, 0.0, 0.0])
    padded = model().evaluate(clips(), labels, sample_weight=weights, verbose=0, return_dict=True)
    right = model().predict(clips(), verbose=0)["fusion"].argmax(-1) == labels
    assert padded["fusion_accuracy"] == pytest.approx(right[:2].mean())


@pytest.mark.slow
def test_the_preprocessor_runs_in_fit_and_predict_and_by_hand():
    task, raw = build(preprocess=True), raw_clips()
    by_hand = {name: array(x) for name, x in task.preprocessor(raw).items()}
    assert by_hand["audio"].shape == (4, 32, 10)
    assert by_hand["video"].min() >= -1 and by_hand["video"].max() <= 1
    predicted = task.predict(raw, verbose=0)
    direct = {name: array(output) for name, output in task(by_hand).items()}
    for head in HEADS:
        np.testing.assert_allclose(predicted[head], direct[head], atol=1e-4)
    assert np.isfinite(task.fit(raw, np.arange(4) % 3, verbose=0).history["loss"]).all()


@pytest.mark.slow
def test_a_preset_keeps_weights_labels_and_preprocessing(tmp_path):
    task = build(preprocess=True)
    task.save_to_preset(str(tmp_path))
    loaded = AudioVisualClassifier.from_preset(str(tmp_path))
    assert loaded.preprocessor.label_names == ["cat", "dog", "owl"]
    assert loaded.preprocessor.geometry == GEOMETRY
    assert loaded.preprocessor.get_config() == task.preprocessor.get_config()
    expected, found = task.predict(raw_clips(), verbose=0), loaded.predict(raw_clips(), verbose=0)
    for head in HEADS:
        np.testing.assert_allclose(found[head], expected[head], atol=1e-6)


def test_export_is_that_of_the_task_under_the_names_of_keras_too(monkeypatch):
    asked = []
    monkeypatch.setattr(export, "export_task", lambda *given, **options: asked.append((given, options)))
    task = model()
    task.export("served")
    task.export("served", "tf_saved_model")
    task.export("served", format="onnx", int8=True)
    formats = {"format": "saved_model"}, {"format": "saved_model"}, {"format": "onnx", "int8": True}
    assert asked == [((task, "served"), options) for options in formats]


@pytest.mark.slow
def test_a_keras_file_keeps_the_compiled_task(tmp_path):
    task = build()
    task.fit(clips(), np.arange(4) % 3, verbose=0)
    task.save(tmp_path / "task.keras")
    loaded = keras.models.load_model(tmp_path / "task.keras")
    labels = np.arange(4) % 3
    expected = task.evaluate(clips(), labels, verbose=0, return_dict=True)
    assert loaded.evaluate(clips(), labels, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_logits_are_float32_in_mixed_precision():
    backbone = ZorroViTBackbone(STREAMS, 1, 2, 14, 22, num_fusion_tokens=3, dtype="mixed_bfloat16")
    half = AudioVisualClassifier(backbone, 3)
    assert {keras.backend.standardize_dtype(x.dtype) for x in half(clips()).values()} == {"float32"}
    assert np.isfinite(half.fit(clips(), np.arange(4) % 3, verbose=0).history["loss"]).all()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="`num_classes` must be positive. Received: num_classes=0"):
        build(num_classes=0)
    with pytest.raises(ValueError, match="`metrics` must be left to the task. Received: metrics="):
        build().compile("sgd", metrics=["accuracy"])
    with pytest.raises(ValueError, match="`log_mel` must work at the geometry's 8000 Hz"):
        AudioVisualPreprocessor(GEOMETRY, LogMelSpectrogram(16000))
