"""The task: what is hidden is told, measured in units of a clip, and a preset lets the backbone go on."""

import functools

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from zorro_keras import streams as zs
from zorro_keras.applications.masked_autoencoding import MaskedClipAutoencoder, MaskedClipPreprocessor
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.training.endpoints import endpoints_of
from zorro_keras.models import HiPBackbone

CLIP = ClipGeometry(seconds=0.2, sample_rate_hz=105, num_frames=2, height_px=6, width_px=10)
STREAMS = {"video": zs.Video(2, 6, 10, patch=(1, 2, 2)), "audio": zs.Waveform(21, (3,))}  # 30 and 7 elements
LEVELS = [
    {"num_groups": 3, "num_layers": 1, "num_latents": 4, "hidden_dim": 6, "num_heads": 2},
    {"num_groups": 1, "num_layers": 1, "num_latents": 6, "hidden_dim": 10, "num_heads": 2},
]


def build(preprocessor=None, streams=STREAMS, **options):
    return MaskedClipAutoencoder(
        HiPBackbone(streams, LEVELS, LEVELS[:1], embed_dim=5), preprocessor, **options
    )


@functools.cache
def task():
    made = build(MaskedClipPreprocessor(CLIP, 0.4, 0.2, 0.05), mask_rate=0.6, seed=2)
    random = np.random.default_rng(1)
    for weight in made.trainable_variables:  # fresh ones tell nothing
        weight.assign(array(weight) + random.normal(0.0, 0.3, weight.shape))
    return made


def raw(batch=3):
    random = np.random.default_rng(0)
    return {
        "audio": random.uniform(-1, 1, (batch, 21)).astype("float32"),
        "video": random.integers(0, 256, (batch, 2, 6, 10, 3), "uint8"),
    }


def test_pixels_and_samples_are_scaled_and_pixels_found_again():
    preprocessor, given = task().preprocessor, raw()
    x = preprocessor({**given, "presence": 7})
    np.testing.assert_allclose(array(x["audio"]), given["audio"] / 0.05, rtol=1e-6)
    np.testing.assert_allclose(array(x["video"]), (given["video"] / 255 - 0.4) / 0.2, atol=1e-5)
    np.testing.assert_allclose(array(preprocessor.to_pixels(x["video"])), given["video"] / 255, atol=1e-5)
    assert x["presence"] == 7 and list(preprocessor({"audio": given["audio"]})) == ["audio"]
    again = MaskedClipPreprocessor.from_config(preprocessor.get_config())
    assert again.get_config() == preprocessor.get_config()


def test_the_metrics_are_mean_squares_of_what_was_hidden_in_units_of_a_clip():
    """Of each stream by an independent mean over the hidden numbers of the clips that have it."""
    given = raw()
    x = {name: array(values) for name, values in task().preprocessor(given).items()}
    x["presence"] = {"audio": np.array([True, False, True]), "video": np.array([True, True, False])}
    figures = keras.Model.evaluate(task(), x, batch_size=3, verbose=0, return_dict=True)
    clip = task().as_clip(compiled(task())(keras.tree.map_structure(keras.ops.convert_to_tensor, x)))
    losses = []
    for name, unit in (("audio", 0.05), ("video", 0.2)):
        made, hidden = (array(clip[kind][name]) for kind in ("reconstruction", "hidden"))
        assert made.shape == hidden.shape == x[name].shape and 0.4 < hidden.mean() < 0.8
        has = x["presence"][name]
        losses.append(((made - x[name])[has][hidden[has]] ** 2).mean())
        assert figures[f"{name}_error"] == pytest.approx(unit**2 * losses[-1], rel=1e-4)
    assert figures["loss"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_an_element_is_hidden_as_a_whole():
    x = {name: array(values) for name, values in task().preprocessor(raw()).items()}
    hidden = array(task().as_clip(keras.Model.predict_on_batch(task(), x))["hidden"]["video"])
    patches = hidden.reshape(3, 2, 3, 2, 5, 2, 3)
    assert (patches == patches[:, :, :, :1, :, :1, :1]).all() and hidden.any() and not hidden.all()


@pytest.mark.slow
def test_a_preset_holds_the_task_and_the_backbone_that_goes_on(tmp_path):
    task().save_to_preset(str(tmp_path))
    loaded = MaskedClipAutoencoder.from_preset(str(tmp_path))
    assert (loaded.masking.mask_rate, loaded.masking.seed) == (0.6, 2)
    assert loaded.preprocessor.get_config() == task().preprocessor.get_config()
    half = HiPBackbone.from_preset(str(tmp_path)).encoding_half()
    x = {name: array(values) for name, values in task().preprocessor(raw()).items()}
    expected = keras.Model.predict_on_batch(task(), x)["reconstruction"]
    for name, values in keras.Model.predict_on_batch(loaded, x)["reconstruction"].items():
        np.testing.assert_allclose(array(values), array(expected[name]), atol=1e-5)
    latents = array(compiled(task().backbone)(x)["latents"])
    np.testing.assert_allclose(array(compiled(half)(x)["latents"]), latents, atol=1e-5)


@pytest.mark.slow
def test_fit_takes_raw_clips_and_one_stream_alone():
    model = build(task().preprocessor, mask_rate=0.6)
    x = {name: values[:2] for name, values in raw().items()}
    pytest.importorskip("tensorflow")
    before = array(model.backbone.parts.positions["audio"].array)
    losses = model.fit(x, batch_size=2, verbose=0).history
    assert {"audio_error", "video_error", "loss"} == set(losses) and np.isfinite(losses["loss"]).all()
    assert (array(model.backbone.parts.positions["audio"].array) != before).any()
    answer = model.predict({"audio": x["audio"]}, verbose=0)
    assert array(answer["reconstruction"]["audio"]).shape == (2, 7, 3)


def test_what_the_task_cannot_do_is_refused():
    with pytest.raises(
        ValueError, match=r"no other streams than \['audio', 'video'\]. Received: \['image'\]"
    ):
        build(streams={"image": zs.Image(6, 10, patch=(2, 2))})
    with pytest.raises(ValueError, match="`mask_rate` must be in"):
        build(mask_rate=1.0)
    with pytest.raises(ValueError, match="`loss` must be left to the task"):
        build().compile(loss="mse")
    with pytest.raises(ConfigError, match="must say what it serves"):
        endpoints_of(task())
