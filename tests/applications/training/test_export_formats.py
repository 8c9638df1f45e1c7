"""Exports beyond a SavedModel: TF Serving's folder, ONNX, LiteRT and int8 say what the model says."""

import json
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf

import zorro_keras as zk
from tests.backend import array
from zorro_keras.applications.audio_visual_classification import (
    AudioVisualClassifier,
    AudioVisualPreprocessor,
)
from zorro_keras.applications.pipelines.faults import ConfigError, TrainingError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.training import export, export_formats
from zorro_keras.applications.training.endpoints import endpoints_of
from zorro_keras.applications.training.export import export_task
from zorro_keras.applications.training.export_formats import check_format, write_export
from zorro_keras.applications.training.parity import differences, parity_report
from zorro_keras.applications.training.parity_inputs import random_inputs, read_inputs
from zorro_keras.applications.training.served import open_served

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
in_this_process = pytest.mark.skipif(
    not ON_TENSORFLOW, reason="written by TensorFlow; other backends start a process that does the same"
)
# Logits are served of whole clips, and features of preprocessed sound, under the name of their input.
ASKED = ("serve_audio_video", "serve_raw", "embed_audio")
STREAMS = {
    "audio": zk.streams.Spectrogram(frames=16, bins=8, patch=(8, 4)),
    "video": zk.streams.Video(frames=4, height_px=12, width_px=20, patch=(2, 6, 10)),
}


@pytest.fixture(scope="module")
def task():
    keras.utils.set_random_seed(5)
    geometry = ClipGeometry(seconds=0.32, sample_rate_hz=8000, num_frames=4, height_px=12, width_px=20)
    mel = zk.layers.LogMelSpectrogram(sample_rate_hz=8000, num_bins=8, hop_seconds=0.02)
    backbone = zk.models.ZorroViTBackbone(STREAMS, 1, 2, 14, 22, num_fusion_tokens=3)
    preprocessor = AudioVisualPreprocessor(geometry, mel, label_names=["a", "b", "c"])
    return AudioVisualClassifier(backbone, num_classes=3, preprocessor=preprocessor)


@pytest.fixture(scope="module")
def few_endpoints():
    """Each takes seconds to convert."""
    every = AudioVisualClassifier.export_endpoints
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            AudioVisualClassifier,
            "export_endpoints",
            lambda task: [endpoint for endpoint in every(task) if endpoint.name in ASKED],
        )
        yield


def exported(task, folder, **options):
    result = export_task(task, folder / "clips", native=ON_TENSORFLOW, **options)
    return result, Path(result[options.get("format", "saved_model")])


@pytest.fixture(scope="module")
def serving(task, few_endpoints, tmp_path_factory):
    """TF Serving's folder, in int8: both at once, because each export takes seconds."""
    weights = [array(weight) for weight in task.weights]
    result, folder = exported(task, tmp_path_factory.mktemp("serving"), format="tf_serving", int8=True)
    for weight, before in zip(task.weights, weights, strict=True):
        np.testing.assert_array_equal(array(weight), before)
    return result, folder


def test_tf_serving_finds_the_version_and_every_request_is_answered(task, serving):
    _, folder = serving
    assert {path.name for path in folder.iterdir()} == {"clips", "requests", "assets", "parity.json"}
    (version,) = (folder / "clips").iterdir()
    assert version.name == "1"
    loaded = tf.saved_model.load(str(version))
    requests = {path.stem: json.loads(path.read_text()) for path in (folder / "requests").iterdir()}
    assert set(requests) == set(loaded.signatures) - {"serving_default"}
    for name, body in requests.items():
        assert set(body) == {"signature_name", "inputs"} and body["signature_name"] == name
        signature = loaded.signatures[body["signature_name"]]
        specs = signature.structured_input_signature[1]
        answers = signature(
            **{key: tf.constant(values, specs[key].dtype) for key, values in body["inputs"].items()}
        )
        assert all(values.shape[0] == 1 and np.isfinite(values).all() for values in answers.values())


def test_int8_kernels_are_stored_as_int8_and_the_report_says_what_it_costs(task, serving):
    result, folder = serving
    reader = tf.train.load_checkpoint(str(folder / "clips" / "1" / "variables" / "variables"))
    kinds = reader.get_variable_to_dtype_map()  # Keras lists every variable in `_all_variables`, too
    int8 = [name for name, kind in kinds.items() if kind == tf.int8 and name.startswith("variables/")]
    assert len(int8) == len([weight for weight in task.weights if weight.path.endswith("kernel")])
    report = result["parity"]["endpoints"]
    logits = report["serve_raw"]["random"]
    assert 1e-4 < logits["max_relative"] < 0.1 and 0.7 <= logits["top_1_agreement"] <= 1.0
    assert "top_1_agreement" not in report["embed_audio"]["random"]
    assert set(report["serve_raw"]) == {"random", "real"} and result["bytes"] > 0


