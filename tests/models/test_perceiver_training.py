"""Perceiver IO in `fit`: remat, mixed precision, buckets of lengths, and what is absent or padded."""

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from zorro_keras import layers, streams
from zorro_keras.models import PerceiverIOBackbone

BACKEND = keras.config.backend()
LOSS = {"label": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}


def text():
    positions = layers.LearnedArray(11, 6)
    return layers.InputAdapter(streams.Tokens(11, 13), embed_dim=6, positions=positions, join="add")


def image():
    positions = layers.FourierPositions(None, 3, (8, 8))
    return layers.InputAdapter(streams.Image(6, 10, patch=(2, 2)), positions=positions)


def small(inputs=("text",), query_chunk=None, dtype=None, **options):
    """Returns a classifier by one query, or by three and a chunk smaller than that."""
    adapters = {"text": text, "image": image}
    return PerceiverIOBackbone(
        {name: adapters[name]() for name in inputs},
        layers.PerceiverEncoder(num_latents=5, latent_dim=8, num_layers=1, num_heads=2, **options),
        {"label": layers.OutputAdapter(layers.LearnedArray(3, 8), layers.ClassificationHead(3))},
        layers.PerceiverDecoder(query_chunk=query_chunk, remat=options.get("remat", False)),
        dtype=dtype,
    )


def ids(batch, length=11, seed=0):
    return np.random.default_rng(seed).integers(0, 13, (batch, length)).astype("int32")


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"remat": True, "dropout_rate": 0.1}])
def test_fit_lowers_the_loss(options):
    model, x = small(**options), {"text": ids(8)}
    model.compile(keras.optimizers.Adam(1e-2), LOSS)
    y = {"label": x["text"][:, 0] % 3}
    before = model.evaluate(x, y, batch_size=8, verbose=0)  # without dropout's noise
    model.fit(x, y, epochs=50, batch_size=8, verbose=0)
    assert model.evaluate(x, y, batch_size=8, verbose=0) < 0.7 * before


@pytest.mark.slow
def test_an_output_that_an_absent_input_asks_for_is_not_judged():
    model = PerceiverIOBackbone(
        {"text": text(), "image": image()},
        layers.PerceiverEncoder(num_latents=5, latent_dim=8, num_layers=1, num_heads=2),
        {
            "label": layers.OutputAdapter(layers.LearnedArray(3, 8), layers.ClassificationHead(3)),
            "tags": layers.OutputAdapter("text", keras.layers.Dense(2)),
        },
        layers.PerceiverDecoder(),
    )
    x = {"text": ids(4), "image": np.ones((4, 6, 10, 3), "float32")}
    y = {"label": x["text"][:, 0] % 3, "tags": np.ones((4, 11, 2), "float32")}
    model.compile("sgd", {**LOSS, "tags": "mse"})
    model.fit(x, y, verbose=0)
    found = model.evaluate({"image": x["image"]}, y, return_dict=True, verbose=0)
    assert found["tags_loss"] == 0.0
    np.testing.assert_allclose(found["loss"], found["label_loss"], rtol=1e-6)


@pytest.mark.slow
def test_remat_and_chunks_learn_what_is_learned_without():
    models = [small(), small(remat=True, key_chunk=4, query_chunk=2)]
    models[1].set_weights(models[0].get_weights())
    start = [array(weight) for weight in models[0].weights]
    losses = []
    for model in models:
        model.compile(keras.optimizers.SGD(0.5), LOSS)
        losses.append(model.train_on_batch({"text": ids(4)}, {"label": np.array([0, 1, 2, 0])}))
    np.testing.assert_allclose(*losses, rtol=1e-5)
    moved = 0
    for plain, saving, before in zip(*(model.weights for model in models), start, strict=True):
        # Sums in another order: of an array's largest number, which a step of this size brings to 3.
        bound = 1e-5 * max(1.0, np.abs(array(plain)).max())
        np.testing.assert_allclose(array(saving), array(plain), rtol=0, atol=bound, err_msg=plain.path)
        moved += np.abs(array(plain) - before).max() > 1e-3
    assert moved > len(start) / 2


