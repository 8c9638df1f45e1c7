"""Configurations of pre-training say what is compared, and refuse what cannot be."""

import pytest

from tests.without_numbers import without_numbers
from zorro_keras.applications.audio_visual_pretraining.config import CONFIGS
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.clip_backbones import build_backbone
from zorro_keras.applications.training.config import apply_overrides, from_json, to_json


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_survives_json(name):
    assert from_json(type(CONFIGS[name]), to_json(CONFIGS[name])) == CONFIGS[name]


def test_the_base_model_is_the_one_of_the_figure():  # 91.3 M with four heads of 527 classes
    assert without_numbers(build_backbone, CONFIGS["base"]).count_params() == 89_687_040


@pytest.mark.parametrize(
    "change, message",
    [
        ("model.temperature=0", "`temperature` must be positive"),
        ("model.projection_dim=0", "`projection_dim` must be at least 1"),
        ("model.fusion_video_weight=-1", "`fusion_video_weight` must be at least 0"),
        ("data.augmentation.mixup_alpha=0.5", "a mixture belongs to two clips"),
        ("data.test_clips=2", "`test_clips` must be 1: windows of one clip would find each other"),
        ("data.class_balance=true", "`class_balance` must be false: labels are left alone"),
        ("data.streams=audio", "`streams` must be audio,video"),
        ("model.multi_label=true", "Unknown key `model.multi_label`"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        apply_overrides(CONFIGS["tiny"], [change])


def test_a_perceiver_is_refused():
    changes = ["model.backbone=perceiver_io", "model.variant=audioset", "model.mlp_dim=256"]
    changes += ["model.num_fusion_tokens=16", "model.stochastic_depth_rate=0"]
    with pytest.raises(ConfigError, match="`backbone` must be one that keeps its streams apart"):
        apply_overrides(CONFIGS["tiny"], changes)


def test_a_weight_of_nothing_leaves_its_term_out():
    changes = ["model.fusion_audio_weight=0", "model.fusion_video_weight=0.5"]
    weights = apply_overrides(CONFIGS["tiny"], changes).model.pair_weights
    assert weights == {"audio,video": 1.0, "fusion,video": 0.5}
    nothing = [f"model.{name}_weight=0" for name in ("audio_video", "fusion_audio", "fusion_video")]
    with pytest.raises(ConfigError, match="`audio_video_weight` must be positive, or another weight"):
        apply_overrides(CONFIGS["tiny"], nothing)
