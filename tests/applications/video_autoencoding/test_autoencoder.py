"""The task: all outputs from one encoding, losses at the points that were asked for, labels hidden."""

import functools

import keras
import numpy as np
import pytest

from tests.applications.video_autoencoding.sizes import (
    CLASSES,
    FRAMES,
    PATCHES,
    PIXELS,
    SAMPLES,
    SIZE,
    backbone,
    clips,
    hidden,
)
from tests.backend import array, compiled
from zorro_keras import layers
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.training.endpoints import endpoints_of
from zorro_keras.applications.video_autoencoding import VideoAutoencoder, VideoAutoencoderPreprocessor
from zorro_keras.applications.video_autoencoding.published import published_task
from zorro_keras.models import PerceiverIOBackbone

ROWS = {"audio": np.array([5, 0, 2], "int32"), "image": np.array([7, 119, 3, 60, 61], "int32")}
CLIP = ClipGeometry(seconds=0.12, sample_rate_hz=300, num_frames=FRAMES, height_px=SIZE[0], width_px=SIZE[1])


@functools.cache
def model():
    task = VideoAutoencoder(backbone(), points_per_chunk=17)
    rng = np.random.default_rng(5)
    for weight in task.trainable_variables:  # fresh ones say nearly the same of every point
        weight.assign(array(weight) + rng.normal(0.0, 0.5, weight.shape))
    return task


@functools.cache
def whole():
    """What the model says of all points of two clips."""
    return {name: array(values) for name, values in compiled(model())(hidden(clips()[0])).items()}


def rounding(name):
    """What another order of sums may change: some 25 of the last bits of an output's largest number."""
    return 3e-6 * np.abs(whole()[name]).max()


def test_all_outputs_have_the_shapes_of_the_clip():
    assert {name: values.shape for name, values in whole().items()} == {
        "audio": (2, PATCHES, 5), "image": (2, PIXELS, 3), "label": (2, CLASSES),
    }  # fmt: skip
    made = {name: array(values) for name, values in model().as_clip(whole()).items()}
    x, _ = clips()
    assert made["audio"].shape == x["audio"].shape and made["image"].shape == x["image"].shape
    assert np.abs(made["audio"]).max() <= 1 and made["image"].min() >= 0 and made["image"].max() <= 1
    np.testing.assert_allclose(made["label_probabilities"].sum(-1), 1.0, rtol=1e-5)
    inside = np.abs(whole()["audio"].reshape(2, SAMPLES)) < 1
    np.testing.assert_array_equal(made["audio"][inside], whole()["audio"].reshape(2, SAMPLES)[inside])


def test_points_that_are_asked_for_are_rows_of_the_whole_output():
    some = compiled(model())({**hidden(clips()[0]), "rows": ROWS})
    for name, rows in ROWS.items():
        np.testing.assert_allclose(array(some[name]), whole()[name][:, rows], atol=rounding(name))
    np.testing.assert_allclose(array(some["label"]), whole()["label"], atol=rounding("label"))
    assert np.ptp(whole()["image"], axis=1).min() > 0.01  # points differ, so rows could be mistaken


def test_chunks_of_one_encoding_say_what_encoding_again_for_each_chunk_says():
    """As the released code does it: 120 pixels in chunks of 24, each with some sound and the label."""
    ask = compiled(model())
    parts = []
    for start in range(0, PIXELS, 24):
        rows = {"image": np.arange(start, start + 24, dtype="int32"), "audio": ROWS["audio"]}
        parts.append(array(ask({**hidden(clips()[0]), "rows": rows})["image"]))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole()["image"], atol=rounding("image"))


def test_the_size_of_chunks_changes_nothing():
    task = VideoAutoencoder(model().backbone, points_per_chunk=1000)
    at_once = compiled(task)(hidden(clips()[0]))
    for name, values in at_once.items():
        np.testing.assert_allclose(array(values), whole()[name], atol=rounding(name))


def test_latents_answer_as_the_clip_did():
    latents = compiled(model().backbone.encode)(hidden(clips()[0]))
    for name, values in compiled(model().decode)(latents).items():
        np.testing.assert_allclose(array(values), whole()[name], atol=rounding(name))


def losses_by_hand(x, labels, presence, rows, distance=np.abs):
    """The published loss, or that of squares, of outputs at some points: numpy."""
    outputs = compiled(model())({**x, "presence": presence, "rows": rows})
    targets = {"audio": x["audio"].reshape(-1, PATCHES, 5), "image": x["image"].reshape(-1, PIXELS, 3)}
    total = 0.0
    for name, weight in (("audio", 1.0), ("image", 0.03)):
        error = distance(array(outputs[name]) - targets[name][:, rows[name]]).mean(axis=(1, 2))
        total += weight * error[presence[name]].mean()
    logits = array(outputs["label"]).astype("float64")
    entropy = np.logaddexp.reduce(logits, -1) - logits[np.arange(len(labels)), labels]
    return total + 1e-4 * entropy[presence["audio"] | presence["image"]].mean()


