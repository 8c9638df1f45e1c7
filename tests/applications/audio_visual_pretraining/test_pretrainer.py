"""Clips without labels teach every Zorro which sound and picture belong together."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from tests.backend import array
from zorro_keras import losses, models
from zorro_keras import streams as zs
from zorro_keras.applications.audio_visual_classification import AudioVisualClassifier
from zorro_keras.applications.audio_visual_pretraining import AudioVisualPretrainer, build_model
from zorro_keras.applications.audio_visual_pretraining.config import CONFIGS
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.endpoints import endpoints_of
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.training.start_zorro import start_zorro

CLIP = [
    *("data.geometry.seconds=0.64", "data.geometry.sample_rate_hz=8000", "data.geometry.num_frames=4"),
    *("data.geometry.height_px=8", "data.geometry.width_px=12", "model.video_patch=(2,4,4)"),
    *("model.spectrogram_frames=32", "model.spectrogram_bins=16", "model.spectrogram_patch=(8,4)"),
    *("model.projection_dim=5", "model.stochastic_depth_rate=0"),
]
KINDS = {
    "zorro_vit": ("tiny", ["model.num_layers=1", "model.num_heads=2", "model.hidden_dim=14"]),
    "zorro_swin": (
        "swin_tiny",
        ["model.num_layers=2,1", "model.num_heads=1,2", "model.hidden_dim=6"]
        + ["model.spectrogram_window=2,2", "model.video_window=2,2,2"],
    ),
    "zorro_hip": (
        "hip_tiny",
        ["model.num_layers=1,1", "model.num_heads=2,2", "model.hidden_dim=6,10", "model.num_latents=3,4"]
        + ["model.embed_dim=7"],
    ),
}
HEADS = {
    *("audio_to_video", "video_to_audio", "fusion_to_audio"),
    *("audio_to_fusion", "fusion_to_video", "video_to_fusion"),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def config(kind, *changes):
    name, sizes = KINDS[kind]
    return apply_overrides(CONFIGS[name], [*CLIP, *sizes, *changes])


@functools.cache
def task(kind):
    return build_model(config(kind))


def clips(batch=4, seed=0):
    """Clips that can be told apart: each hums a tone of its own, in a colour of its own."""
    random, clip = np.random.default_rng(seed), config("zorro_vit").data.geometry
    times = np.arange(clip.num_samples) / clip.sample_rate_hz
    tones = np.sin(2 * np.pi * random.uniform(200, 3500, (batch, 1)) * times)
    colours = random.uniform(0, 255, (batch, 1, 1, 1, 3))
    pixels = colours + random.normal(0, 9, (batch, clip.num_frames, clip.height_px, clip.width_px, 3))
    return {"audio": tones.astype("float32"), "video": pixels.clip(0, 255).astype("uint8")}


def preprocessed(model, **presence):
    arrays = {name: array(x) for name, x in model.preprocessor(clips()).items()}
    flags = {name: np.array(presence.get(name, [True] * 4)) for name in arrays}
    return {**arrays, "presence": flags}


def loss_of(model, x):
    # `keras.Model`'s, because a keras-hub task would preprocess the arrays again.
    return keras.Model.evaluate(model, x, verbose=0, return_dict=True)["loss"]


@pytest.mark.slow
def test_embeddings_of_every_pair_have_length_one(kind):
    model = task(kind)
    assert isinstance(model, AudioVisualPretrainer)
    answers = model.predict(clips(), verbose=0)
    assert set(answers) == HEADS
    for values in answers.values():
        assert values.shape == (4, 5) and values.dtype == "float32"
        np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1.0, atol=1e-5)


@pytest.mark.slow
def test_embeddings_of_a_stream_are_of_it_alone(kind):
    before = task(kind).predict(clips(), verbose=0)
    after = task(kind).predict({**clips(), "video": clips(seed=1)["video"]}, verbose=0)
    for head in HEADS:
        assert (before[head] == after[head]).all() == head.startswith("audio"), head
    alone = task(kind).predict({"audio": clips()["audio"]}, verbose=0)
    assert set(alone) == {head for head in HEADS if not head.startswith("video")}
    np.testing.assert_allclose(alone["audio_to_video"], before["audio_to_video"], atol=1e-5)


def test_the_loss_is_the_weighted_sum_of_the_terms_over_the_clips_that_have_both():
    weights = {"audio,video": 2.0, "fusion,audio": 0.5}
    model = AudioVisualPretrainer(task("zorro_vit").backbone, None, weights, projection_dim=5)
    presence = {"audio": [True, True, False, True], "video": [True, False, True, True]}
    x = preprocessed(task("zorro_vit"), **presence)
    answers = keras.Model.predict_on_batch(model, x)
    both = np.array([True, False, False, True])

    def term(first, second, has):
        rows = [ops.convert_to_tensor(answers[name][has]) for name in (first, second)]
        return float(ops.mean(losses.noise_contrastive_losses(*rows)))

    expected = 2.0 * term("audio_to_video", "video_to_audio", both)
    expected += 0.5 * term("fusion_to_audio", "audio_to_fusion", np.array(presence["audio"]))
    np.testing.assert_allclose(loss_of(model, x), expected, rtol=1e-5)


def test_what_a_clip_lacks_changes_nothing():
    model = task("zorro_vit")
    x = preprocessed(model, video=[True, True, True, False])
    spoilt = {**x, "video": x["video"].copy()}
    spoilt["video"][3] = np.nan
    assert loss_of(model, x) == loss_of(model, spoilt)


@pytest.mark.slow
def test_clips_that_lack_a_stream_leave_all_gradients_finite(kind):
    model = build_model(config(kind))
    model.compile(keras.optimizers.SGD(0.1))
    x = preprocessed(model, audio=[True, False, True, False], video=[True, True, False, False])
    keras.Model.train_on_batch(model, {**x, "audio": x["audio"] * x["presence"]["audio"][:, None, None]})
    assert all(np.isfinite(array(weight)).all() for weight in model.weights)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")  # those of the other stream
def test_clips_of_one_stream_alone_train_the_terms_that_it_has(kind):
    model = build_model(config(kind))
    x = preprocessed(model)
    heard = {"audio": x["audio"], "presence": {"audio": x["presence"]["audio"]}}
    logs = keras.Model.train_on_batch(model, heard, return_dict=True)
    assert np.isfinite(logs["loss"]) and logs["loss"] > 0
    assert "fusion_audio_accuracy" in logs and "audio_video_accuracy" not in logs


@pytest.mark.slow
def test_training_brings_the_sound_and_picture_of_a_clip_together():
    keras.utils.set_random_seed(3)
    model = build_model(config("zorro_vit"))
    model.compile(keras.optimizers.AdamW(1e-2))
    x = preprocessed(model)
    before = loss_of(model, x)
    for _ in range(60):
        logs = keras.Model.train_on_batch(model, x, return_dict=True)
    assert loss_of(model, x) < before / 10
    assert logs["audio_video_accuracy"] == logs["fusion_audio_accuracy"] == 1.0


@pytest.mark.slow
def test_a_learned_temperature_is_trained_and_kept_in_bounds():
    model = build_model(config("zorro_vit", "model.learn_temperature=true", "model.temperature=0.5"))
    assert float(array(model.heads.current_temperature())) == pytest.approx(0.5)
    model.compile(keras.optimizers.SGD(0.5))
    keras.Model.train_on_batch(model, preprocessed(model))
    assert float(array(model.heads.current_temperature())) != pytest.approx(0.5, abs=1e-4)
    model.heads.log_scale.assign(5.0)  # beyond the limit, from where it can come back
    assert float(array(model.heads.current_temperature())) == pytest.approx(0.01)
    keras.Model.train_on_batch(model, preprocessed(model))
    assert float(array(model.heads.log_scale)) != 5.0
    assert build_model(config("zorro_vit")).heads.current_temperature() == 0.1


@pytest.mark.slow
def test_fusion_can_be_made_to_follow_the_streams():
    def moved_queries(stop):
        keras.utils.set_random_seed(5)
        backbone = build_model(config("zorro_vit")).backbone
        model = AudioVisualPretrainer(backbone, None, {"fusion,audio": 1.0}, 5, stop_stream_gradient=stop)
        model.compile(keras.optimizers.SGD(1.0))
        queries = next(weight for weight in backbone.weights if weight.path == "readout/queries/array")
        before = array(queries).copy()
        keras.Model.train_on_batch(model, preprocessed(model_of_clips))
        moved = (array(queries) != before).any(axis=1)
        return {name for name, has_moved in zip(backbone.output, moved, strict=True) if has_moved}

    model_of_clips = task("zorro_vit")
    assert list(model_of_clips.backbone.output) == ["audio", "video", "fusion", "global"]
    assert moved_queries(stop=False) == {"audio", "fusion"}
    assert moved_queries(stop=True) == {"fusion"}


@pytest.mark.slow
def test_a_preset_opens_as_the_same_model_and_starts_a_classifier(kind, tmp_path):
    model = task(kind)
    model.save_to_preset(str(tmp_path))
    expected = model.predict(clips(), verbose=0)
    for loaded in (AudioVisualPretrainer.from_preset(str(tmp_path)), open_model(tmp_path)):
        assert type(loaded) is type(model) and loaded.pair_weights == model.pair_weights
        found = loaded.predict(clips(), verbose=0)
        for head in HEADS:
            np.testing.assert_allclose(found[head], expected[head], atol=1e-6)
    fresh = build_model(config(kind)).backbone
    start_zorro(fresh, str(tmp_path), preprocessing={}, keys={})
    for mine, theirs in zip(fresh.weights, model.backbone.weights, strict=True):
        np.testing.assert_array_equal(array(mine), array(theirs))
    assert AudioVisualClassifier(fresh, 3).predict(preprocessed(model), verbose=0)["audio"].shape == (4, 3)


def test_every_subset_of_the_streams_is_served(kind):
    names = {endpoint.name for endpoint in endpoints_of(task(kind))}
    assert {"serve_audio", "serve_video", "serve_audio_video", "serve_raw", "embed_audio"} <= names


@pytest.mark.parametrize(
    "weights, message",
    [
        ({"audio,text": 1.0}, r"`pair_weights` may name two of .* Received: 'audio,text'"),
        ({"audio": 1.0}, "separated by a comma. Received: 'audio'"),
        ({"audio,video": 0.0}, "must be positive. Received: 'audio,video' 0.0"),
        ({}, "There must be two outputs to compare"),
    ],
)
def test_pairs_that_cannot_be_compared_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        AudioVisualPretrainer(task("zorro_vit").backbone, None, weights)


def test_a_perceiver_is_refused_because_its_streams_are_one():
    backbone = models.PerceiverIOBackbone.from_variant("audioset_mel", num_classes=None, num_layers=1)
    with pytest.raises(ValueError, match="takes one of .*ZorroViTBackbone.* Received: PerceiverIOBackbone"):
        AudioVisualPretrainer(backbone)


def test_embeddings_that_are_all_alike_find_one_another_by_chance():
    model = AudioVisualPretrainer(task("zorro_vit").backbone, None, {"audio,video": 1.0}, 5)
    for dense in model.heads.projections.values():  # what collapse looks like
        dense.kernel.assign(np.zeros(dense.kernel.shape))
        dense.bias.assign(np.ones(dense.bias.shape))
    x = preprocessed(task("zorro_vit"), audio=[True, True, True, False])
    found = keras.Model.evaluate(model, x, verbose=0, return_dict=True)
    assert found["audio_video_accuracy"] == pytest.approx(1 / 3)


def test_inputs_without_a_pair_are_refused():
    model = AudioVisualPretrainer(task("zorro_vit").backbone, None, {"audio,video": 1.0}, 5)
    audio = {"audio": preprocessed(task("zorro_vit"))["audio"]}
    with pytest.raises(ValueError, match=r"both outputs of one of the pairs .*'audio', 'video'"):
        keras.Model.train_on_batch(model, audio)


@pytest.mark.slow
def test_a_step_in_mixed_precision_has_a_float32_loss_near_that_of_full_precision():
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 14, "mlp_dim": 22}
    losses = {}
    for policy in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(2)
        backbone = models.ZorroViTBackbone(task("zorro_vit").backbone.streams, dtype=policy, **sizes)
        model = AudioVisualPretrainer(backbone, projection_dim=5)
        assert {output.dtype for output in model.output.values()} == {"float32"}
        losses[policy] = loss_of(model, preprocessed(task("zorro_vit")))
        keras.Model.train_on_batch(model, preprocessed(task("zorro_vit")))
        assert all(np.isfinite(array(weight)).all() for weight in model.weights)
    assert losses["mixed_bfloat16"] == pytest.approx(losses["float32"], rel=0.1)


def test_a_third_stream_is_compared_with_both():
    described = {**task("zorro_vit").backbone.streams, "words": zs.Tokens(3, vocabulary_size=7)}
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 14, "mlp_dim": 22}
    model = AudioVisualPretrainer(models.ZorroViTBackbone(described, **sizes), projection_dim=5)
    assert set(model.pair_weights) == {
        *("audio,video", "audio,words", "video,words"),
        *("fusion,audio", "fusion,video", "fusion,words"),
    }
    x = preprocessed(task("zorro_vit"))
    words = np.array([[1, 2, 3], [4, 5, 6], [0, 0, 0], [1, 1, 1]])
    x |= {"words": words, "presence": {**x["presence"], "words": np.array([True, True, False, True])}}
    other = {**x, "words": np.where(words == 0, 5, words)}  # of the clip that has none
    assert loss_of(model, x) == loss_of(model, other)
    answers = keras.Model.predict_on_batch(model, {"words": words})
    assert set(answers) == {
        *("words_to_audio", "words_to_video", "words_to_fusion"),
        *("fusion_to_audio", "fusion_to_video", "fusion_to_words"),
    }
