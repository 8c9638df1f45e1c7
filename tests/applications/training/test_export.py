"""The export: it stands alone, says what the model says, and an endpoint sees no more than its streams."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import zorro_keras as zk
from tests.rounding import rounding_bounds

pytest.importorskip("tensorflow")

import tensorflow as tf

from zorro_keras.applications.audio_visual_classification.model import AudioVisualClassifier
from zorro_keras.applications.pipelines.faults import ConfigError, TrainingError
from zorro_keras.applications.training import bare_saved_model, export
from zorro_keras.applications.training.endpoints import endpoints_of, subsets_of
from zorro_keras.applications.training.export import export_task
from zorro_keras.applications.training.parity import parity_report
from zorro_keras.applications.training.run import open_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
ENDPOINTS = {
    *("serve_audio", "serve_video", "serve_audio_video"),
    *("embed_audio", "embed_video", "embed_audio_video"),
    *("serve_raw", "serve_raw_audio", "serve_raw_video"),
}


@pytest.fixture(scope="module")
def task(small_run):
    return open_run(small_run).task


@pytest.fixture(scope="module")
def exported(task, tmp_path_factory):
    return Path(export_task(task, tmp_path_factory.mktemp("exported") / "served")["saved_model"])


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported))


def raw_batch(task, size, seed=0):
    clip, rng = task.preprocessor.geometry, np.random.default_rng(seed)
    return {
        "audio": rng.uniform(-1, 1, (size, clip.num_samples)).astype("float32"),
        "video": rng.integers(0, 256, (size, clip.num_frames, clip.height_px, clip.width_px, 3), np.uint8),
    }


@pytest.fixture(scope="module")
def bounds(task):
    """By subset of the streams and head: how far apart rounding may bring the logits of raw clips."""
    return {
        subset: rounding_bounds(
            lambda raw: task.predict(raw, verbose=0),
            task.trainable_variables,
            {name: raw_batch(task, 3)[name] for name in subset},
        )
        for subset in subsets_of(("audio", "video"))
    }


def assert_same(answers, logits, bounds):
    """No further apart than rounding explains."""
    for head, expected in logits.items():
        np.testing.assert_allclose(answers[f"{head}_logits"], expected, rtol=0, atol=bounds[head])


def test_there_is_an_endpoint_for_every_subset(exported, loaded):
    assert set(loaded.signatures) == ENDPOINTS | {"serving_default"}
    about = json.loads((exported / "assets" / "labels.json").read_text())
    assert set(about["endpoints"]) == ENDPOINTS and len(about["label_names"]) == 8
    assert about["endpoints"]["serve_raw"]["video"] == {"shape": [None, 4, 16, 24, 3], "dtype": "uint8"}


@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("subset", [("audio",), ("video",), ("audio", "video"), ("video", "audio")])
def test_raw_inputs_by_name_in_any_order_give_what_predict_gives(task, loaded, bounds, subset, size):
    raw = {name: raw_batch(task, size)[name] for name in subset}
    name = "serve_raw" if len(subset) == 2 else f"serve_raw_{subset[0]}"
    inputs = {name: tf.constant(values) for name, values in raw.items()}
    answers = loaded.signatures[name](**inputs)
    assert_same(answers, task.predict(raw, verbose=0), bounds[tuple(sorted(subset))])
    for head in ("fusion", "global"):
        np.testing.assert_allclose(tf.reduce_sum(answers[f"{head}_probabilities"], axis=1), 1.0, rtol=1e-5)


def test_a_lone_stream_has_no_input_for_the_others(loaded):
    for name in ("serve_audio", "embed_audio", "serve_raw_audio"):
        inputs = loaded.signatures[name].structured_input_signature[1]
        assert set(inputs) == {"audio"}
        with pytest.raises(TypeError):
            loaded.signatures[name](audio=tf.zeros(inputs["audio"].shape[1:])[None], video=tf.zeros((1, 1)))
    assert set(loaded.signatures["serve_audio_video"].structured_input_signature[1]) == {"audio", "video"}


def test_in_the_export_too_video_never_reaches_the_audio_head(task, loaded):
    raw, other = raw_batch(task, 3), raw_batch(task, 3, seed=1)["video"]
    answers, changed = loaded.serve_raw(raw), loaded.serve_raw({**raw, "video": other})
    np.testing.assert_array_equal(answers["audio_logits"], changed["audio_logits"])
    assert np.abs(answers["fusion_logits"] - changed["fusion_logits"]).max() > 1e-3


def test_dropout_is_off(task, loaded):
    raw = raw_batch(task, 2)
    first, second = loaded.serve_raw(raw), loaded.serve_raw(raw)
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_it_runs_where_neither_keras_nor_this_library_is(task, exported, bounds, tmp_path):
    raw = raw_batch(task, 2)
    np.savez(tmp_path / "in.npz", **raw)
    script = [sys.executable, "-P", bare_saved_model.__file__]
    words = [str(exported), str(tmp_path / "in.npz"), "serve_raw", str(tmp_path / "out.npz")]
    child = subprocess.run([*script, *words], env=os.environ, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-2000:]
    with np.load(tmp_path / "out.npz") as answers:
        assert_same(dict(answers), task.predict(raw, verbose=0), bounds["audio", "video"])


@pytest.mark.parametrize("package", ["keras", "zorro_keras", "keras_hub"])
def test_the_bare_process_really_lacks(package):
    """Positive control of the test above: numpy is found, these are not."""
    folder = str(Path(bare_saved_model.__file__).parent)
    code = (
        f"import sys; sys.path.append({folder!r})\n"
        "import bare_saved_model as bare; sys.meta_path[:] = map(bare.Hiding, sys.meta_path)\n"
        f"import numpy; print('numpy found'); import {package}"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert child.stdout == "numpy found\n" and f"No module named '{package}'" in child.stderr


def test_parity_is_measured_on_random_and_real_inputs(task, exported):
    """And is rounding: as far as disturbing the model by roundings moves the answers, and not further."""
    report = json.loads((exported / "parity.json").read_text())
    assert set(report["endpoints"]) == ENDPOINTS
    for endpoint in endpoints_of(task):
        kinds, inputs = report["endpoints"][endpoint.name], endpoint.real()
        assert set(kinds) == {"random", "real"}
        allowed = max(rounding_bounds(endpoint.ask, task.trainable_variables, inputs).values())
        assert kinds["real"]["max_abs"] <= allowed, endpoint.name


@pytest.mark.parametrize("place", ["offset", "layer"])
def test_the_bound_of_rounding_is_far_below_a_mistake(task, loaded, bounds, place):
    """Positive control: pixels off by a hundredth of a grey value, or one layer's MLP left out."""
    raw = raw_batch(task, 3)
    assert_same(loaded.serve_raw(raw), task.predict(raw, verbose=0), bounds["audio", "video"])
    rescale = task.preprocessor.rescale
    kernels = [weight for weight in task.trainable_variables if weight.path.endswith("kernel")]
    wrong, before = kernels[len(kernels) // 2], rescale.offset
    value = np.array(wrong)
    try:
        if place == "offset":
            rescale.offset = before + 0.01 / 127.5
        else:
            wrong.assign(np.zeros_like(value))
        mistaken = task.predict(raw, verbose=0)
    finally:
        rescale.offset = before
        wrong.assign(value)
    with pytest.raises(AssertionError):
        assert_same(loaded.serve_raw(raw), mistaken, bounds["audio", "video"])


def test_an_export_that_differs_is_refused(task, exported):
    """By a model that has moved since; unmoved it was not refused."""
    head = task.heads["video"]
    before = head.get_weights()
    try:
        head.set_weights([before[0], before[1] + 1e-2])
        with pytest.raises(
            TrainingError, match=r"The endpoint `serve\w+` .* differs from the model by 0\.00"
        ):
            parity_report(task, exported, tolerance=1e-5)
    finally:
        head.set_weights(before)


def test_only_an_earlier_export_is_replaced(task, exported, tmp_path):
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(ConfigError, match="`out` must be a new folder or hold an earlier export"):
        export_task(task, tmp_path)
    assert (tmp_path / "letters.txt").exists()


def test_an_export_to_a_link_replaces_what_it_leads_to(tmp_path, monkeypatch):
    def write(model, partial, preset, wanted):
        (partial / export.LABELS).parent.mkdir(parents=True)
        (partial / export.LABELS).write_text("{}")

    monkeypatch.setattr(export, "endpoints_of", lambda model: [])
    monkeypatch.setattr(export, "_write_in_tensorflow", write)
    monkeypatch.setattr(export, "parity_report", lambda *given, **options: {"endpoints": {}})
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "served"
    link.symlink_to(tmp_path / "elsewhere")
    assert export_task(None, link)["saved_model"] == str(link)
    assert link.is_symlink() and (tmp_path / "elsewhere" / "parity.json").exists()


def test_a_failing_child_says_why_and_leaves_nothing(task, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_CHILD", "zorro_keras.no_such_module")
    with pytest.raises(TrainingError, match="no_such_module"):
        export_task(task, tmp_path / "served")
    assert not list(tmp_path.iterdir())


def test_torch_has_no_native_export(task, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ConfigError, match="torch has no SavedModel of its own"):
        export_task(task, tmp_path / "served", native=True)


def test_the_default_export_is_a_plain_graph(loaded):
    graph = loaded.signatures["serve_raw"].graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert "XlaCallModule" not in {node.op for node in nodes} and len(nodes) > 100


def test_three_streams_give_seven_endpoints_of_each_kind():
    streams = {
        "audio": zk.streams.Spectrogram(8, 4, patch=(4, 4)),
        "video": zk.streams.Video(2, 4, 4, patch=(1, 4, 4)),
        "words": zk.streams.Tokens(5, vocabulary_size=11),
    }
    model = AudioVisualClassifier(zk.models.ZorroViTBackbone(streams, 1, 1, 6, 6, num_fusion_tokens=2), 3)
    endpoints = endpoints_of(model)
    assert [endpoint.kind for endpoint in endpoints].count("serve") == 7
    assert [endpoint.kind for endpoint in endpoints].count("embed") == 7
    assert not [endpoint for endpoint in endpoints if endpoint.kind == "raw"]  # no preprocessor, no raw clip
    assert endpoints[0].name == "serve_audio_video_words"
    assert subsets_of(("a", "b")) == [("a",), ("b",), ("a", "b")]