def test_what_int8_costs_is_told_on_inputs_of_ones_own(task, serving, tmp_path):
    (endpoint,) = (endpoint for endpoint in endpoints_of(task) if endpoint.name == "serve_raw")
    np.savez(tmp_path / "mine.npz", **random_inputs(endpoint, np.random.default_rng(3), batch=2))
    given = read_inputs(tmp_path / "mine.npz")
    report = parity_report(task, serving[1], tolerance=0.25, given=given)["endpoints"]
    assert "given" in report["serve_raw"] and "given" not in report["serve_audio_video"]
    with pytest.raises(ConfigError, match=r"must be those of an endpoint, by name. Received: \{'audio'"):
        parity_report(task, serving[1], tolerance=0.25, given={"audio": np.zeros((2, 3), "float32")})


def test_int8_is_measured_by_the_size_of_small_outputs_too():
    """A quarter is allowed: of 1, an embedding of length 1 could be anything."""
    embedding, zeros = {"audio": np.full((2, 256), 1 / 16)}, {"audio": np.zeros((2, 256))}
    assert differences(embedding, zeros)["max_relative"] == 1 / 16
    least_scale = export._comparison(export.ExportOptions(int8=True))["least_scale"]
    assert differences(embedding, zeros, least_scale=least_scale)["max_relative"] == 1.0
    assert "least_scale" not in export._comparison(export.ExportOptions())


def test_int8_is_refused_where_it_costs_more_than_is_allowed(task, serving):
    with pytest.raises(TrainingError, match=r"of the export differs from the model by .* at most 1e-05"):
        parity_report(task, serving[1], tolerance=1e-5)


@in_this_process
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_a_file_for_each_endpoint_says_what_the_model_says(task, few_endpoints, tmp_path, format):
    for package in export_formats.PACKAGES.get(format, ()):
        pytest.importorskip(package, reason="of the extra `export`")
    result, folder = exported(task, tmp_path, format=format)
    ending = {"onnx": ".onnx", "litert": ".tflite"}[format]
    assert {path.name for path in folder.glob(f"*{ending}")} == {name + ending for name in ASKED}
    assert set(result["endpoints"]) == set(ASKED) and result["left_out"] == {}
    assert all(kind["max_relative"] < 1e-5 for kind in result["parity"]["endpoints"]["serve_raw"].values())
    served, rng = open_served(folder), np.random.default_rng(1)
    for size in (1, 5):  # the batch is open
        clips = {
            name: random_inputs(endpoint, rng, batch=size)
            for name, endpoint in ((endpoint.name, endpoint) for endpoint in endpoints_of(task))
        }
        raw = clips["serve_raw"]
        expected = task.served(task.predict(raw, verbose=0))
        assert differences(expected, served["serve_raw"](raw))["max_abs"] < 1e-5
        other = {**raw, "video": raw["video"][:, ::-1]}
        changed = served["serve_raw"](other)
        same = served["serve_raw"](raw)
        np.testing.assert_array_equal(changed["audio_logits"], same["audio_logits"])
        assert np.abs(changed["fusion_logits"] - same["fusion_logits"]).max() > 1e-4


def test_an_endpoint_that_a_format_lacks_is_left_out_with_the_reason(
    task, few_endpoints, tmp_path, monkeypatch
):
    def write(loaded, function, endpoint, path, int8):
        if endpoint.name == "serve_raw":
            raise export_formats.UnsupportedEndpointError("LiteRT lacks tf.Real")
        path.touch()

    monkeypatch.setattr("zorro_keras.applications.training.litert_file.write_litert", write)
    monkeypatch.setattr(export_formats, "write_saved_model", lambda model, out: None)
    nothing = SimpleNamespace(signatures=dict.fromkeys(ASKED))
    monkeypatch.setattr(export_formats.tf.saved_model, "load", lambda folder: nothing)
    write_export(task, tmp_path / "some", format="litert")
    about = json.loads((tmp_path / "some" / "assets" / "labels.json").read_text())
    assert about["left_out"] == {"serve_raw": "LiteRT lacks tf.Real"}
    assert set(about["endpoints"]) == set(ASKED) - {"serve_raw"}
    monkeypatch.setattr(AudioVisualClassifier, "export_endpoints", lambda task: [])
    with pytest.raises(TrainingError, match="No endpoint can be written as `.tflite`"):
        write_export(task, tmp_path / "none", format="litert")


def test_a_format_is_refused_before_anything_is_written(task, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="`format` must be saved_model, tf_serving, onnx or litert"):
        export_task(task, tmp_path / "out", format="pickle")
    monkeypatch.setattr(export_formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="not installed: onnx, onnxruntime, tf2onnx") as error:
        export_task(task, tmp_path / "out", format="onnx")
    assert "zorro-keras[export]" in error.value.advice
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ConfigError, match="`litert` is made of a TensorFlow graph. Received: native=True"):
        check_format("litert", native=True)
    assert not list(tmp_path.iterdir())


def test_what_holds_no_export_or_no_inputs_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="The folder holds no export"):
        open_served(tmp_path)
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    for name in ("bad.npz", "absent.npz"):
        with pytest.raises(ConfigError, match="The inputs cannot be read"):
            read_inputs(tmp_path / name)
