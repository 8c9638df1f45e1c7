"""The task on a Perceiver IO: one question, any subset of the streams, and no promise of isolation."""

import functools

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from zorro_keras import streams as zs
from zorro_keras.applications.audio_visual_classification import (
    AudioVisualClassifier,
    AudioVisualPerceiver,
    AudioVisualPreprocessor,
)
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.training.endpoints import endpoints_of
from zorro_keras.layers import LearnedArray, OutputAdapter
from zorro_keras.models import PerceiverIOBackbone, ZorroViTBackbone
from zorro_keras.models import perceiver_io_variants as variants

GEOMETRY = ClipGeometry(seconds=0.33, sample_rate_hz=1000, num_frames=4, height_px=6, width_px=10)
STREAMS = {
    "audio": zs.Waveform(330, patch=(11,)),
    "video": zs.Video(frames=4, height_px=6, width_px=10, patch=(2, 3, 5)),
}
SIZES = {
    "num_latents": 7, "latent_dim": 10, "num_layers": 1, "num_heads": 2, "query_dim": 13,
    "audio_bands": 3, "video_bands": 2, "num_classes": None,
}  # fmt: skip
NAMES = ["cat", "dog", "owl"]


def backbone(**overrides):
    return PerceiverIOBackbone.from_variant("audioset_raw", **{**STREAMS, **SIZES, **overrides})


def build(preprocess=False, **overrides):
    preprocessor = AudioVisualPreprocessor(GEOMETRY, None, NAMES) if preprocess else None
    return AudioVisualPerceiver(backbone(), 3, preprocessor=preprocessor, **overrides)


@functools.cache
def model():
    return build()


def clips(batch=4, seed=0):
    random = np.random.default_rng(seed)
    return {n: random.normal(size=(batch, *s.shape)).astype("float32") for n, s in STREAMS.items()}


def presence(audio, video):
    return {"audio": np.array(audio, bool), "video": np.array(video, bool)}


def label(inputs, task=None):
    """The logits as `predict` gives them: one compiled program for each set of inputs."""
    return keras.Model.predict_on_batch(task or model(), inputs)["label"]


def test_there_is_one_head_and_it_answers_to_any_subset():
    for given in (["audio"], ["video"], ["audio", "video"]):
        answers = keras.Model.predict_on_batch(model(), {name: clips()[name] for name in given})
        assert {head: logits.shape for head, logits in answers.items()} == {"label": (4, 3)}
    assert list(model().heads) == ["label"]


def test_the_answer_depends_on_both_streams_at_once():
    """What Zorro's audio head promises, a Perceiver does not: latents read sound and picture together."""
    before, other = label(clips()), clips(seed=1)
    for name in STREAMS:
        assert (label({**clips(), name: other[name]}) != before).any(axis=1).all()


def test_an_absent_stream_is_as_good_as_one_not_given_whatever_it_holds():
    flags = presence([1, 1, 0, 0], [1, 0, 1, 0])
    spoiled = {name: np.where(has[(...,) + (None,) * (x.ndim - 1)], x, np.nan).astype("float32")
               for (name, x), has in zip(clips().items(), flags.values(), strict=True)}  # fmt: skip
    found = label({**spoiled, "presence": flags})
    np.testing.assert_array_equal(found, label({**clips(), "presence": flags}))
    np.testing.assert_allclose(found[0], label(clips())[0], atol=1e-5)
    np.testing.assert_allclose(found[1], label({"audio": clips()["audio"]})[1], atol=1e-5)
    np.testing.assert_allclose(found[2], label({"video": clips()["video"]})[2], atol=1e-5)
    assert np.isfinite(found).all()
    assert np.abs(found[1] - label(clips())[1]).max() > 1e-4


def test_the_loss_and_the_accuracy_count_the_clips_that_have_any_stream():
    labels, flags = np.array([0, 1, 2, 1]), presence([1, 1, 0, 0], [1, 0, 1, 0])
    inputs = {**clips(), "presence": flags}
    logits = label(inputs).astype("float64")
    losses = np.log(np.exp(logits).sum(-1)) - logits[np.arange(4), labels]
    results = model().evaluate(inputs, labels, verbose=0, return_dict=True)
    assert results["loss"] == pytest.approx(losses[:3].mean(), rel=1e-5)
    assert results["label_accuracy"] == pytest.approx((logits.argmax(-1) == labels)[:3].mean())
    assert set(results) == {"loss", "label_accuracy", "label_top3"}


