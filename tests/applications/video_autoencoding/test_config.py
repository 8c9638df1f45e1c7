"""Configurations: the recipes are the published ones, and nonsense is refused by name."""

import dataclasses

import pytest

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import apply_overrides, from_json, to_json
from zorro_keras.applications.video_autoencoding.config import CONFIGS, Config, ModelConfig
from zorro_keras.applications.video_autoencoding.model import build_model
from zorro_keras.models.perceiver_io_variants import VARIANTS

PAPER = [name for name in CONFIGS if name.startswith("paper")]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_recipe_survives_json(name):
    assert from_json(Config, to_json(CONFIGS[name])) == CONFIGS[name]


@pytest.mark.parametrize("name", PAPER)
def test_the_recipes_are_the_papers(name):
    config = CONFIGS[name]
    clip, model, sizes = config.data.geometry, config.model, VARIANTS["autoencoder"][1]
    assert (clip.num_samples, clip.num_frames / clip.seconds) == (30_720, 25.0)
    shape = {"num_frames": clip.num_frames, "size_px": (clip.height_px, clip.width_px)}
    shape |= {"num_samples": clip.num_samples, "video_patch": model.video_patch}
    assert shape == {key: sizes[key] for key in shape}  # the clip is the variant's own
    assert config.data.points == {"audio": 512, "image": 512}
    assert config.num_points == {"audio": 1920, "image": 802_816}
    assert (config.training.batch_size, config.training.learning_rate) == (1024, 1e-3)
    assert (model.label_mask_rate, model.reconstruction_loss) == (0.5, "absolute")
    label = 1.0 if name == "paper_classify" else 1e-4
    assert model.loss_weights == {"audio": 1.0, "image": 0.03, "label": label}
    others = {key: size for key, size in model.sizes().items() if key != "num_latents"}
    assert others == {key: sizes[key] for key in others}


def test_the_three_compressions_are_the_papers():
    # 50,657 elements of 704 channels over so many latents of 512: arXiv 2107.14795, Table 4.
    ratios = {name: 50_657 * 704 / (CONFIGS[name].model.num_latents * 512) for name in PAPER[:3]}
    assert {name: f"paper_{int(ratio / 4) * 4}x" for name, ratio in ratios.items()} == {
        "paper_88x": "paper_88x", "paper_176x": "paper_176x", "paper_352x": "paper_352x",
    }  # fmt: skip


def test_how_a_query_reads_the_latents_can_be_set():
    published = ModelConfig().sizes()
    assert published == {"num_latents": 784, "samples_per_patch": 16}  # one head, and without the query
    names = ["reader"]
    model = build_model(CONFIGS["tiny"], names)
    assert (model.backbone.decoder.num_heads, model.backbone.decoder.query_residual) == (8, True)
    settings = ["model.num_decoder_heads=none", "model.query_residual=none"]
    model = build_model(apply_overrides(CONFIGS["tiny"], settings), names)
    assert (model.backbone.decoder.num_heads, model.backbone.decoder.query_residual) == (1, False)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.zoom=(0.5,1.0)", "`zoom` must be two numbers"),
        ("data.flip_rate=1.5", r"`flip_rate` must be within \[0, 1\]"),
        ("data.image_points=0", "`image_points` must be at least 1"),
        ("data.image_points=99999", r"`image_points` must be at most the \d+ of a clip"),
        ("data.audio_points=99999", r"`audio_points` must be at most the \d+ of a clip"),
        ("data.baseline_clips=0", "`baseline_clips` must be at least 1"),
        ("data.num_workers=0", "`num_workers` must be at least 1"),
        ("model.video_patch=(1,5,4)", "`video_patch` must be 3 positive sizes that divide"),
        ("model.samples_per_patch=7", "`samples_per_patch` must be a divisor of"),
        ("model.num_latents=0", "`num_latents` must be at least 1"),
        ("model.label_mask_rate=1.1", r"`label_mask_rate` must be within \[0, 1\]"),
        ("model.reconstruction_loss=huber", r"must be Literal\[.absolute., .squared.\]"),
        ("model.label_loss_weight=-1", "`label_loss_weight` must be at least 0"),
        ("model.dropout_rate=1.0", r"`dropout_rate` must be within \[0, 1\)"),
        ("model.points_per_chunk=0", "`points_per_chunk` must be at least 1"),
    ],
)
def test_nonsense_is_refused_by_name(setting, message):
    with pytest.raises(ConfigError, match=message):
        apply_overrides(CONFIGS["tiny"], [setting])


def test_a_configuration_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONFIGS["tiny"].model.num_latents = 3
