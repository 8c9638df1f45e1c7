"""Configurations: each recipe is consistent, and nonsense is refused by name."""

import dataclasses
import json
import math
import re
import shlex

import pytest

from tests import clip_maker
from tests.without_numbers import without_numbers
from zorro_keras import streams
from zorro_keras.applications import cli
from zorro_keras.applications.audio_visual_classification import recipes
from zorro_keras.applications.audio_visual_classification.config import (
    CONFIGS,
    AugmentationConfig,
    Config,
    DataConfig,
)
from zorro_keras.applications.audio_visual_classification.model import build_model
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.clip_backbones import BACKBONES, described_streams
from zorro_keras.applications.training.config import apply_overrides, from_json, to_json


@pytest.mark.parametrize("name", CONFIGS)
def test_every_recipe_survives_json(name):
    assert from_json(Config, to_json(CONFIGS[name])) == CONFIGS[name]


ZORROS = [name for name, config in CONFIGS.items() if config.model.backbone.startswith("zorro")]


@pytest.mark.parametrize("name", ZORROS)
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


RECIPES = ("audioset", "vggsound", "kinetics400_video_only", "esc50_audio_only")


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("audioset", {"audio": 400, "video": 3136}),
        ("vggsound", {"audio": 400, "video": 3136}),
        ("kinetics400_video_only", {"video": 3136}),
        ("esc50_audio_only", {"audio": 256}),
    ],
)
def test_the_recipes_of_public_data_sets_build_for_their_streams(name, tokens):
    config = CONFIGS[name]
    described = described_streams(config)
    assert {key: stream.num_tokens for key, stream in described.items()} == tokens
    backbone = without_numbers(BACKBONES[config.model.backbone], config, described)
    assert set(backbone.output) == {*tokens, "fusion", "global"}
    assert 85e6 < backbone.count_params() < 95e6  # a ViT-B and what cuts its streams


def _commands(text):
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.strip().startswith("zorro-keras ")]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_tells_its_protocol_balance_test_cost_and_commands(name, monkeypatch):
    text = getattr(recipes, name).__doc__
    for word in ("Commands", "Protocol", "Class balance", "Test", "Cost", "Reference"):
        assert re.search(rf"^    {word}\b", text, re.MULTILINE)
    understood = []
    for kind in cli.COMMANDS:
        monkeypatch.setattr(kind, "run", lambda command: understood.append(command) or 0)
    monkeypatch.setattr(cli, "set_backend", lambda backend: None)
    assert all(cli.main(words) == 0 for words in _commands(text))
    (train,) = (command for command in understood if isinstance(command, cli.Train))
    settings = [*train.overrides, *re.findall(r"`--set\s+([\w.]+=[\w./]+)`", text)]
    assert train.config == name and apply_overrides(CONFIGS[name], settings)
    assert isinstance(understood[-1], cli.Evaluate) and understood[-1].run_dir == train.out


# Added to the training of a recipe, so that it takes seconds.
LIGHTER = (
    *("training.epochs=1", "training.steps_per_epoch=1", "training.batch_size=2"),
    *("training.mixed_precision=false", "data.test_clips=1", "data.num_workers=1"),
    *("data.geometry.num_frames=2", "data.geometry.height_px=16", "data.geometry.width_px=16"),
    *("model.num_layers=1", "model.num_heads=2", "model.hidden_dim=8", "model.mlp_dim=8"),
    "model.num_fusion_tokens=2",
)


@pytest.mark.long
def test_the_commands_of_the_recipe_of_kinetics_run_one_after_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "set_backend", lambda backend: None)
    media = clip_maker.encoded(tmp_path)
    clip_maker.kinetics(tmp_path / "k400")
    names = ("train/-3B32lodo2M", "train/0347ZoDXyP0", "val/0wR5jVB-WPk", "test/kFC3KY2bOP8")
    clip_maker.put(media, tmp_path / "k400", *(f"{name}.mp4" for name in names))
    lighter = [word for setting in LIGHTER for word in ("--set", setting)]
    for words in _commands(recipes.kinetics400_video_only.__doc__):
        assert cli.main([*words, *(lighter if words[0] == "train" else [])]) == 0, words
    report = json.loads((tmp_path / "runs/k400/report/report.json").read_text())
    assert (report["num_clips"], report["label_names"]) == (1, ["abseiling", "air drumming"])
    assert report["split"] == "val"


def test_the_recipes_differ_in_balance_windows_and_loss_as_they_tell():
    told = {name: (CONFIGS[name].data.class_balance, CONFIGS[name].data.test_clips) for name in RECIPES}
    assert told == {
        "audioset": (True, 4),
        "vggsound": (True, 4),
        "kinetics400_video_only": (False, 4),
        "esc50_audio_only": (False, 1),
    }


def test_kinetics_is_evaluated_on_val_as_in_papers_and_the_others_as_listed():
    chosen = {name: CONFIGS[name].data.evaluation_split for name in RECIPES}
    assert chosen == {**dict.fromkeys(RECIPES), "kinetics400_video_only": "val"}


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "parameters"), [("audioset_perceiver_raw", 24_922_462), ("audioset_perceiver_mel", 86_568_284)]
)
def test_the_perceivers_of_audioset_build_with_the_published_sizes(name, parameters):
    model = build_model(CONFIGS[name], [f"class {index}" for index in range(527)])
    assert sum(math.prod(weight.shape) for weight in model.trainable_weights) == parameters
    assert model.multi_label and {n: x.shape for n, x in model.output.items()} == {"label": (None, 527)}


