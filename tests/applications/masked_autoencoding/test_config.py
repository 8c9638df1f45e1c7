"""Configurations: the recipe is the published one, and nonsense is refused by name."""

import pytest

from tests.without_numbers import without_numbers
from zorro_keras.applications.masked_autoencoding.config import CONFIGS, Config
from zorro_keras.applications.masked_autoencoding.model import build_backbone
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import apply_overrides, from_json, to_json
from zorro_keras.models.hip_variants import VARIANTS


@pytest.mark.parametrize("name", CONFIGS)
def test_every_recipe_survives_json(name):
    assert from_json(Config, to_json(CONFIGS[name])) == CONFIGS[name]


def test_hip_256_is_the_papers():
    backbone = without_numbers(build_backbone, CONFIGS["hip_256"])
    elements = {name: (stream.num_tokens, stream.grid) for name, stream in backbone.streams.items()}
    assert elements == {"video": (401_408, (8, 224, 224)), "audio": (122_880, (122_880,))}
    layout = backbone.parts.layout(backbone.streams)
    assert layout.groups == {"video": 196, "audio": 60} and layout.group_length == 2048
    mask_rate = CONFIGS["hip_256"].model.mask_rate
    assert (mask_rate, backbone.embed_dim) == (0.85, VARIANTS["256"]["embed_dim"])
    assert backbone.levels == VARIANTS["256"]["levels"]
    assert backbone.decoder_levels == VARIANTS["256"]["decoder_levels"]


def test_every_frame_of_tiny_is_a_group_and_no_group_mixes_streams():
    backbone = without_numbers(build_backbone, CONFIGS["tiny"])
    layout, frames = backbone.parts.layout(backbone.streams), CONFIGS["tiny"].data.geometry.num_frames
    assert layout.groups["video"] == frames and not any(layout.padding.values())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.zoom=(0.5,1.0)", "`zoom` must be two numbers"),
        ("data.flip_rate=1.5", r"`flip_rate` must be within \[0, 1\]"),
        ("data.baseline_clips=0", "`baseline_clips` must be at least 1"),
        ("model.video_patch=(1,5,4)", "`video_patch` must be 3 positive sizes that divide"),
        ("model.samples_per_patch=7", "`samples_per_patch` must be a divisor of"),
        ("model.mask_rate=1.0", r"`mask_rate` must be within \(0, 1\)"),
        ("model.pixel_std=0.0", "`pixel_std` must be positive"),
        ("model.embed_dim=0", "`embed_dim` must be None or at least 1"),
        ("model.dropout_rate=1.0", r"`dropout_rate` must be within \[0, 1\)"),
        ("model.num_layers=(1,1)", "`num_layers` must be a sequence of positive numbers, as long as num_gro"),
        ("model.num_heads=none", "`num_heads` must be a sequence of positive numbers, as long as num_gro"),
        ("model.num_heads=(1,0,1)", "`num_heads` must be a sequence of positive numbers"),
        ("model.num_groups=(10,2,10)", "`num_groups` must be 1 in the middle"),
        ("model.num_groups=(10,1,5)", "`num_groups` must be the same up to the middle and down again"),
        ("model.num_latents=(16,81,16)", "`num_latents` must be such that 1 x 81 divide into 10 groups"),
    ],
)
def test_nonsense_is_refused_by_name(setting, message):
    with pytest.raises(ConfigError, match=message):
        apply_overrides(CONFIGS["tiny"], [setting])
