"""One word of the configuration chooses the backbone: what the classifier promises holds for each."""

import functools

import keras
import numpy as np
import pytest

from tests.backend import array
from zorro_keras import models, streams
from zorro_keras.applications.audio_visual_classification import AudioVisualClassifier, build_model
from zorro_keras.applications.audio_visual_classification.config import CONFIGS
from zorro_keras.applications.audio_visual_classification.model import start_weights
from zorro_keras.applications.pipelines.faults import CheckpointError, ConfigError
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.endpoints import endpoints_of
from zorro_keras.applications.training.open_model import open_model

CLIP = [
    *("data.geometry.seconds=0.64", "data.geometry.sample_rate_hz=8000", "data.geometry.num_frames=4"),
    *("data.geometry.height_px=8", "data.geometry.width_px=12", "model.video_patch=(2,4,4)"),
    *("model.spectrogram_frames=32", "model.spectrogram_bins=16", "model.spectrogram_patch=(8,4)"),
]
KINDS = {  # backbone: its class, the configuration it is shrunk from, and how
    "zorro_vit": (
        models.ZorroViTBackbone,
        "tiny",
        ["model.num_layers=1", "model.num_heads=2", "model.hidden_dim=14", "model.mlp_dim=22"],
    ),
    "zorro_swin": (
        models.ZorroSwinBackbone,
        "swin_tiny",
        ["model.num_layers=2,1", "model.num_heads=1,2", "model.hidden_dim=6"]
        + ["model.spectrogram_window=2,2", "model.video_window=2,2,2", "model.fusion_every=block"],
    ),
    "zorro_hip": (
        models.ZorroHiPBackbone,
        "hip_tiny",
        ["model.num_layers=1,1", "model.num_heads=2,2", "model.hidden_dim=6,10", "model.num_latents=3,4"]
        + ["model.embed_dim=7"],
    ),
}
NAMES = ["cat", "dog", "owl"]
HEADS = {"audio", "video", "fusion", "global"}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def config(kind):
    _, name, sizes = KINDS[kind]
    return apply_overrides(CONFIGS[name], [*CLIP, *sizes])


@functools.cache
def task(kind):
    return build_model(config(kind), NAMES)


def clips(batch=3, seed=0):
    random, clip = np.random.default_rng(seed), config("zorro_vit").data.geometry
    shape = (batch, clip.num_frames, clip.height_px, clip.width_px, 3)
    return {
        "audio": random.uniform(-1, 1, (batch, clip.num_samples)).astype("float32"),
        "video": random.integers(0, 256, shape).astype("uint8"),
    }


@pytest.mark.slow
def test_one_word_chooses_the_backbone(kind):
    assert isinstance(task(kind), AudioVisualClassifier)
    assert type(task(kind).backbone) is KINDS[kind][0] and config(kind).model.backbone == kind
    assert set(task(kind).heads) == HEADS


def test_a_classifier_of_a_backbone_is_the_task_that_its_presets_are_found_by(kind):
    made = AudioVisualClassifier(task(kind).backbone, num_classes=2)
    assert type(made) is type(task(kind)) and type(made).backbone_cls is KINDS[kind][0]


@pytest.mark.slow
def test_a_preset_opens_as_the_same_classifier_by_either_way(kind, tmp_path):
    task(kind).save_to_preset(str(tmp_path))
    expected = task(kind).predict(clips(), verbose=0)
    for loaded in (AudioVisualClassifier.from_preset(str(tmp_path)), open_model(tmp_path)):
        assert type(loaded) is type(task(kind)) and loaded.preprocessor.label_names == NAMES
        found = loaded.predict(clips(), verbose=0)
        for head in HEADS:
            np.testing.assert_allclose(found[head], expected[head], atol=1e-6)


