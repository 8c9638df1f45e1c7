import functools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backend import array, compiled, gradients
from zorro_keras import streams as zs
from zorro_keras.models import ZorroViTBackbone
from zorro_keras.routing import Routing

STREAMS = {
    "audio": zs.Spectrogram(frames=6, bins=10, patch=(3, 5)),  # 4 tokens
    "video": zs.Video(frames=4, height_px=6, width_px=10, patch=(2, 3, 5)),  # 8 tokens
}
SIZES = {"num_layers": 2, "num_heads": 2, "hidden_dim": 14, "mlp_dim": 22, "num_fusion_tokens": 3}


def build(streams=STREAMS, **overrides):
    return ZorroViTBackbone(streams, **{**SIZES, **overrides})


@functools.cache
def model():
    return build()


def clips(batch=2, seed=0, streams=STREAMS):
    random = np.random.default_rng(seed)
    return {
        name: random.integers(0, stream.vocabulary_size, (batch, *stream.shape))
        if isinstance(stream, zs.Tokens)
        else random.normal(size=(batch, *stream.shape)).astype("float32")
        for name, stream in streams.items()
    }


def run(backbone, inputs):
    """Returns the outputs of a compiled call; the weights are those of the first one."""
    return arrays(compiled_call(backbone)(inputs))


@functools.cache
def compiled_call(backbone):
    return compiled(lambda inputs: backbone(inputs))


def arrays(outputs):
    return {name: array(output) for name, output in outputs.items()}


# === Who may change what ===


@pytest.mark.parametrize("changed, pure, moving", [("video", "audio", "video"), ("audio", "video", "audio")])
def test_a_modality_never_reaches_the_other_but_reaches_fusion(changed, pure, moving):
    before = run(model(), clips())
    after = run(model(), {**clips(), changed: clips(seed=1)[changed]})
    assert (after[pure] == before[pure]).all()
    for name in (moving, "fusion", "global"):
        assert (after[name] != before[name]).any()


@pytest.mark.parametrize("poison", [np.inf, -np.inf, np.nan, 3e38])
def test_poison_in_the_video_leaves_the_audio_bit_identical(poison):
    before, inputs = run(model(), clips()), clips()
    inputs["video"][:, 0, 0, 0] = poison
    after = run(model(), inputs)
    assert (after["audio"] == before["audio"]).all()
    assert not (after["fusion"] == before["fusion"]).any()


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16"])
def test_isolation_holds_in_half_precision(dtype):
    half = build(dtype=dtype)
    before, after = run(half, clips()), run(half, {**clips(), "video": clips(seed=1)["video"]})
    assert (after["audio"] == before["audio"]).all()
    assert (after["fusion"] != before["fusion"]).any()


def test_gradients_across_modalities_are_exactly_zero():
    def audio_output(audio, video):
        return keras.ops.sum(model()({"audio": audio, "video": video})["audio"] ** 2)

    def fusion_output(audio, video):
        return keras.ops.sum(model()({"audio": audio, "video": video})["fusion"] ** 2)

    to_audio, to_video = gradients(audio_output, *clips().values())
    assert (to_video == 0).all() and (to_audio != 0).any()
    to_audio, to_video = gradients(fusion_output, *clips().values())
    assert (to_video != 0).any() and (to_audio != 0).any()


@settings(max_examples=5)
@given(st.data())
def test_outputs_change_exactly_as_the_routing_says(data):
    names = ["audio", "video", "fusion"]
    subsets = st.lists(st.sampled_from(names), min_size=1, unique=True)
    routing = Routing({name: sorted({name, *data.draw(subsets)}) for name in names})
    routed = build(routing=routing, num_layers=3)
    before, after = run(routed, clips()), run(routed, {**clips(), "video": clips(seed=1)["video"]})
    moved = {name for name in before if (before[name] != after[name]).any()}
    assert moved == routed.dependents("video")


def test_isolation_survives_saving_and_loading(tmp_path):
    model().save(tmp_path / "zorro.keras")
    loaded = keras.models.load_model(tmp_path / "zorro.keras")
    before, after = run(loaded, clips()), run(loaded, {**clips(), "video": clips(seed=1)["video"]})
    assert (after["audio"] == before["audio"]).all() and (after["fusion"] != before["fusion"]).any()
    np.testing.assert_allclose(before["fusion"], run(model(), clips())["fusion"], atol=1e-6)


# === Any subset ===


@pytest.mark.parametrize("given_streams", [["audio"], ["video"]])
def test_a_unimodal_call_equals_the_joint_calls_unimodal_output(given_streams):
    joint = run(model(), clips())
    alone = run(model(), {name: clips()[name] for name in given_streams})
    assert set(alone) == {*given_streams, "fusion", "global"}
    for name in given_streams:
        scale = np.abs(joint[name]).max()
        np.testing.assert_allclose(alone[name] / scale, joint[name] / scale, atol=1e-6)


