"""A further stream joins a trained Zorro and leaves what it says of the others as it was, to the bit."""

import keras
import numpy as np
import pytest

from tests.backend import array
from tests.models.test_zorro_backbones import BACKBONES, STREAMS, build, clips
from zorro_keras import streams as zs
from zorro_keras.applications.audio_visual_classification import AudioVisualClassifier
from zorro_keras.models import ZorroViTBackbone, extended
from zorro_keras.routing import Routing

DEPTH = {"depth": zs.Image(height_px=6, width_px=4, channels=2, patch=(2, 2))}  # 3 x 2 tokens
ALL = {**STREAMS, **DEPTH}


@pytest.fixture(params=BACKBONES)
def kind(request):
    return request.param


def trained(kind):
    """Returns a backbone none of whose weights is as it was made."""
    backbone, random = build(kind), np.random.default_rng(3)
    for weight in backbone.weights:
        weight.assign(array(weight) + random.normal(0, 0.05, weight.shape))
    return backbone


def run(backbone, inputs):
    """Weights are arguments of the program: where XLA folds them into it, it rounds in another way."""
    return backbone.predict(inputs, verbose=0)


@pytest.mark.slow
def test_outputs_of_the_old_streams_do_not_change_by_a_bit(kind):
    old = trained(kind)
    new = extended(old, DEPTH)
    before, after = run(old, clips()), run(new, clips())
    assert set(after) == set(before)
    for name in STREAMS:
        np.testing.assert_array_equal(after[name], before[name])
    old_of_all = run(old, {name: clips(streams=ALL)[name] for name in STREAMS})
    together = run(new, clips(streams=ALL))
    for name in STREAMS:  # in a longer sequence to rounding, as always
        np.testing.assert_allclose(together[name], old_of_all[name], atol=1e-5)


@pytest.mark.slow
def test_fusion_reads_the_new_stream_and_no_old_stream_does(kind):
    new = extended(trained(kind), DEPTH)
    before = run(new, clips(streams=ALL))
    after = run(new, {**clips(streams=ALL), "depth": clips(seed=1, streams=ALL)["depth"]})
    for name, output in before.items():
        assert (after[name] == output).all() == (name in STREAMS), name
    assert new.routing.pure == ("audio", "video", "depth")
    assert set(run(new, {"depth": clips(streams=ALL)["depth"]})) == {"depth", "fusion", "global"}


@pytest.mark.slow
def test_fusion_of_the_old_streams_is_what_it_was(kind):
    old = trained(kind)
    before, after = run(old, clips()), run(extended(old, DEPTH), clips())
    for name in ("fusion", "global"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-5)


@pytest.mark.slow
def test_training_what_is_new_alone_moves_nothing_old(kind):
    old = trained(kind)
    new = extended(old, DEPTH, freeze=True)
    assert new.trainable_variables
    task = AudioVisualClassifier(new, 2)
    task.compile(keras.optimizers.SGD(0.5))
    depth = clips(streams=ALL)["depth"]
    before = run(new, {"depth": depth})["depth"]
    keras.Model.train_on_batch(task, clips(streams=ALL), np.array([0, 1]))
    for name, output in run(old, clips()).items():
        if name in STREAMS:
            np.testing.assert_array_equal(run(new, clips())[name], output)
    assert (run(new, {"depth": depth})["depth"] != before).any()


def test_a_routing_of_ones_own_may_let_the_new_stream_read():
    reads = {"audio": ["audio"], "video": ["video"], "depth": ["depth", "video"]}
    routing = Routing({**reads, "fusion": [*reads, "fusion"]}, pure=["audio", "video"])
    new = extended(trained("vit"), DEPTH, routing)
    assert new.dependents("video") == {"video", "depth", "fusion", "global"}


def test_a_name_that_is_taken_is_refused():
    for name in ("audio", "fusion", "global"):
        with pytest.raises(ValueError, match=f"names that are not taken. Received: \\['{name}'\\]"):
            extended(build("vit"), {name: DEPTH["depth"]})


