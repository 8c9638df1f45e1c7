"""Swin and Video Swin: sizes, any input, saving and training."""

import functools

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from zorro_keras import streams as zs
from zorro_keras.models import SwinBackbone, ZorroSwinBackbone

IMAGE = {"image": zs.Image(height_px=20, width_px=28, patch=(2, 4))}  # a grid of 10 x 7
VIDEO = {"video": zs.Video(frames=6, height_px=10, width_px=14, patch=(2, 2, 2))}  # 3 x 5 x 7
SOUND = {"audio": zs.Spectrogram(frames=14, bins=10, patch=(2, 2))}  # 7 x 5
SIZES = {"num_layers": (2, 1), "num_heads": (2, 3), "hidden_dim": 6, "mlp_ratio": 2}
WINDOW = {"image": (3, 2), "video": (2, 3, 2), "audio": (3, 2)}


def build(streams=IMAGE, **overrides):
    (name,) = streams
    return SwinBackbone(streams, **{**SIZES, "window": WINDOW[name], **overrides})


@functools.cache
def model():
    return build()


def given(streams=IMAGE, batch=2, seed=0, shape=None):
    ((name, stream),) = streams.items()
    return {
        name: np.random.default_rng(seed).normal(size=(batch, *(shape or stream.shape))).astype("float32")
    }


def run(backbone, inputs):
    """Returns the outputs of a compiled call; the weights are those of the first one."""
    return {name: array(output) for name, output in compiled_call(backbone)(inputs).items()}


@functools.cache
def compiled_call(backbone):
    return compiled(lambda inputs: backbone(inputs))


@pytest.mark.parametrize("streams, grid", [(IMAGE, (5, 4)), (VIDEO, (3, 3, 4)), (SOUND, (4, 3))])
def test_a_grid_is_halved_in_space_and_keeps_its_time(streams, grid):
    outputs = run(build(streams), given(streams))
    assert {name: output.shape for name, output in outputs.items()} == {
        "grid": (2, *grid, 12),
        "pooled": (2, 12),
    }
    assert np.isfinite(outputs["grid"]).all() and outputs["grid"].std() > 0.1
    np.testing.assert_allclose(outputs["pooled"], outputs["grid"].reshape(2, -1, 12).mean(axis=1), atol=1e-5)


def test_every_other_block_is_shifted_and_skips_more_often():
    deep = build(num_layers=(2, 3), stochastic_depth_rate=0.4)
    blocks = [block for stage in deep.trunk.stages for block in stage]
    assert [block.shifted for block in blocks] == [False, True, False, True, False]
    assert [block.stochastic_depth_rate for block in blocks] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    seeds = [layer.seed for layer in deep._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
    assert len(seeds) == 2 * 4 and len(set(seeds)) == len(seeds)


def test_the_same_weights_read_any_size_also_one_that_patches_do_not_divide():
    large = {"image": zs.Image(height_px=14, width_px=20, patch=(2, 4))}
    other = build(large)
    other.set_weights(model().get_weights())
    inputs = given(large)
    expected = run(other, inputs)
    found = run(model(), inputs)
    np.testing.assert_allclose(found["grid"], expected["grid"], atol=1e-6)
    odd = {"image": inputs["image"][:, :13, :18]}
    filled = {"image": np.pad(odd["image"], [(0, 0), (0, 1), (0, 2), (0, 0)])}
    np.testing.assert_allclose(run(model(), odd)["grid"], run(model(), filled)["grid"], atol=1e-6)


def test_what_fills_up_a_grid_changes_what_is_read_only_if_asked_for():
    official = build(read_padding=True)
    official.set_weights(model().get_weights())
    ours, theirs = run(model(), given())["grid"], run(official, given())["grid"]
    assert np.abs(ours - theirs).max() > 1e-4
    dividing = given(shape=(12, 16, 3))  # 6 x 4, then 3 x 2: whole windows in both stages
    np.testing.assert_allclose(run(model(), dividing)["grid"], run(official, dividing)["grid"], atol=1e-6)


def test_half_precision_is_near():
    half = build(dtype="mixed_bfloat16")
    half.set_weights(model().get_weights())
    expected, found = run(model(), given()), run(half, given())
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=2.0**-4 * np.abs(expected[name]).max())