def test_a_stream_of_none_is_a_stream_left_out():
    with_none = run(model(), {**clips(), "video": None})
    without = run(model(), {"audio": clips()["audio"]})
    assert set(with_none) == set(without)
    assert (with_none["fusion"] == without["fusion"]).all()


def test_one_batch_may_mix_examples_with_and_without_a_stream():
    inputs = clips(batch=3)
    inputs["video"][1] = np.nan  # where a stream is absent its array may hold anything
    mixed = run(model(), {**inputs, "presence": {"video": np.array([True, False, True])}})
    whole = run(model(), clips(batch=3))
    alone = run(model(), {"audio": inputs["audio"][1:2]})
    for name in ("audio", "fusion", "global"):
        np.testing.assert_allclose(mixed[name][1], alone[name][0], atol=1e-5)
        np.testing.assert_allclose(mixed[name][[0, 2]], whole[name][[0, 2]], atol=1e-5)
    assert (mixed["video"][1] == 0).all() and (mixed["video"][0] != 0).any()


def test_an_example_without_any_stream_is_finite():
    absent = {"audio": np.array([False, True]), "video": np.array([False, True])}
    outputs = run(model(), {**clips(), "presence": absent})
    assert all(np.isfinite(output).all() for output in outputs.values())
    assert (outputs["audio"][0] == 0).all() and (outputs["audio"][1] != 0).any()


def test_padded_tokens_may_hold_anything():
    streams = {"text": zs.Embeddings(length=5, features=3), "audio": STREAMS["audio"]}
    padded, inputs = build(streams), clips(streams=streams)
    mask = {"text": np.array([[True, True, True, False, False]] * 2)}
    before = run(padded, {**inputs, "padding_mask": mask})
    inputs["text"][:, 3:] = np.nan
    after = run(padded, {**inputs, "padding_mask": mask})
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])
    inputs["text"][:, 3:] = 1.0
    assert (run(padded, inputs)["text"] != before["text"]).any()


@pytest.mark.parametrize("wrong, message", [
    ({"vidoe": 0}, r"may name .* Did you mean 'video' for 'vidoe'\? Received: unknown \['vidoe'\]"),
    ({}, "At least one of the streams"),
    ({"audio": np.zeros((2, 6, 11))}, r"must have the shape \(batch, 6, 10\). Received: \(2, 6, 11\)"),
    (np.zeros((2, 6, 10)), "takes a dict"),
])  # fmt: skip
def test_wrong_inputs_are_explained(wrong, message):
    if isinstance(wrong, dict) and "vidoe" in wrong:
        wrong = {**clips(), "vidoe": np.zeros((2, 3))}
    with pytest.raises(ValueError, match=message):
        model()(wrong)


# === fit, evaluate, predict ===


def test_predict_answers_to_any_subset():
    joint = model().predict(clips(), verbose=0)
    audio = model().predict({"audio": clips()["audio"]}, verbose=0)
    assert set(joint) == {"audio", "video", "fusion", "global"} and set(audio) == {
        "audio",
        "fusion",
        "global",
    }
    np.testing.assert_allclose(audio["audio"], joint["audio"], atol=1e-6)


def test_no_layer_is_left_unbuilt():
    # On JAX one unbuilt layer makes every `predict` run the whole model eagerly first.
    assert [layer.name for layer in model()._flatten_layers() if not layer.built] == []


@pytest.mark.parametrize("remat", [False, True])
def test_training_moves_every_weight_that_its_streams_use(remat):
    trained = build(remat=remat, stochastic_depth_rate=0.2, dropout_rate=0.1)
    head = keras.layers.Dense(1)
    outputs = trained(trained.input)
    whole = keras.Model(trained.input, head(outputs["global"]))
    whole.compile("sgd", "mse")
    before = {w.path: array(w) for w in trained.trainable_weights}
    whole.fit(clips(batch=4), np.ones((4, 1)), verbose=0)
    still = {w.path for w in trained.trainable_weights if (array(w) == before[w.path]).all()}
    # A key's bias shifts all logits of a query alike; the other read-out queries are not asked here.
    assert {path for path in still if not path.endswith("key/bias")} == set()


def test_remat_changes_no_gradient():
    plain, thrifty = build(), build(remat=True)
    thrifty.set_weights(plain.get_weights())

    def loss(backbone):
        return lambda audio, video: keras.ops.sum(
            backbone({"audio": audio, "video": video}, training=True)["global"] ** 2
        )

    for one, other in zip(
        gradients(loss(plain), *clips().values()), gradients(loss(thrifty), *clips().values()), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)
        assert np.abs(one).max() > 1e-3


# === Late joining ===


def remember(inputs):
    return compiled(model().remember)(inputs)


def join(inputs, memory):
    return arrays(compiled(model().join)(inputs, memory))


@pytest.mark.parametrize("first, later", [("audio", "video"), ("video", "audio")])
def test_a_remembered_stream_joined_late_equals_the_joint_call(first, later):
    memory = remember({first: clips()[first]})
    late, joint = join({later: clips()[later]}, memory), run(model(), clips())
    assert set(late) == set(joint)
    for name in joint:
        np.testing.assert_allclose(late[name], joint[name], atol=1e-5)