@pytest.mark.slow
def test_training_takes_clips_with_and_without_a_stream_and_keeps_streams_apart(kind):
    trained = build_model(config(kind), NAMES)
    presence = {"audio": np.array([True, False, True]), "video": np.array([True, True, False])}
    arrays = {name: array(x) for name, x in trained.preprocessor(clips()).items()}
    # `keras.Model`'s, because a keras-hub task would preprocess the arrays again.
    inputs, labels = {**arrays, "presence": presence}, np.array([0, 1, 2])
    logs = keras.Model.train_on_batch(trained, inputs, labels, return_dict=True)
    assert np.isfinite(logs["loss"])
    before = trained.predict(clips(), verbose=0)
    after = trained.predict({**clips(), "video": clips(seed=1)["video"]}, verbose=0)
    assert (before["audio"] == after["audio"]).all()
    assert all((before[head] != after[head]).any() for head in HEADS - {"audio"})
    alone = trained.predict({"audio": clips()["audio"]}, verbose=0)
    assert set(alone) == HEADS - {"video"}
    np.testing.assert_allclose(alone["audio"], before["audio"], atol=1e-5)


def test_every_subset_has_endpoints(kind):
    subsets = ("audio", "video", "audio_video")
    named = {f"{what}_{subset}" for what in ("serve", "embed") for subset in subsets}
    assert {endpoint.name for endpoint in endpoints_of(task(kind))} == {
        *named,
        *("serve_raw", "serve_raw_audio", "serve_raw_video"),
    }


@pytest.mark.slow
@pytest.mark.tensorflow
# test_export.py has the other
@pytest.mark.parametrize("kind", [pytest.param("zorro_swin", marks=pytest.mark.long), "zorro_hip"])
def test_an_export_says_what_the_model_says_and_keeps_streams_apart(kind, tmp_path, monkeypatch):
    tf = pytest.importorskip("tensorflow")
    from zorro_keras.applications.training.export import export_task

    kept = {"serve_raw", "serve_audio_video"}  # each takes seconds, and all of them the same way
    chosen = [endpoint for endpoint in endpoints_of(task(kind)) if endpoint.name in kept]
    monkeypatch.setattr(type(task(kind)), "export_endpoints", lambda task: chosen)
    exported = export_task(task(kind), tmp_path / "served")["saved_model"]  # or refuses it: see `parity`
    served = tf.saved_model.load(str(exported))
    before = served.serve_raw(clips())
    after = served.serve_raw({**clips(), "video": clips(seed=1)["video"]})
    np.testing.assert_array_equal(before["audio_logits"], after["audio_logits"])
    assert (before["fusion_logits"].numpy() != after["fusion_logits"].numpy()).any()


def test_a_classifier_wants_no_reconstructions():
    rows = [{"num_layers": 1, "num_latents": 2, "hidden_dim": 6, "num_heads": 1} for _ in range(3)]
    counts = [{"audio": 1, "video": 1, "fusion": 1}] * 2 + [{"audio": 1, "video": 1}]
    rows = [{**row, "num_groups": count} for row, count in zip(rows, counts, strict=True)]
    backbone = models.ZorroHiPBackbone(task("zorro_hip").backbone.streams, rows[:2], rows[2:], embed_dim=5)
    with pytest.raises(ValueError, match=r"give it `backbone.encoding_half\(\)`"):
        AudioVisualClassifier(backbone, 3)
    assert set(AudioVisualClassifier(backbone.encoding_half(), 3).heads) == HEADS


# === Starting from an earlier run ===