@pytest.mark.slow
def test_everything_goes_together_in_mixed_precision():
    """Presence flags, padding, chunks, remat and dropout, in two steps of bfloat16."""
    model = small(("text", "image"), 2, "mixed_bfloat16", remat=True, key_chunk=4, dropout_rate=0.1)
    model.compile(keras.optimizers.SGD(0.1), LOSS)
    x = {
        "text": ids(4),
        "image": np.random.default_rng(1).normal(size=(4, 6, 10, 3)).astype("float32"),
        "presence": {"image": np.array([True, False, True, False])},
        "padding_mask": {"text": np.arange(11)[None] < np.array([[11], [5], [7], [11]])},
    }
    x["image"][1] = np.nan  # absent
    before = [array(weight) for weight in model.trainable_weights]
    history = model.fit(x, {"label": np.array([0, 1, 2, 0])}, batch_size=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    after = [array(weight) for weight in model.trainable_weights]
    assert all(np.isfinite(weight).all() for weight in after)
    assert sum((old != new).any() for old, new in zip(before, after, strict=True)) > len(before) / 2


def test_the_elements_of_a_single_input_can_be_masked_in_training():
    model = PerceiverIOBackbone(
        {"text": text()},
        layers.PerceiverEncoder(num_latents=5, latent_dim=8, num_layers=1, num_heads=2),
        {"label": layers.OutputAdapter(layers.LearnedArray(1, 8), layers.ClassificationHead(3))},
        layers.PerceiverDecoder(),
        mask_rates={"text": 1.0},
    )
    answers = [array(model({"text": ids(2, seed=seed)}, training=True)["label"]) for seed in (1, 2)]
    np.testing.assert_array_equal(*answers)  # all are masked
    answers = [array(model({"text": ids(2, seed=seed)})["label"]) for seed in (1, 2)]
    assert (answers[0] != answers[1]).any()


# === Precision ===


def test_a_dtype_reaches_every_layer():
    model = small(("text", "image"), dtype="mixed_bfloat16")
    layers_ = [part for part in model._flatten_layers() if not isinstance(part, keras.layers.InputLayer)]
    assert {part.compute_dtype for part in layers_} == {"bfloat16"}
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert {part.compute_dtype for part in small()._flatten_layers()} == {"float32"}


@pytest.mark.slow
def test_bfloat16_answers_like_float32():
    """Some 40 roundings by at most 2^-8 follow each other; as a random walk, 7 of them: allowed are 8."""
    x = {"text": ids(4), "image": np.random.default_rng(1).normal(size=(4, 6, 10, 3)).astype("float32")}
    full, half = (small(("text", "image"), dtype=dtype) for dtype in ("float32", "mixed_bfloat16"))
    half.set_weights(full.get_weights())
    expected, found = (array(model(x)["label"]) for model in (full, half))
    assert keras.backend.standardize_dtype(half(x)["label"].dtype) == "bfloat16"
    assert 0 < np.abs(found - expected).max() < 8 * 2**-8 * np.abs(expected).max()


def test_a_preset_is_loaded_in_the_dtype_that_is_asked_for(tmp_path):
    model = small()
    model.save_to_preset(str(tmp_path / "preset"))
    for dtype, expected in ((None, "float32"), ("bfloat16", "bfloat16"), ("mixed_bfloat16", "float32")):
        loaded = PerceiverIOBackbone.from_preset(str(tmp_path / "preset"), dtype=dtype)
        assert {weight.dtype for weight in loaded.trainable_weights} == {expected}
        parts = [part for part in loaded._flatten_layers() if not isinstance(part, keras.layers.InputLayer)]
        assert {part.compute_dtype for part in parts} == {"bfloat16" if dtype else "float32"}
        np.testing.assert_allclose(
            array(loaded.encoder.latents.array), array(model.encoder.latents.array), atol=2**-8
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_a_quantized_model_scores_by_its_table_and_comes_back(tmp_path):
    def build():
        return PerceiverIOBackbone(
            {"text": layers.InputAdapter(streams.Tokens(11, 13), 8)},
            layers.PerceiverEncoder(num_latents=3, latent_dim=8, num_layers=1, num_heads=2),
            {
                "text": layers.OutputAdapter(layers.LearnedArray(11, 6), layers.TiedEmbedding("text", 13)),
                "tags": layers.OutputAdapter(layers.LearnedArray(1, 6), keras.layers.Dense(2)),
            },
            layers.PerceiverDecoder(),
        )

    model, x = build(), {"text": ids(2)}
    exact = {name: array(answer) for name, answer in model(x).items()}
    model.quantize("int8")
    rounded = {name: array(answer) for name, answer in compiled(model)(x).items()}
    for name, answer in rounded.items():
        assert np.abs(answer - exact[name]).max() < 0.1 * np.abs(exact[name]).max()
    model.save(tmp_path / "model.keras")
    model.save_to_preset(str(tmp_path / "preset"))
    for loaded in (
        keras.saving.load_model(tmp_path / "model.keras"),
        PerceiverIOBackbone.from_preset(str(tmp_path / "preset")),
    ):
        assert loaded.get_config()["quantized"] == model.get_config()["quantized"]
        for name, answer in compiled(loaded)(x).items():
            np.testing.assert_allclose(array(answer), rounded[name], atol=1e-5)


def test_parts_of_their_own_dtypes_come_back_so():
    model = PerceiverIOBackbone(
        {"text": text()},
        layers.PerceiverEncoder(5, 8, 1, num_heads=2, dtype="mixed_bfloat16"),
        {"label": layers.OutputAdapter(layers.LearnedArray(1, 8), layers.ClassificationHead(3))},
        layers.PerceiverDecoder(),
    )
    rebuilt = PerceiverIOBackbone.from_config(model.get_config())
    for part in (model, rebuilt):
        assert (part.encoder.compute_dtype, part.decoder.compute_dtype) == ("bfloat16", "float32")


def test_a_built_part_keeps_its_dtype():
    model = small()
    with pytest.raises(ValueError, match="not built yet.* in float32. Received: dtype=mixed_bfloat16"):
        PerceiverIOBackbone(
            model.input_adapters, model.encoder, model.output_adapters, model.decoder, dtype="mixed_bfloat16"
        )


# === Lengths ===


class Traced(keras.layers.Layer):
    """Counts how often Python runs through it: once a trace, or once a call where nothing is compiled."""

    times = 0

    def call(self, x):
        self.times += 1
        return x


@pytest.mark.skipif(BACKEND == "torch", reason="torch compiles nothing")
@pytest.mark.parametrize("method", ["predict_on_batch", "train_on_batch"])
def test_a_bucket_of_lengths_is_compiled_once(method):
    counter = Traced()
    stem = keras.Sequential([keras.layers.Embedding(13, 6), counter])
    stem.build((None, None))
    adapter = layers.InputAdapter(streams.Tokens(11, 13), stem=stem)
    model = PerceiverIOBackbone(
        {"text": adapter},
        layers.PerceiverEncoder(3, 8, 1, num_heads=2),
        {"label": layers.OutputAdapter(layers.LearnedArray(1, 8), layers.ClassificationHead(3))},
        layers.PerceiverDecoder(),
    )
    model.compile("sgd", LOSS)

    def traces_of(*lengths):
        before = counter.times
        for length in lengths:
            arrays = [{"text": ids(2, length)}, {"label": np.array([0, 1])}]
            getattr(model, method)(*arrays[: 2 if method == "train_on_batch" else 1])
        return counter.times - before

    assert traces_of(5, 11) > 0
    assert traces_of(5, 11, 11, 5) == 0
    # TensorFlow gives up on a fixed length at the second, and then takes any.
    assert (traces_of(7) == 0) == (BACKEND == "tensorflow")
    assert traces_of(7, 5) == 0


def test_predict_takes_texts_of_several_lengths():
    model = small()
    for length in (11, 5, 7):
        x = {"text": ids(2, length)}
        expected = array(model(x)["label"])
        np.testing.assert_allclose(model.predict(x, verbose=0)["label"], expected, atol=1e-5)