def test_one_remembered_sound_meets_many_videos():
    sound, videos = clips(batch=1)["audio"], clips(batch=3)["video"]
    late = join({"video": videos}, remember({"audio": sound}))
    joint = run(model(), {"audio": np.repeat(sound, 3, axis=0), "video": videos})
    np.testing.assert_allclose(late["fusion"], joint["fusion"], atol=1e-5)


def test_absence_is_remembered_too():
    presence = {"audio": np.array([True, False])}
    memory = remember({"audio": clips()["audio"], "presence": presence})
    late = join({"video": clips()["video"]}, memory)
    joint = run(model(), {**clips(), "presence": presence})
    for name in joint:
        np.testing.assert_allclose(late[name], joint[name], atol=1e-5)


def test_a_stream_that_reads_others_cannot_be_remembered_alone():
    entangled = build(routing=Routing.bottleneck(STREAMS))
    with pytest.raises(
        ValueError, match=r"`audio` reads \['fusion', 'video'\], so it can be remembered only"
    ):
        entangled.remember({"audio": clips()["audio"]})
    with pytest.raises(ValueError, match="either new or remembered"):
        model().join(clips(), model().remember({"audio": clips()["audio"]}))


# === The model as an object ===


def test_structured_equals_dense_in_the_whole_model():
    dense = build(dense_mask=True)
    dense.set_weights(model().get_weights())
    expected, found = run(dense, clips()), run(model(), clips())
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


def test_any_streams_under_any_names():
    streams = {
        "lidar": zs.Image(height_px=6, width_px=4, channels=2, patch=(3, 2)),
        "words": zs.Tokens(length=5, vocabulary_size=11),
        "gaze": zs.Embeddings(length=7, features=3),
    }
    outputs = run(build(streams), clips(streams=streams))
    assert {name: output.shape for name, output in outputs.items()} == dict.fromkeys(
        ["lidar", "words", "gaze", "fusion", "global"], (2, 14)
    )


@pytest.mark.parametrize("routing", ["early", "late"])
def test_a_routing_without_fusion_has_no_fusion_output(routing):
    assert set(build(routing=getattr(Routing, routing)(STREAMS)).output) == {"audio", "video", "global"}


def test_a_preset_rebuilds_the_model(tmp_path):
    model().save_to_preset(str(tmp_path))
    loaded = ZorroViTBackbone.from_preset(str(tmp_path))
    assert loaded.streams == STREAMS and loaded.routing == model().routing
    np.testing.assert_array_equal(run(loaded, clips())["fusion"], run(model(), clips())["fusion"])


def test_the_config_rebuilds_the_model():
    config = model().get_config()
    assert ZorroViTBackbone.from_config(config).get_config() == config


def test_resized_positions_serve_other_shapes():
    larger = {**STREAMS, "audio": zs.Spectrogram(frames=12, bins=10, patch=(3, 5))}
    resized = model().resized(larger)
    assert resized.transformer.layout["audio"] == 8
    # What needs no resizing is the same model.
    np.testing.assert_allclose(
        run(resized, {"video": clips()["video"]})["video"],
        run(model(), {"video": clips()["video"]})["video"],
        atol=1e-6,
    )
    same = model().resized(STREAMS)
    np.testing.assert_allclose(run(same, clips())["global"], run(model(), clips())["global"], atol=1e-6)


def test_a_model_built_on_the_graphs_tensors_is_saved_and_loaded(tmp_path):
    zorro = model()
    whole = keras.Model(zorro.input, keras.layers.Dense(3)(zorro.output["fusion"]))
    whole.save(tmp_path / "whole.keras")
    loaded = keras.models.load_model(tmp_path / "whole.keras")
    np.testing.assert_allclose(
        loaded.predict(clips(), verbose=0), whole.predict(clips(), verbose=0), atol=1e-6
    )


def test_the_graph_shows_streams_blocks_and_readout():
    names = [layer.name for layer in model().layers]
    for name in (
        "audio_tokenizer",
        "video_tokenizer",
        "fusion_tokens",
        "pack",
        "block_0",
        "block_1",
        "readout",
    ):
        assert name in names


@pytest.mark.parametrize("wrong, message", [
    ({"streams": {"global": STREAMS["audio"]}}, r"none of them \['fusion', 'global'"),
    ({"streams": {}}, "at least one stream"),
    ({"routing": Routing.late(["audio"])}, r"no reads for \['video'\]"),
    ({"num_layers": 0}, "must be positive. Received: num_layers=0"),
    ({"num_heads": 3}, "the tokens' channels. Received: num_heads=3, channels=14 and 14"),
])  # fmt: skip
def test_nonsense_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        build(**wrong)


def test_an_unknown_size_is_named():
    with pytest.raises(
        ValueError, match=r"must be one of \['tiny', 'small', 'base', 'large'\]. Received: variant='huge'"
    ):
        ZorroViTBackbone.from_variant("huge", STREAMS)
