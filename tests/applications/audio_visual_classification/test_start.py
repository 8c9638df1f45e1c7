"""Training starts from an earlier Zorro or from a vision transformer, or says which setting does not fit."""

import functools

import keras_hub
import numpy as np
import pytest

from tests.backend import array
from zorro_keras.applications.audio_visual_classification.config import CONFIGS
from zorro_keras.applications.audio_visual_classification.model import build_model, start_weights
from zorro_keras.applications.pipelines.faults import CheckpointError
from zorro_keras.applications.training.config import apply_overrides

NAMES = ["cat", "dog", "owl"]
SMALL = apply_overrides(
    CONFIGS["tiny"],
    ["model.num_layers=1", "model.num_heads=2", "model.hidden_dim=14", "model.mlp_dim=22",
     "model.num_fusion_tokens=3", "data.geometry.num_frames=4"],
)  # fmt: skip


PERCEIVER = apply_overrides(
    CONFIGS["perceiver_tiny"],
    ["model.num_layers=1", "model.hidden_dim=12", "model.num_latents=5", "model.query_dim=13"],
)


def changed(*changes, config=SMALL):
    return apply_overrides(config, list(changes))


@functools.cache
def earlier():
    return build_model(SMALL, NAMES)


@functools.cache
def earlier_perceiver():
    return build_model(PERCEIVER, NAMES)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "zorro"
    earlier().save_to_preset(str(folder))
    return folder


def same(layer, other):
    return all(
        (array(mine) == array(theirs)).all()
        for mine, theirs in zip(layer.weights, other.weights, strict=True)
    )


def test_a_run_starts_from_an_earlier_zorro_but_for_the_heads(preset):
    config = changed(f"model.pretrained={preset}")
    model = build_model(config, ["bell", "drum"])
    heads = {name: array(head.kernel) for name, head in model.heads.items()}
    report = start_weights(model, config)
    assert list(report.copied) == [
        "blocks", "tokenizer audio", "tokenizer video", "tokens fusion", "read-out",
    ]  # fmt: skip
    assert not report.fresh and "The heads are fresh." in str(report)
    assert sum(report.copied.values()) == model.backbone.count_params()
    assert same(model.backbone, earlier().backbone)
    assert all((array(head.kernel) == heads[name]).all() for name, head in model.heads.items())
    assert start_weights(model, SMALL) is None


def test_other_clips_and_fewer_streams_take_what_they_share(preset):
    longer = changed(f"model.pretrained={preset}", "data.geometry.num_frames=8", "data.streams=video")
    report = start_weights(model := build_model(longer, NAMES), longer)
    assert not report.fresh and {"tokenizer video", "read-out"} <= {*report.copied}
    ours, theirs = (m.backbone.transformer for m in (model, earlier()))
    assert same(ours.blocks[0], theirs.blocks[0])
    assert same(ours.tokenizers["video"].embedding, theirs.tokenizers["video"].embedding)
    first, second = array(ours.tokenizers["video"].positions.positions).reshape(2, 16, 14)
    np.testing.assert_allclose(first, array(theirs.tokenizers["video"].positions.positions), atol=1e-6)
    np.testing.assert_allclose(second, first, atol=1e-6)


def test_a_run_starts_from_a_vision_transformer(tmp_path):
    vit = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3), patch_size=(16, 16), num_layers=1, num_heads=2, hidden_dim=14, mlp_dim=22
    )
    vit.save_to_preset(str(tmp_path))
    config = changed(f"model.pretrained={tmp_path}")
    report = start_weights(model := build_model(config, NAMES), config)
    assert list(report.copied) == ["blocks", "tokenizer audio", "tokenizer video"]
    assert list(report.fresh) == ["tokens fusion", "read-out"] and "vit from keras_hub" in report.note
    kernel = array(vit.get_layer("vit_patching_and_embedding").patch_embedding.kernel)
    ours = model.backbone.transformer.tokenizers["audio"].embedding.kernel
    np.testing.assert_allclose(array(ours), kernel.sum(axis=2).reshape(256, 14), atol=1e-5)


def test_a_vision_transformer_of_another_size_is_refused_by_its_setting(tmp_path):
    vit = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3), patch_size=(16, 16), num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=22
    )
    vit.save_to_preset(str(tmp_path))
    config = changed(f"model.pretrained={tmp_path}")
    message = "its `hidden_dim` is 16, not 14, set by `model.hidden_dim`"
    with pytest.raises(CheckpointError, match=message) as caught:
        start_weights(build_model(config, NAMES), config)
    assert caught.value.reason == "wrong_model"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.mlp_dim=23"], "its `mlp_dim` is 22, not 23, set by `model.mlp_dim`"),
        (["model.num_fusion_tokens=5"], "is 3, not 5, set by `model.num_fusion_tokens`"),
        (["model.routing=bottleneck"], "its `routing` is .*set by `model.routing`"),
        (
            ["model.video_patch=2,8,8"],
            "its `video` is .*4, 8, 8.* not .*2, 8, 8.* set by `model.video_patch`",
        ),
        (
            ["model.spectrogram_mean=-5.0"],
            "its `log_mel.mean` is -6.0, not -5.0, set by `model.spectrogram_mean`",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_its_setting(changes, message, preset):
    config = changed(f"model.pretrained={preset}", *changes)
    with pytest.raises(CheckpointError, match=message):
        start_weights(build_model(config, NAMES), config)


def test_a_start_from_something_else_is_refused(preset, tmp_path):
    config = changed(f"model.pretrained={tmp_path}")
    with pytest.raises(CheckpointError, match="a Zorro-ViT, or a vision transformer: .* with 0 of them"):
        start_weights(build_model(config, NAMES), config)
    perceiver = changed(f"model.pretrained={preset}", config=PERCEIVER)
    with pytest.raises(CheckpointError, match="must be the preset of a model with a Perceiver IO"):
        start_weights(earlier_perceiver(), perceiver)


@pytest.mark.slow
def test_a_perceiver_starts_from_an_earlier_one(tmp_path):
    earlier_perceiver().save_to_preset(str(tmp_path))
    config = changed(f"model.pretrained={tmp_path}", config=PERCEIVER)
    report = start_weights(model := build_model(config, NAMES), config)
    assert same(model.backbone, earlier_perceiver().backbone) and not report.fresh
    other = changed("model.num_latents=7", config=config)
    with pytest.raises(CheckpointError, match="set by `model.num_latents`"):
        start_weights(build_model(other, NAMES), other)