@pytest.mark.parametrize("name", ["audioset_perceiver_raw", "audioset_perceiver_mel"])
def test_the_perceivers_of_audioset_see_and_train_as_published(name):
    config = CONFIGS[name]
    clip, augmentation = config.data.geometry, config.data.augmentation
    assert (clip.num_frames, clip.num_samples, clip.height_px, clip.width_px) == (32, 61_440, 224, 224)
    assert clip.num_frames / clip.seconds == 25
    assert (config.training.epochs, config.data.test_clips) == (100, 16)
    assert augmentation.dropout_rates["video"] == 0.3
    assert augmentation.num_time_masks == augmentation.num_frequency_masks == 0
    assert augmentation.flip_rate and augmentation.colour_rate and augmentation.zoom[1] > 1
    described = described_streams(config)
    assert described["video"].num_tokens == 12_544
    if name.endswith("raw"):
        assert (described["audio"].shape, described["audio"].num_tokens) == ((61_440,), 480)
    else:
        assert (described["audio"].shape, described["audio"].num_tokens) == ((60, 80), 4800)
        assert augmentation.dropout_rates["audio"] == 0.1


def test_the_tiny_perceiver_learns_from_the_same_clips_as_the_tiny_zorro():
    tiny, perceiver = CONFIGS["tiny"], CONFIGS["perceiver_tiny"]
    augmentation = dataclasses.replace(perceiver.data.augmentation, modality_dropout_rate=0.0)
    assert dataclasses.replace(perceiver.data, augmentation=augmentation) == tiny.data


@pytest.mark.parametrize(
    ("name", "parameters", "tokens"),
    [("swin_small", 148_401_576, (5120, 12_544)), ("hip_16", 97_684_992, (320, 1568))],
)
def test_the_other_backbones_of_base_build_with_the_sizes_their_comments_name(name, parameters, tokens):
    config = CONFIGS[name]
    assert _num_tokens(config) == tokens
    build = BACKBONES[config.model.backbone]
    assert without_numbers(build, config, described_streams(config)).count_params() == parameters


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
        (AugmentationConfig(), {"modality_dropout_rate": (0.1, 1.0)}, r"within \[0, 1\). Received: .*1.0\)"),
        (
            CONFIGS["tiny"].model,
            {"spectrogram_bins": None},
            "`spectrogram_frames` must be given with spectrogram_bins",
        ),
        (
            CONFIGS["tiny"].model,
            {"variant": "audioset"},
            r"one of \('tiny', .*\) of zorro_vit. Received: .*'audioset'",
        ),
        (CONFIGS["tiny"].model, {"num_latents": 3}, "left at None: it is a setting of zorro_hip"),
        (CONFIGS["perceiver_tiny"].model, {"variant": "tiny"}, "of perceiver_io. Received: variant='tiny'"),
        (
            CONFIGS["perceiver_tiny"].model,
            {"routing": "late"},
            "left at 'zorro': it is a setting of zorro_vit",
        ),
        (
            CONFIGS["swin_tiny"].model,
            {"num_layers": 2},
            "a sequence, such as 2,2, of zorro_swin. Received: num_layers=2",
        ),
        (
            CONFIGS["swin_tiny"].model,
            {"hidden_dim": (6, 7)},
            r"one number, of zorro_swin. Received: .*\(6, 7\)",
        ),
        (
            CONFIGS["swin_tiny"].model,
            {"routing": "early"},
            '"zorro" or "late" of zorro_swin. Received: .*early',
        ),
        (CONFIGS["swin_tiny"].model, {"waveform_patch": 128}, "must be None of zorro_swin. Received: .*128"),
        (
            CONFIGS["swin_small"].model,
            {"video_patch": (1, 16, 16)},
            r"\(2, 4, 4\) of a zorro_swin without sizes of its own.*Received: .*\(1, 16, 16\)",
        ),
        (CONFIGS["swin_tiny"].model, {"dropout_rate": 0.1}, "left at 0.0: it is a setting of zorro_vit"),
        (
            CONFIGS["hip_tiny"].model,
            {"num_groups": (3, 0)},
            r"`num_groups` .* at least 1. Received: .*\(3, 0\)",
        ),
        (CONFIGS["hip_tiny"].model, {"num_fusion_tokens": 3}, "left at 16: it is a setting of zorro_vit"),
        (CONFIGS["tiny"].model, {"num_heads": (2, 2)}, r"one number, of zorro_vit. Received: .*\(2, 2\)"),
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


def test_a_waveform_is_asked_for_by_one_setting_and_must_be_divided():
    config = apply_overrides(CONFIGS["tiny"], ["model.waveform_patch=128"])
    assert described_streams(config)["audio"] == streams.Waveform(40_960, (128,))
    with pytest.raises(
        ConfigError, match=r"`waveform_patch` must be 1 positive sizes that divide \(40960,\)"
    ):
        apply_overrides(CONFIGS["tiny"], ["model.waveform_patch=127"])


def test_one_rate_or_one_for_each_stream_can_be_set():
    def rates(text):
        setting = f"data.augmentation.modality_dropout_rate={text}"
        return apply_overrides(CONFIGS["tiny"], [setting]).data.augmentation.dropout_rates

    assert rates("0.2") == {"audio": 0.2, "video": 0.2}
    assert rates("0.1,0.3") == {"audio": 0.1, "video": 0.3}


def test_streams_may_be_read_alone():
    assert DataConfig(geometry=CONFIGS["tiny"].data.geometry, streams=("video",)).streams == ("video",)
