"""The classifier and its preprocessor."""

import functools

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from tests.image_maker import pixels
from zorro_keras import layers
from zorro_keras.applications.image_classification import ImageClassifier, ImagePreprocessor
from zorro_keras.applications.pipelines.image_resize import bicubic_matrix
from zorro_keras.models import PerceiverIOBackbone

MEAN, STD = (120.0, 110.0, 100.0), (50.0, 60.0, 70.0)
NAMES = ["ant", "bee", "cow"]
SIZES = {"num_bands": 2, "num_latents": 3, "latent_dim": 8, "num_layers": 1, "num_repeats": 2, "num_heads": 2}


def build(variant="image_fourier", preprocess=False, dtype=None, num_classes=3, **options):
    sizes = {name: size for name, size in SIZES.items() if (name, variant) != ("num_bands", "image_learned")}
    backbone = PerceiverIOBackbone.from_variant(
        variant, size_px=12, num_classes=num_classes, dtype=dtype, **sizes
    )
    preprocessor = ImagePreprocessor(12, MEAN, STD, NAMES) if preprocess else None
    return ImageClassifier(backbone, preprocessor, **options)


@functools.cache
def model():
    return build()


def images(batch=4, seed=0):
    return {"image": np.random.default_rng(seed).normal(size=(batch, 12, 12, 3)).astype("float32")}


def pictures(batch=4, height=20, width=17):
    return {"image": np.stack([pixels(height, width, seed) for seed in range(batch)])}


def cross_entropy(labels, logits):
    logits = logits.astype("float64")
    return np.logaddexp.reduce(logits, -1) * labels.sum(-1) - (labels * logits).sum(-1)


def test_the_loss_is_the_cross_entropy_of_mixed_and_weighted_labels():
    labels = np.array([[0.7, 0.3, 0], [0, 1, 0], [0.2, 0, 0.8], [0, 0, 0]], "float32")
    weights = np.array([1.0, 1.0, 1.0, 0.0], "float32")  # the last is a picture that could not be read
    logits = model().predict(images(), verbose=0)["label"]
    results = model().evaluate(images(), labels, sample_weight=weights, verbose=0, return_dict=True)
    assert results["loss"] == pytest.approx(cross_entropy(labels, logits)[:3].mean(), rel=1e-5)
    right = logits.argmax(-1)[:3] == labels.argmax(-1)[:3]
    assert results["accuracy"] == pytest.approx(right.mean())


def test_a_label_among_the_five_best_of_seven_counts_for_top_5():
    logits, labels = np.random.default_rng(0).normal(size=(40, 7)).astype("float32"), np.arange(40) % 7
    given = {"label": keras.ops.convert_to_tensor(logits)}
    found = build(num_classes=7).compute_metrics(None, labels, given)
    better = (logits > np.take_along_axis(logits, labels[:, None], 1)).sum(1)
    assert 0.1 < (better < 1).mean() < (better < 5).mean() < 0.9
    assert float(found["accuracy"]) == pytest.approx((better < 1).mean())
    assert float(found["top5_accuracy"]) == pytest.approx((better < 5).mean())


def test_integer_and_one_hot_labels_mean_the_same():
    labels = np.array([0, 1, 2, 1])
    as_integers = model().evaluate(images(), labels, verbose=0, return_dict=True)
    as_rows = model().evaluate(images(), np.eye(3, dtype="float32")[labels], verbose=0, return_dict=True)
    assert as_integers == pytest.approx(as_rows)