@pytest.mark.slow
def test_training_moves_every_weight():
    trained = build(VIDEO, remat=True, stochastic_depth_rate=0.1)
    whole = keras.Model(trained.input, keras.layers.Dense(1)(trained(trained.input)["pooled"]))
    whole.compile("sgd", "mse")
    before = {weight.path: array(weight) for weight in trained.trainable_weights}
    whole.fit(given(VIDEO, batch=4), np.ones((4, 1)), verbose=0)
    still = {w.path for w in trained.trainable_weights if (array(w) == before[w.path]).all()}
    # A key's bias shifts all logits of a query alike.
    assert {path for path in still if not path.endswith("key/bias")} == set()


def test_no_layer_is_left_unbuilt():
    assert [layer.name for layer in model()._flatten_layers() if not layer.built] == []


def test_a_saved_model_and_a_preset_give_the_same(tmp_path):
    expected = run(model(), given())
    model().save(tmp_path / "swin.keras")
    model().save_to_preset(str(tmp_path / "preset"))
    loaded = keras.models.load_model(tmp_path / "swin.keras")
    preset = SwinBackbone.from_preset(str(tmp_path / "preset"))
    assert preset.get_config() == model().get_config() and preset.streams == IMAGE
    for again in (loaded, preset):
        np.testing.assert_allclose(run(again, given())["grid"], expected["grid"], atol=1e-6)


def test_the_config_rebuilds_the_model():
    config = build(VIDEO, read_padding=True, slice_index=True, seed=3).get_config()
    assert SwinBackbone.from_config(config).get_config() == config


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"streams": {**IMAGE, **VIDEO}, "window": (3, 2)}, "`streams` must name one stream"),
        ({"streams": {"image": zs.Tokens(5, 7)}}, "cut along two or three axes"),
        ({"window": (2, 3, 2)}, r"for each of the 2 cut axes\. Received: window=\(2, 3, 2\)"),
        ({"num_layers": (2, 1, 1)}, r"for each stage.*num_layers=\(2, 1, 1\), num_heads=\(2, 3\)"),
        ({"num_layers": (2, 0)}, r"a positive number.*num_layers=\(2, 0\)"),
        ({"num_heads": (2, 5)}, r"`num_heads` divide the channels.*num_heads=5"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SwinBackbone(**{"streams": IMAGE, **SIZES, "window": (3, 2), **arguments})


@pytest.mark.parametrize(
    "inputs, message",
    [
        (
            {"image": np.zeros((2, 20, 28, 4))},
            r"beyond the first 2 of them the sizes \(3,\). Received: \(2, 20",
        ),
        ({"image": np.zeros((2, 20, 28))}, "must have 3 axes after the batch"),
        ({**given(), "presence": {"image": np.array([True, False])}}, "without masks or positions"),
        ({"imgae": np.zeros((2, 20, 28, 3))}, "Did you mean 'image' for 'imgae'"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs, message):
    with pytest.raises(ValueError, match=message):
        model()(inputs)


def test_a_stream_with_a_name_that_means_something_else_is_refused():
    with pytest.raises(ValueError, match=r"`streams` must name none of .* Received: \['presence'\]"):
        SwinBackbone({"presence": IMAGE["image"]}, **SIZES)


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="`variant` must be one of .*'large'.*Received: variant='huge'"):
        SwinBackbone.from_variant("huge", IMAGE)


@pytest.mark.parametrize(
    "streams, patch",
    [
        ({"image": zs.Image(32, 64)}, r"\(4, 4\) for the size 'tiny'.*Received: patch=\(16, 16\)"),
        ({"video": zs.Video(2, 32, 64)}, r"\(2, 4, 4\).*Received: patch=\(1, 16, 16\)"),
    ],
)
def test_a_published_size_with_the_patches_of_a_vit_is_refused(streams, patch):
    for kind in (SwinBackbone, ZorroSwinBackbone):
        with pytest.raises(ValueError, match=patch):
            kind.from_variant("tiny", streams, stochastic_depth_rate=0.1)


def test_with_sizes_of_ones_own_every_patch_is_free():
    made = SwinBackbone.from_variant("tiny", IMAGE, **SIZES, window=(3, 2))
    assert made.streams == IMAGE and made.hidden_dim == 6