def test_the_loss_is_the_published_one_over_what_is_there():
    x, labels = clips(4, seed=1)
    x = hidden(x)
    presence = {"audio": np.array([True, False, True, False]), "image": np.array([True, True, True, False])}
    expected = losses_by_hand(x, labels, presence, ROWS)
    given = {**x, "presence": presence, "rows": ROWS}
    found = model().test_on_batch(given, labels, return_dict=True)
    assert found["loss"] == pytest.approx(expected, rel=1e-4)
    # What an absent stream holds counts for nothing; what a present one holds does.
    given["audio"] = np.where(presence["audio"][:, None], x["audio"], 0.5).astype("float32")
    model().reset_metrics()
    assert model().test_on_batch(given, labels, return_dict=True)["loss"] == pytest.approx(expected, rel=1e-4)
    given["audio"] = (x["audio"] * 0.5).astype("float32")
    model().reset_metrics()
    assert model().test_on_batch(given, labels, return_dict=True)["loss"] != pytest.approx(expected, rel=1e-3)


def test_the_loss_of_squares_is_of_the_same_points():
    x, labels = clips(4, seed=1)
    presence = {"audio": np.array([True, False, True, False]), "image": np.array([True, True, True, False])}
    task = VideoAutoencoder(model().backbone, reconstruction_loss="squared")
    given = {**hidden(x), "presence": presence, "rows": ROWS}
    found = task.test_on_batch(given, labels, return_dict=True)
    expected = losses_by_hand(hidden(x), labels, presence, ROWS, distance=np.square)
    assert found["loss"] == pytest.approx(expected, rel=1e-4)
    absolute = losses_by_hand(hidden(x), labels, presence, ROWS)
    assert found["loss"] != pytest.approx(absolute, rel=1e-2)


def test_metrics_are_those_of_the_points():
    x, labels = clips()
    given = {**hidden(x), "rows": ROWS}
    model().reset_metrics()
    found = model().test_on_batch(given, labels, return_dict=True)
    target = x["image"].reshape(2, PIXELS, 3)[:, ROWS["image"]]
    error = np.square(np.clip(whole()["image"][:, ROWS["image"]], 0, 1) - target).mean(axis=(1, 2))
    assert found["image_psnr"] == pytest.approx((-10 * np.log10(error)).mean(), rel=1e-4)
    assert found["label_accuracy"] == pytest.approx((whole()["label"].argmax(-1) == labels).mean())


def test_training_hides_the_label_of_about_every_other_example():
    x, _ = clips(1)
    many = {name: np.repeat(values, 64, axis=0) for name, values in x.items()}
    latents = array(model().backbone.encode(many, training=True))
    shown = array(model().backbone.encode(x))
    blind = array(model().backbone.encode(hidden(x)))
    is_blind = np.isclose(latents, blind, atol=1e-4).all(axis=(1, 2))
    is_shown = np.isclose(latents, shown, atol=1e-4).all(axis=(1, 2))
    assert (is_blind ^ is_shown).all() and 16 <= is_blind.sum() <= 48


def test_an_absent_label_reads_as_one_that_is_left_out():
    x, _ = clips()
    flags = {"label": np.zeros(2, bool)}
    absent = compiled(model())({**x, "presence": flags, "rows": ROWS})
    shown = compiled(model())({**x, "rows": ROWS})
    np.testing.assert_allclose(array(absent["label"]), whole()["label"], atol=rounding("label"))
    assert np.abs(array(shown["label"]) - whole()["label"]).max() > 1e-3


@pytest.mark.parametrize("stream", ["audio", "image"])
def test_a_clip_without_a_stream_is_rebuilt_whole(stream):
    x = hidden(clips()[0])
    del x[stream]
    outputs = compiled(model())({**x, "rows": ROWS})
    assert array(outputs[stream]).shape[1] == len(ROWS[stream])
    assert np.isfinite(array(outputs[stream])).all()


@pytest.mark.slow
def test_it_learns_a_few_clips_at_changing_points():
    task = VideoAutoencoder(backbone(), loss_weights={"audio": 1.0, "image": 1.0, "label": 0.1})
    task.compile(keras.optimizers.Adam(0.01))
    rng, losses = np.random.default_rng(0), []
    x, labels = clips(4)
    x["image"] = np.repeat(x["image"][:, :1, :1, :1], 40, axis=2).repeat(FRAMES, 1).reshape(x["image"].shape)
    x["audio"] *= 0.0
    x["presence"] = {name: np.ones(4, bool) for name in ("audio", "image")}  # else their masks learn nothing
    for _ in range(60):
        rows = {"audio": rng.permutation(PATCHES)[:3], "image": rng.permutation(PIXELS)[:5]}
        rows = {name: values.astype("int32") for name, values in rows.items()}
        task.reset_metrics()
        losses.append(float(task.train_on_batch({**x, "rows": rows}, labels, return_dict=True)["loss"]))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