def test_label_smoothing_spreads_a_share_of_the_label():
    smoothed = build(label_smoothing=0.3)
    labels = np.eye(3, dtype="float32")[[0, 1, 2, 1]]
    logits = smoothed.predict(images(), verbose=0)["label"]
    found = smoothed.evaluate(images(), labels, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(cross_entropy(0.7 * labels + 0.1, logits).mean(), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["image_conv", "image_fourier", "image_learned"])
def test_every_variant_learns_four_pictures(variant):
    task, labels = build(variant), np.array([0, 1, 2, 1])
    told_apart = {"image": images()["image"] + (labels - 1.0)[:, None, None, None].astype("float32") * 2}
    task.compile(keras.optimizers.Adam(0.01))
    losses = task.fit(told_apart, labels, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_the_preprocessor_looks_at_the_centre_of_whole_pictures():
    raw = pictures()["image"]
    found = array(ImagePreprocessor(12, MEAN, STD)({"image": raw})["image"])
    side = int(0.875 * 17)  # 14
    square = raw[:, 3 : 3 + side, 2 : 2 + side].astype("float32")
    matrix = bicubic_matrix(side, 12)
    expected = (np.einsum("iy,jx,byxc->bijc", matrix, matrix, square) - MEAN) / STD
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_floats_of_the_right_size_are_only_normalised():
    image = np.full((2, 12, 12, 3), 120.0, "float32")
    found = array(ImagePreprocessor(12, MEAN, STD)({"image": image})["image"])
    np.testing.assert_allclose(found[0, 0, 0], [0.0, 10 / 60, 20 / 70], atol=1e-6)
    with pytest.raises(
        ValueError, match=r"float of shape \(batch, 12, 12, 3\). Received: float32 \(2, 9, 12, 3\)"
    ):
        ImagePreprocessor(12, MEAN, STD)({"image": image[:, :9]})


@pytest.mark.slow
def test_the_preprocessor_runs_in_fit_and_predict():
    task, raw = build(preprocess=True), pictures()
    by_hand = {"image": array(task.preprocessor(raw)["image"])}
    direct = array(compiled(lambda x: task(x))(by_hand)["label"])
    np.testing.assert_allclose(task.predict(raw, verbose=0)["label"], direct, atol=1e-4)
    assert np.isfinite(task.fit(raw, np.arange(4) % 3, verbose=0).history["loss"]).all()


def test_a_preset_keeps_weights_labels_and_preprocessing(tmp_path):
    task = build(preprocess=True)
    task.save_to_preset(str(tmp_path))
    loaded = ImageClassifier.from_preset(str(tmp_path))
    assert loaded.preprocessor.get_config() == task.preprocessor.get_config()
    assert (loaded.preprocessor.label_names, loaded.preprocessor.size_px) == (NAMES, 12)
    expected, found = task.predict(pictures(), verbose=0), loaded.predict(pictures(), verbose=0)
    np.testing.assert_allclose(found["label"], expected["label"], atol=1e-6)


@pytest.mark.slow
def test_a_keras_file_keeps_the_compiled_task(tmp_path):
    task, labels = build(), np.arange(4) % 3
    task.fit(images(), labels, verbose=0)
    task.save(tmp_path / "task.keras")
    loaded = keras.models.load_model(tmp_path / "task.keras")
    expected = task.evaluate(images(), labels, verbose=0, return_dict=True)
    assert loaded.evaluate(images(), labels, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_logits_are_float32_in_mixed_precision():
    half = build(dtype="mixed_bfloat16")
    logits = half.predict(images(), verbose=0)["label"]
    assert logits.dtype == np.float32 and logits.shape == (4, 3)


def test_every_layer_is_built_so_that_predict_runs_compiled_at_once():
    assert all(layer.built for layer in model()._flatten_layers())


def test_what_cannot_be_is_refused():
    parts = build().backbone
    other = PerceiverIOBackbone(
        parts.input_adapters,
        parts.encoder,
        {"kind": layers.OutputAdapter(layers.LearnedArray(1, 8), layers.ClassificationHead(3))},
        parts.decoder,
    )
    with pytest.raises(ValueError, match="`metrics` must be left to the task. Received: metrics="):
        build().compile("sgd", metrics=["accuracy"])
    with pytest.raises(ValueError, match=r"the output `label`. Received: \['image'\] and \['kind'\]"):
        ImageClassifier(other)
