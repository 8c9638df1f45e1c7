"""With a decay, the learning rate shrinks block by block towards the inputs."""

import keras
import numpy as np
import pytest

from tests.applications.audio_visual_classification.test_every_zorro import KINDS, NAMES, config
from tests.backend import array
from zorro_keras.applications.audio_visual_classification import AudioVisualClassifier, build_model
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.layer_decay import learning_rate_scales
from zorro_keras.applications.training.optimizer import build_optimizer
from zorro_keras.models import PerceiverIOBackbone, ZorroViTBackbone
from zorro_keras.streams import Spectrogram, Video

STREAMS = {"audio": Spectrogram(8, 4, patch=(4, 4)), "video": Video(2, 4, 4, patch=(1, 4, 4))}


def scales_by_path(model, decay=0.5):
    scales = learning_rate_scales(model, decay)
    assert len(scales) == len(model.trainable_variables)
    return {
        variable.path.removeprefix(model.name + "/"): scale
        for variable, scale in zip(model.trainable_variables, scales, strict=True)
    }


def of(scales, *words):
    found = {scale for path, scale in scales.items() if any(word in path for word in words)}
    assert found, words
    return found


def vit(num_layers=3):
    sizes = {"num_layers": num_layers, "num_heads": 2, "hidden_dim": 6, "mlp_dim": 7}
    return AudioVisualClassifier(ZorroViTBackbone(STREAMS, **sizes), 3)


def test_each_block_of_a_vit_learns_at_half_the_rate_of_the_next():
    scales = scales_by_path(vit())
    assert of(scales, "tokenizer", "fusion_tokens", "fusion_positions") == {1 / 16}
    assert [of(scales, f"block_{place}/") for place in range(3)] == [{1 / 8}, {1 / 4}, {1 / 2}]
    assert of(scales, "readout", "logits") == {1.0}


def test_blocks_of_all_trunks_of_a_swin_at_one_place_are_equally_deep():
    scales = scales_by_path(build_model(config("zorro_swin"), NAMES))  # two blocks, a merging, one block
    assert of(scales, "stem") == {1 / 16} == of(scales, "fusion_tokens")
    assert of(scales, "stage_0_block_0") == {1 / 8} and of(scales, "stage_0_block_1") == {1 / 4}
    assert of(scales, "stage_1_block_0", "merging", "fusion_widening") == {1 / 2}
    assert of(scales, "logits", "readout") == {1.0}


def test_levels_of_a_hip_follow_each_other():
    scales = scales_by_path(build_model(config("zorro_hip"), NAMES))  # two levels of one block
    assert sorted(set(scales.values())) == [1 / 8, 1 / 4, 1 / 2, 1.0]
    assert of(scales, "logits", "readout") == {1.0}


def test_a_perceiver_reads_before_its_blocks():
    backbone = PerceiverIOBackbone.from_variant("starcraft_units", num_layers=2)
    scales = scales_by_path(backbone)
    assert of(scales, "encoder/block_0/") == {1 / 4} and of(scales, "encoder/block_1/") == {1 / 2}
    assert of(scales, "encoder/cross_attention") == {1 / 8} and of(scales, "encoder/latents") == {1 / 16}
    assert of(scales, "decoder") == {1.0}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_variable_of_a_backbone_before_its_readout_has_a_depth(kind):
    scales = scales_by_path(build_model(config(kind), NAMES))
    last = {path for path, scale in scales.items() if scale == 1.0}
    assert all(any(word in path for word in ("logits", "readout", "norm")) for path in last), last


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "lamb"])
def test_steps_and_decay_are_scaled(optimizer):
    def moved(layer_decay):
        keras.utils.set_random_seed(1)
        model = vit(num_layers=1)
        settings = {
            "optimizer": optimizer,
            "layer_decay": layer_decay,
            "weight_decay": 0.5,
            "warmup_steps": 0,
        }
        training = TrainingConfig(clip_norm=None, learning_rate=0.01, **settings)
        model.compile(build_optimizer(model, training, total_steps=1000))
        before = {
            weight.path.removeprefix(model.name + "/"): array(weight).copy() for weight in model.weights
        }
        x = {name: np.ones((2, *stream.shape), "float32") for name, stream in STREAMS.items()}
        keras.Model.train_on_batch(model, x, np.array([0, 1]))
        return {
            path: array(weight) - old
            for (path, old), weight in zip(before.items(), model.weights, strict=True)
        }

    whole, scaled = moved(1.0), moved(0.5)
    factors = {"audio_tokenizer/embedding/kernel": 0.25, "block_0/mlp/hidden/kernel": 0.5}
    for end, factor in {**factors, "audio_logits/kernel": 1.0}.items():
        (path,) = (path for path in whole if path.endswith(end))
        assert np.abs(whole[path]).max() > 1e-3
        np.testing.assert_allclose(scaled[path], factor * whole[path], rtol=1e-4, atol=1e-7)


def test_a_model_of_unknown_blocks_says_so():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ConfigError, match="`training.layer_decay` must be 1 for .* Received: a Sequential"):
        learning_rate_scales(model, 0.5)
    with pytest.raises(ConfigError, match=r"`layer_decay` must be within \(0, 1\]"):
        TrainingConfig(layer_decay=0.0)