@pytest.mark.slow
def test_a_preset_keeps_weights_settings_and_preprocessing(tmp_path):
    preprocessor = VideoAutoencoderPreprocessor(CLIP, [f"class {label}" for label in range(CLASSES)])
    weights = {"audio": 2.0, "image": 1.0, "label": 0.0}
    task = VideoAutoencoder(backbone(), preprocessor, weights, 50, reconstruction_loss="squared")
    task.save_to_preset(str(tmp_path))
    loaded = VideoAutoencoder.from_preset(str(tmp_path))
    found = loaded.loss_weights, loaded.points_per_chunk, loaded.reconstruction_loss
    assert found == (weights, 50, "squared")
    assert loaded.preprocessor.get_config() == preprocessor.get_config()
    raw = {"audio": clips()[0]["audio"], "video": np.full((2, FRAMES, *SIZE, 3), 51, "uint8")}
    expected, found = task.predict(raw, verbose=0), loaded.predict(raw, verbose=0)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-6)
    by_hand = {"audio": raw["audio"], "image": np.full((2, FRAMES, *SIZE, 3), 0.2, "float32")}
    for name, values in compiled(task)(by_hand).items():
        np.testing.assert_allclose(expected[name], array(values), atol=1e-5)


def test_the_preprocessor_names_streams_and_flags_as_the_model_does():
    preprocessor = VideoAutoencoderPreprocessor(CLIP)
    flags = {"audio": np.array([True]), "video": np.array([False])}
    x = preprocessor({"video": np.full((1, *preprocessor_shape()), 255, "uint8"), "presence": flags})
    assert sorted(x) == ["image", "presence"] and sorted(x["presence"]) == ["audio", "image"]
    assert array(x["image"]).max() == pytest.approx(1.0) and not x["presence"]["image"][0]


def preprocessor_shape():
    return FRAMES, *SIZE, 3


def test_answers_are_float32_in_mixed_precision():
    task = VideoAutoencoder(backbone(dtype="mixed_bfloat16"))
    outputs = keras.Model.predict_on_batch(task, {**hidden(clips()[0]), "rows": ROWS})
    assert {array(values).dtype for values in outputs.values()} == {np.dtype("float32")}
    assert {str(values.dtype).rpartition(".")[2] for values in outputs.values()} == {"float32"}


def test_published_weights_become_a_task_that_knows_its_clips():
    names = [f"class {label}" for label in range(CLASSES)]
    task, about = published_task(backbone(num_samples=3000), names)
    clip = task.preprocessor.geometry
    assert (clip.seconds, clip.sample_rate_hz, clip.num_frames) == (0.12, 25_000, FRAMES)
    assert "3 frames, 4 x 10 px" in about and task.preprocessor.label_names == names
    nothing, why = published_task(backbone(num_samples=35), names)
    assert nothing is None and "no clip at 25 Hz" in why


def test_it_says_what_an_export_serves():
    task = VideoAutoencoder(model().backbone, VideoAutoencoderPreprocessor(CLIP))
    endpoints = {endpoint.name: endpoint for endpoint in endpoints_of(task)}
    assert list(endpoints) == ["serve", "serve_audio", "serve_image", "encode", "decode", "serve_raw"]
    latents = endpoints["encode"].answer(hidden(clips()[0]))
    served = endpoints["decode"].answer(latents)
    made = model().as_clip(whole())
    for name, values in served.items():
        of = name.partition("_")[0]  # label_probabilities
        np.testing.assert_allclose(array(values), array(made[name]), atol=rounding(of))


def test_what_cannot_be_is_refused():
    parts = model().backbone
    outputs = {"label": layers.OutputAdapter(layers.LearnedArray(1, 8), layers.ClassificationHead(3))}
    other = PerceiverIOBackbone(parts.input_adapters, parts.encoder, outputs, layers.PerceiverDecoder())
    with pytest.raises(ValueError, match=r"inputs and outputs .* and \['label'\]"):
        VideoAutoencoder(other)
    with pytest.raises(ValueError, match=r"`loss_weights` must give each .* Received: {'audio': 1.0}"):
        VideoAutoencoder(parts, loss_weights={"audio": 1.0})
    with pytest.raises(ValueError, match="`points_per_chunk` must be positive. Received: 0"):
        VideoAutoencoder(parts, points_per_chunk=0)
    with pytest.raises(ValueError, match=r"`reconstruction_loss` must be one of .* Received: 'huber'"):
        VideoAutoencoder(parts, reconstruction_loss="huber")
    with pytest.raises(ValueError, match="`loss` must be left to the task. Received: loss="):
        VideoAutoencoder(parts).compile("sgd", loss="mse")