@pytest.fixture(scope="module", params=KINDS)
def preset(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets")
    task(request.param).save_to_preset(str(folder))
    return request.param, folder


def started(preset, *changes):
    kind, folder = preset
    changed = apply_overrides(config(kind), [f"model.pretrained={folder}", *changes])
    model = build_model(changed, ["bell", "drum"])
    return model, start_weights(model, changed)


def test_a_run_starts_from_an_earlier_one_but_for_the_heads(preset):
    model, report = started(preset)
    earlier = task(preset[0]).backbone
    assert not report.fresh and "The heads are fresh." in str(report)
    assert sum(report.copied.values()) == earlier.count_params()
    for mine, theirs in zip(model.backbone.weights, earlier.weights, strict=True):
        np.testing.assert_array_equal(array(mine), array(theirs))


@pytest.mark.slow
def test_a_linear_probe_trains_the_heads_and_leaves_the_backbone_as_it_is(preset):
    model, _ = started(preset, "model.freeze_backbone=true", "model.stochastic_depth_rate=0.5")
    model.compile(keras.optimizers.SGD(0.1))
    x = {name: array(values) for name, values in model.preprocessor(clips()).items()}
    before = [array(weight).copy() for weight in model.backbone.weights]
    losses = [
        # Without chance: the second of two equal steps begins where the first ended.
        float(keras.Model.train_on_batch(model, x, np.array([0, 1, 0]), return_dict=True)["loss"])
        for _ in range(2)
    ]
    assert losses[1] < losses[0]
    assert len(model.trainable_variables) == 2 * len(HEADS)
    for weight, old in zip(model.backbone.weights, before, strict=True):
        np.testing.assert_array_equal(array(weight), old)


def test_a_backbone_that_was_never_trained_is_not_frozen():
    with pytest.raises(ConfigError, match="`freeze_backbone` must be false unless `pretrained` is given"):
        apply_overrides(config("zorro_vit"), ["model.freeze_backbone=true"])


def test_longer_clips_of_fewer_streams_take_what_they_share(preset):
    model, report = started(preset, "data.geometry.num_frames=8", "data.streams=video")
    assert "read-out" in report.copied and any("video" in part for part in report.copied)
    assert not any("audio" in part for part in {**report.copied, **report.fresh})
    earlier = {weight.path: array(weight) for weight in task(preset[0]).backbone.weights}
    equal = [
        w.path for w in model.backbone.weights
        if w.path.endswith("kernel") and (array(w) == earlier[w.path]).all()
    ]  # fmt: skip
    assert any("video" in path for path in equal) and any("readout" in path for path in equal)


@pytest.mark.parametrize(
    "preset, changes, message",
    [
        ("zorro_swin", ["model.hidden_dim=8"], "its `hidden_dim` is 6, not 8, set by `model.hidden_dim`"),
        ("zorro_swin", ["model.video_window=2,2,3"], "is .*, set by `model.video_window`"),
        ("zorro_hip", ["model.num_latents=3,5"], r"is \(3, 4\), not \(3, 5\), set by `model.num_latents`"),
    ],
    indirect=["preset"],
)
def test_what_does_not_fit_is_refused_by_its_setting(preset, changes, message):
    with pytest.raises(CheckpointError, match=message):
        started(preset, *changes)


def test_a_zorro_of_another_kind_is_no_start(preset):
    other = "zorro_vit" if preset[0] != "zorro_vit" else "zorro_hip"
    with pytest.raises(CheckpointError, match="must be the preset of a model with a Zorro-"):
        started((other, preset[1]))


@pytest.mark.slow
def test_the_trunks_of_a_swin_start_from_one_of_pictures(tmp_path):
    from tests.weights.files import torch_zip
    from tests.weights.test_swin import official

    sizes = {"num_layers": (2, 1), "num_heads": (1, 2), "hidden_dim": 6, "window": (2, 2)}
    pictures = models.SwinBackbone({"image": streams.Image(16, 16, patch=(4, 4))}, **sizes)
    (tmp_path / "swin.pth").write_bytes(torch_zip(official(pictures)))
    changes = [f"model.pretrained={tmp_path / 'swin.pth'}", "model.spectrogram_patch=4,4"]
    changed = apply_overrides(config("zorro_swin"), changes)
    report = start_weights(model := build_model(changed, NAMES), changed)
    assert list(report.copied) == ["trunk audio", "trunk video"]
    assert list(report.fresh) == ["fusion blocks", "tokens fusion", "read-out"]
    theirs = pictures.trunk.stages[0][1].mlp
    for trunk in model.backbone.swin.trunks.values():
        ours = trunk.stages[0][1].mlp
        np.testing.assert_array_equal(array(ours.hidden_dense.kernel), array(theirs.hidden_dense.kernel))
    with pytest.raises(CheckpointError, match="or a Swin or Video Swin: .* Received: .* of `audio`"):
        start_weights(
            build_model(config("zorro_swin"), NAMES), apply_overrides(config("zorro_swin"), changes[:1])
        )
