"""What every Perceiver IO serves: encode once and decode often, of a backbone alone and of each task."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf

from tests.backend import array, compiled
from tests.rounding import rounding_bounds
from zorro_keras.applications.image_classification import ImageClassifier, ImagePreprocessor
from zorro_keras.applications.masked_language import MaskedLanguageModel, MaskedLanguagePreprocessor
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.text_classification import TextClassifier, TextPreprocessor
from zorro_keras.applications.text_classification.model import task_queries
from zorro_keras.applications.training.endpoints import endpoints_of
from zorro_keras.applications.training.export import export_backbone, export_task
from zorro_keras.models import PerceiverIOBackbone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The `native_serialization` parameter:DeprecationWarning"),
    # The exports run in this process where they can: one that starts TensorFlow takes seconds.
    pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch has no export of its own"),
]
SIZES = {"num_latents": 3, "latent_dim": 8, "num_layers": 1, "num_heads": 2}
LENGTH, VOCABULARY = 13, 262
ON_JAX = keras.backend.backend() == "jax"
by_tensorflow = pytest.mark.skipif(ON_JAX, reason="JAX exports no open lengths; the backbone shows the way")


def language():
    return PerceiverIOBackbone.from_variant("language", length=LENGTH, embed_dim=10, query_key_dim=4, **SIZES)


def texts(length, batch=2):
    rng = np.random.default_rng(length)
    real = np.arange(length) < np.array([[length], [length - 2]])
    ids = rng.integers(6, VOCABULARY, (batch, length)).astype("int32")
    return {"text": ids, "text_padding_mask": real}


def given(inputs):
    """The same as a model in Python takes it."""
    return {"text": inputs["text"], "padding_mask": {"text": inputs["text_padding_mask"]}}


def served(export, model, folder, native=True):
    result = export(model, folder / "served", native=native)
    return result, tf.saved_model.load(result["saved_model"])


def assert_same(found, expected, atol):
    np.testing.assert_allclose(array(found), array(expected), rtol=0, atol=atol)


@pytest.fixture(scope="module")
def backbone():
    return language()


@pytest.fixture(scope="module")
def exported(backbone, tmp_path_factory):
    return served(export_backbone, backbone, tmp_path_factory.mktemp("backbone"), native=not ON_JAX)


@pytest.fixture(scope="module")
def bound(backbone):
    """How far apart rounding may bring what the backbone answers."""

    def answer(inputs):
        return keras.Model.predict_on_batch(backbone, given(inputs))

    return rounding_bounds(answer, backbone.trainable_variables, texts(7))["text"]


def test_a_backbone_has_an_encode_and_a_decode_endpoint(exported):
    result, loaded = exported
    assert set(loaded.signatures) == {"serve", "encode", "decode", "decode_rows", "serving_default"}
    about = json.loads((Path(result["saved_model"]) / "assets" / "labels.json").read_text())
    assert about["endpoints"]["decode_rows"] == {
        "latents": {"shape": [None, 3, 8], "dtype": "float32"},
        "rows": {"shape": [None], "dtype": "int32"},
    }
    assert about["kinds"]["encode"] == "encode"


@pytest.mark.skipif(not ON_JAX, reason="exports from the present backend: JAX here")
def test_a_native_export_from_jax_has_programs_for_every_platform(served_pictures):
    _, loaded = served_pictures
    graph = loaded.signatures["encode"].graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    calls = [node for node in nodes if node.op == "XlaCallModule"]
    assert calls and all(set(node.attr["platforms"].list.s) == {b"CPU", b"CUDA", b"TPU"} for node in calls)


def test_optical_flow_is_served_from_the_frames(tmp_path):
    model = PerceiverIOBackbone.from_variant(
        "optical_flow", size_px=(5, 7), embed_dim=5, num_bands=3, **SIZES
    )
    model.decoder.output_dense.kernel.assign(np.random.default_rng(1).normal(size=(5 + 14, 2)))
    inputs = {"frames": np.random.default_rng(0).uniform(-1, 1, (3, 2, 5, 7, 3)).astype("float32")}
    expected = model.predict_on_batch(inputs)["flow"]
    _, loaded = served(export_backbone, model, tmp_path)
    assert np.abs(expected).max() > 0.001
    assert_same(loaded.serve(inputs)["flow"], expected, 1e-6)
    latents = loaded.encode(inputs)["latents"]
    assert_same(loaded.decode({"latents": latents, **inputs})["flow"], expected, 1e-6)


@pytest.mark.parametrize("length", [5, 7, LENGTH])
def test_latents_that_are_kept_answer_as_the_model_does(backbone, exported, bound, length):
    inputs, (_, loaded) = texts(length), exported
    latents = loaded.encode(inputs)["latents"]
    answer = compiled(lambda x: backbone(given(x), training=False)["text"])(inputs)
    assert_same(loaded.decode({"latents": latents})["text"], answer, bound)
    assert_same(loaded.serve(inputs)["text"], answer, bound)
    other = loaded.encode({**inputs, "text": inputs["text"][::-1]})["latents"]  # positive control
    assert np.abs(array(loaded.decode({"latents": other})["text"]) - array(answer)).max() > 100 * bound


def test_some_rows_are_answered_as_among_all(exported, bound):
    _, loaded = exported
    latents = loaded.encode(texts(5))["latents"]
    rows = np.array([11, 0, 3, 3], "int32")
    whole, some = loaded.decode({"latents": latents}), loaded.decode_rows({"latents": latents, "rows": rows})
    assert_same(some["text"], array(whole["text"])[:, rows], bound)


def test_what_is_masked_does_not_reach_the_latents(exported):
    _, loaded = exported
    inputs = texts(7)
    hidden = {**inputs, "text": np.where(inputs["text_padding_mask"], inputs["text"], 9).astype("int32")}
    np.testing.assert_array_equal(loaded.encode(inputs)["latents"], loaded.encode(hidden)["latents"])
    seen = {**hidden, "text_padding_mask": np.ones_like(inputs["text_padding_mask"])}
    assert (array(loaded.encode(seen)["latents"]) != array(loaded.encode(hidden)["latents"])).any()


@by_tensorflow
def test_a_language_model_serves_texts_of_any_length(tmp_path):
    model = MaskedLanguageModel(language(), MaskedLanguagePreprocessor(length=LENGTH))
    result, loaded = served(export_task, model, tmp_path)
    assert result["endpoints"] == ["serve", "encode", "decode", "decode_rows"]
    for length in (4, 9):
        answers = loaded.signatures["serve"](**{name: tf.constant(x) for name, x in texts(length).items()})
        assert answers["text_logits"].shape == answers["text_probabilities"].shape == (2, length, VOCABULARY)
        np.testing.assert_allclose(tf.reduce_sum(answers["text_probabilities"], -1), 1.0, rtol=1e-5)
        logits = keras.Model.predict_on_batch(model, given(texts(length)))["text"]
        assert_same(answers["text_logits"], logits, 1e-5)
        latents = loaded.encode(texts(length))["latents"]
        some = loaded.decode_rows({"latents": latents, "rows": np.arange(length, dtype="int32")})
        assert_same(some["text_logits"], logits, 1e-5)


@by_tensorflow
def test_a_text_classifier_serves_every_task(tmp_path):
    names = {"RTE": ["no", "yes"], "STS-B": ["score"]}
    model = TextClassifier(
        task_queries(language(), names),
        {"RTE": 2, "STS-B": 1},
        TextPreprocessor(length=LENGTH, label_names=names),
    )
    result, loaded = served(export_task, model, tmp_path)
    assert result["endpoints"] == ["serve", "encode", "decode"]
    about = json.loads((Path(result["saved_model"]) / "assets" / "labels.json").read_text())
    assert about["label_names"] == names
    answers, expected = loaded.serve(texts(9)), keras.Model.predict_on_batch(model, given(texts(9)))
    assert set(answers) == {"RTE_logits", "RTE_probabilities", "STS-B_value"}
    assert_same(answers["RTE_logits"], expected["RTE"], 1e-5)
    decoded = loaded.decode({"latents": loaded.encode(texts(9))["latents"]})
    assert_same(decoded["STS-B_value"], expected["STS-B"], 1e-5)


@by_tensorflow
def test_a_table_of_entities_is_served_with_any_number_of_them(tmp_path):
    """They ask for the outputs themselves, so `decode` takes them beside the latents."""
    model = PerceiverIOBackbone.from_variant("starcraft_units", num_units=LENGTH, embed_dim=6, **SIZES)
    result, loaded = served(export_backbone, model, tmp_path)
    assert result["endpoints"] == ["serve", "encode", "decode"]
    units = np.random.default_rng(0).integers(0, 2, (2, 7, 46)).astype("float32")
    mask = np.arange(7) < np.array([[7], [4]])
    inputs = {"units": units, "units_padding_mask": mask}
    expected = model({"units": units, "padding_mask": {"units": mask}})["units"]
    assert_same(loaded.serve(inputs)["units"], expected, 1e-5)
    latents = loaded.encode(inputs)["latents"]
    assert_same(loaded.decode({**inputs, "latents": latents})["units"], expected, 1e-5)


@pytest.fixture(scope="module")
def pictures():
    preprocessor = ImagePreprocessor(12, (120, 110, 100), (50, 60, 70), [f"class {k}" for k in range(7)])
    backbone = PerceiverIOBackbone.from_variant("image_conv", size_px=12, num_classes=7, num_bands=2, **SIZES)
    return ImageClassifier(backbone, preprocessor)


@pytest.fixture(scope="module")
def served_pictures(pictures, tmp_path_factory):
    return served(export_task, pictures, tmp_path_factory.mktemp("pictures"))


def test_whole_pictures_of_any_size_are_classified(pictures, served_pictures):
    result, loaded = served_pictures
    assert result["endpoints"] == ["serve", "encode", "decode", "serve_raw"]
    assert set(result["parity"]["endpoints"]["serve_raw"]) == {"random", "real"}
    for height, width in ((12, 12), (31, 20)):
        image = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
        answers, logits = loaded.serve_raw({"image": image}), pictures.predict({"image": image}, verbose=0)
        assert_same(answers["label_logits"], logits["label"], 1e-4)
        probabilities = array(answers["label_probabilities"])
        best = np.argsort(-probabilities)[:, :5]
        np.testing.assert_array_equal(answers["label_top_classes"], best)
        np.testing.assert_array_equal(
            answers["label_top_probabilities"],
            np.take_along_axis(array(answers["label_probabilities"]), best, 1),
        )


def test_a_picture_is_encoded_once_and_decoded(pictures, served_pictures):
    _, loaded = served_pictures
    image = np.random.default_rng(1).normal(size=(2, 12, 12, 3)).astype("float32")
    decoded = loaded.decode({"latents": loaded.encode({"image": image})["latents"]})
    assert_same(
        decoded["label_logits"], keras.Model.predict_on_batch(pictures, {"image": image})["label"], 1e-5
    )


@pytest.mark.skipif(not ON_JAX, reason="exports from the present backend: JAX here")
def test_a_native_export_from_jax_of_open_lengths_is_refused(backbone, tmp_path):
    with pytest.raises(ConfigError, match="JAX cannot export inputs of any length"):
        export_backbone(backbone, tmp_path / "served", native=True)
    assert not list(tmp_path.iterdir())


def test_a_model_that_says_nothing_of_what_it_serves_is_refused():
    dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ConfigError, match="a method `export_endpoints`.*Received: Sequential"):
        endpoints_of(dense)
