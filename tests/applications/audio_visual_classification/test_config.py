"""Configurations: each recipe is consistent, and nonsense is refused by name."""

import dataclasses

import pytest

from zorro_keras.applications.audio_visual_classification.config import (
    CONFIGS,
    AugmentationConfig,
    Config,
    DataConfig,
)
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import apply_overrides, from_json, to_json


@pytest.mark.parametrize("name", CONFIGS)
def test_every_recipe_survives_json(name):
    assert from_json(Config, to_json(CONFIGS[name])) == CONFIGS[name]


@pytest.mark.parametrize("name", CONFIGS)
def test_sound_and_spectrogram_last_equally_long(name):
    config = CONFIGS[name]
    # One frame of the spectrogram every 10 ms.
    assert config.model.spectrogram_frames * 0.01 == pytest.approx(config.data.geometry.seconds)


def _num_tokens(config):
    clip, model = config.data.geometry, config.model
    audio = (model.spectrogram_frames // model.spectrogram_patch[0]) * (
        model.spectrogram_bins // model.spectrogram_patch[1]
    )
    frames, rows, columns = model.video_patch
    return audio, (clip.num_frames // frames) * (clip.height_px // rows) * (clip.width_px // columns)


def test_the_recipes_have_the_tokens_their_comments_name():
    assert _num_tokens(CONFIGS["tiny"]) == (64, 64)
    assert _num_tokens(CONFIGS["base"]) == (320, 1568)
    assert _num_tokens(CONFIGS["audioset"]) == (400, 3136)


def test_nested_fields_can_be_set_from_the_command_line():
    config = apply_overrides(
        CONFIGS["tiny"], ["data.augmentation.flip_rate=0.5", "data.geometry.num_frames=4", "model.remat=true"]
    )
    assert config.data.augmentation.flip_rate == 0.5
    assert config.data.geometry.num_frames == 4
    assert config.model.remat is True
    with pytest.raises(ConfigError, match=r"Did you mean `data.augmentation.flip_rate`"):
        apply_overrides(config, ["data.augmentation.flip_rat=0.5"])


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        (AugmentationConfig(), {"zoom": (0.5, 1.0)}, r"`zoom` must be two numbers, 1 <= .*zoom=\(0.5, 1.0\)"),
        (
            AugmentationConfig(),
            {"flip_rate": 1.5},
            r"`flip_rate` must be within \[0, 1\]. Received: flip_rate=1.5",
        ),
        (AugmentationConfig(), {"mixup_alpha": float("nan")}, "`mixup_alpha` must be within"),
        (
            AugmentationConfig(),
            {"modality_dropout_rate": 1.0},
            r"`modality_dropout_rate` must be within \[0, 1\)",
        ),
        (AugmentationConfig(), {"num_time_masks": -1}, "`num_time_masks` must be at least 0"),
        (CONFIGS["tiny"].data, {"streams": ()}, "`streams` must be a choice of"),
        (CONFIGS["tiny"].data, {"streams": ("audio", "audio")}, "`streams` must be a choice of"),
        (CONFIGS["tiny"].data, {"streams": ("text",)}, "`streams` must be a choice of"),
        (CONFIGS["tiny"].data, {"test_clips": 0}, "`test_clips` must be at least 1"),
        (
            CONFIGS["tiny"].model,
            {"spectrogram_patch": (16, 15)},
            r"`spectrogram_patch` .* divide \(256, 64\)",
        ),
        (CONFIGS["tiny"].model, {"hidden_dim": 0}, "`hidden_dim` must be None or at least 1"),
    ],
)
def test_nonsense_is_refused_by_name(part, changes, message):
    assert dataclasses.replace(part) == part
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(part, **changes)


def test_a_video_patch_must_divide_the_video():
    tiny = CONFIGS["tiny"]
    with pytest.raises(
        ConfigError, match=r"`video_patch` must be 3 positive sizes that divide \(16, 32, 32\)"
    ):
        dataclasses.replace(tiny, model=dataclasses.replace(tiny.model, video_patch=(3, 8, 8)))


def test_streams_may_be_read_alone():
    assert DataConfig(geometry=CONFIGS["tiny"].data.geometry, streams=("video",)).streams == ("video",)