@pytest.mark.slow
def test_an_extended_model_survives_a_preset(kind, tmp_path):
    new = extended(trained(kind), DEPTH)
    new.save_to_preset(str(tmp_path))
    loaded = type(new).from_preset(str(tmp_path))
    for name, output in run(new, clips(streams=ALL)).items():
        np.testing.assert_allclose(run(loaded, clips(streams=ALL))[name], output, atol=1e-6)


def test_old_streams_that_would_read_something_else_are_refused():
    reads = {"audio": ["audio", "depth"], "video": ["video"], "depth": ["depth"]}
    routing = Routing({**reads, "fusion": [*reads, "fusion"]})
    with pytest.raises(ValueError, match="must let .*'audio', 'video'.* read what they have read"):
        extended(build("vit"), DEPTH, routing)


def test_a_routing_without_an_old_stream_is_refused():
    with pytest.raises(ValueError, match="must let .*'audio', 'video'.* read what they have read"):
        extended(build("vit", num_layers=1), DEPTH, Routing.zorro(["audio", "depth"]))
    with pytest.raises(ValueError, match="`routing` must be a `Routing`"):
        extended(build("vit", num_layers=1), DEPTH, {"audio": ["audio"]})


@pytest.mark.parametrize("changes", [{"mlp_dim": 9}, {"num_layers": 3}, {"readout_mlp": True}])
def test_changes_to_what_is_trained_are_refused(changes):
    with pytest.raises(ValueError, match="`changes` must leave "):
        extended(build("vit"), DEPTH, **changes)


def test_what_is_learned_in_lora_weights_goes_on_once_it_is_in_the_kernels(tmp_path):
    old = build("vit", num_layers=1)
    for layer in old._flatten_layers():
        if isinstance(layer, keras.layers.Dense):
            layer.enable_lora(2)
            layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))
    for copy in (lambda: extended(old, DEPTH), lambda: old.resized(STREAMS)):
        with pytest.raises(ValueError, match=r"must have its LoRA .* LoRA in .*'block_0/mlp"):
            copy()
    old.save(tmp_path / "old.keras")
    new = extended(keras.saving.load_model(tmp_path / "old.keras"), DEPTH)
    np.testing.assert_allclose(run(new, clips())["audio"], run(old, clips())["audio"], atol=1e-5)


def test_a_zorro_of_ones_own_is_extended():
    class Own(ZorroViTBackbone):
        pass

    assert isinstance(extended(build("vit", num_layers=1), DEPTH), ZorroViTBackbone)
    own = Own(STREAMS, num_layers=1, num_heads=2, hidden_dim=14, mlp_dim=22)
    assert isinstance(extended(own, DEPTH), Own)
    with pytest.raises(ValueError, match="`backbone` must be one of .*'ZorroViTBackbone'"):
        extended(keras.Sequential(), DEPTH)


def frozen(backbone):
    return {weight.path for weight in backbone.weights} - {w.path for w in backbone.trainable_weights}


def test_copies_leave_alone_what_was_not_trainable(kind):
    once = extended(build(kind), DEPTH, freeze=True)
    twice = extended(once, {"touch": zs.Spectrogram(frames=4, bins=3, patch=(2, 3))})
    assert frozen(once) and frozen(twice) == frozen(once)


def test_further_streams_of_a_frozen_zorro_are_trainable():
    old = build("vit", num_layers=1)
    old.trainable = False
    new = extended(old, DEPTH)
    assert new.trainable_weights and {w.path for w in old.weights} == frozen(new)
    assert not old.resized(STREAMS).trainable_weights


def test_a_resized_zorro_leaves_alone_what_was_not_trainable():
    old = build("vit", num_layers=1)
    old.get_layer("block_0").trainable = False
    assert frozen(old.resized(STREAMS)) == frozen(old) != set()