@pytest.mark.slow
# TensorFlow says that what the missing stream alone uses is not trained; that is as it should be.
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
def test_fit_lowers_the_loss_of_sound_alone():
    task = build()
    history = task.fit({"audio": clips()["audio"]}, np.arange(4) % 3, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.slow
def test_a_preset_keeps_the_waveform_and_opens_as_the_general_task(tmp_path):
    task, raw = build(preprocess=True), {**clips(), "video": np.full((4, 4, 6, 10, 3), 255, "uint8")}
    read = task.preprocessor(raw)
    np.testing.assert_array_equal(array(read["audio"]), raw["audio"])
    assert (array(read["video"]) == 1.0).all()
    task.save_to_preset(str(tmp_path))
    loaded = AudioVisualClassifier.from_preset(str(tmp_path))
    assert type(loaded) is AudioVisualPerceiver and loaded.num_classes == 3
    assert loaded.preprocessor.log_mel is None and loaded.preprocessor.label_names == NAMES
    assert loaded.preprocessor.geometry == GEOMETRY
    expected = task.predict(raw, verbose=0)["label"]
    np.testing.assert_allclose(loaded.predict(raw, verbose=0)["label"], expected, atol=1e-6)


@pytest.mark.slow
def test_a_keras_file_keeps_the_compiled_task(tmp_path):
    task, labels = build(multi_label=True), np.eye(3, dtype="float32")[[0, 1, 2, 1]]
    task.fit(clips(), labels, verbose=0)
    task.save(tmp_path / "task.keras")
    loaded = keras.models.load_model(tmp_path / "task.keras")
    expected = task.evaluate(clips(), labels, verbose=0, return_dict=True)
    assert loaded.evaluate(clips(), labels, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)


def test_logits_are_float32_in_mixed_precision():
    half = AudioVisualPerceiver(backbone(dtype="mixed_bfloat16"), 3)
    logits = compiled(lambda x: half(x)["label"])(clips())
    assert keras.backend.standardize_dtype(logits.dtype) == "float32" and np.isfinite(array(logits)).all()


@pytest.mark.slow
def test_there_are_endpoints_for_every_subset_and_for_waveforms():
    endpoints = {endpoint.name: endpoint for endpoint in endpoints_of(build(preprocess=True))}
    subsets = ("audio", "video", "audio_video")
    named = [f"{kind}_{subset}" for kind in ("serve", "embed") for subset in subsets]
    assert set(endpoints) == {*named, "serve_raw", "serve_raw_audio", "serve_raw_video"}
    assert endpoints["serve_audio"].inputs["audio"].shape == ("batch", 330)
    features = endpoints["embed_audio_video"].answer(clips(2))
    assert {name: tuple(x.shape) for name, x in features.items()} == {"label": (2, 13)}


def test_a_zorro_can_read_a_waveform_too():
    zorro = AudioVisualClassifier(ZorroViTBackbone(STREAMS, 1, 2, 14, 22, num_fusion_tokens=3), 3)
    answers = keras.Model.predict_on_batch(zorro, {"audio": clips()["audio"]})
    assert set(answers) == {"audio", "fusion", "global"}


def parts(output, name="label"):
    found = variants.parts("audioset_raw", overrides={**STREAMS, **SIZES})
    return PerceiverIOBackbone(**{**found, "output_adapters": {name: output}})


@pytest.mark.parametrize(
    "made",
    [
        lambda: backbone(num_classes=3),
        lambda: parts(OutputAdapter(LearnedArray(2, 13))),
        lambda: parts(OutputAdapter(LearnedArray(1, 13), keras.layers.Flatten()), name="audio"),
    ],
)
def test_a_backbone_that_gives_no_features_is_refused(made):
    with pytest.raises(ValueError, match=r"must be features \(batch, channels\).*num_classes=None"):
        AudioVisualPerceiver(made(), 3)


def test_each_task_takes_its_backbone():
    assert type(AudioVisualClassifier(backbone(), 3)) is AudioVisualPerceiver
    zorro = ZorroViTBackbone(STREAMS, 1, 2, 14, 22, num_fusion_tokens=3)
    with pytest.raises(
        ValueError, match=r"takes one of \['PerceiverIOBackbone'\]. Received: ZorroViTBackbone"
    ):
        AudioVisualPerceiver(zorro, 3)
