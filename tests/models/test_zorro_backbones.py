"""What every Zorro promises, whatever its backbone: streams kept apart, any subset, one object to save."""

import functools

import keras
import numpy as np
import pytest

from tests.backend import array, compiled, gradients
from zorro_keras import streams as zs
from zorro_keras.models import ZorroHiPBackbone, ZorroSwinBackbone, ZorroViTBackbone

STREAMS = {
    "audio": zs.Spectrogram(frames=6, bins=15, patch=(2, 3)),  # 3 x 5 tokens
    "video": zs.Video(frames=4, height_px=6, width_px=10, patch=(2, 3, 2)),  # 2 x 2 x 5
}
BACKBONES = {
    "vit": (
        ZorroViTBackbone,
        {"num_layers": 2, "num_heads": 2, "hidden_dim": 14, "mlp_dim": 22, "num_fusion_tokens": 3},
    ),
    "swin": (
        ZorroSwinBackbone,
        {
            "num_layers": (1, 2),
            "num_heads": (1, 2),
            "hidden_dim": 6,
            "windows": {"audio": (2, 2), "video": (2, 2, 2)},  # some are shifted, some filled up
            "mlp_ratio": 2,
            "num_fusion_tokens": 3,
        },
    ),
    "hip": (
        ZorroHiPBackbone,
        {
            "levels": [
                {  # the video's groups have padding, and fusion's divide both streams among themselves
                    "num_groups": {"audio": 1, "video": 3, "fusion": 2},
                    **{"num_layers": 1, "num_latents": 2, "hidden_dim": 6, "num_heads": 1},
                },
                {
                    "num_groups": {"audio": 1, "video": 2, "fusion": 1},
                    **{"num_layers": 1, "num_latents": 3, "hidden_dim": 10, "num_heads": 2},
                },
            ],
            "embed_dim": 5,
        },
    ),
}


@pytest.fixture(params=BACKBONES)
def kind(request):
    return request.param


def build(kind, streams=STREAMS, **overrides):
    backbone, sizes = BACKBONES[kind]
    return backbone(streams, **{**sizes, **overrides})


@functools.cache
def model(kind):
    return build(kind)


def clips(batch=2, seed=0, streams=STREAMS):
    random = np.random.default_rng(seed)
    return {
        name: random.normal(size=(batch, *stream.shape)).astype("float32") for name, stream in streams.items()
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
def test_a_modality_never_reaches_the_other_but_reaches_fusion(kind, changed, pure, moving):
    before = run(model(kind), clips())
    after = run(model(kind), {**clips(), changed: clips(seed=1)[changed]})
    assert (after[pure] == before[pure]).all()
    for name in (moving, "fusion", "global"):
        assert (after[name] != before[name]).any()


@pytest.mark.parametrize("poison", [np.inf, -np.inf, np.nan, 3e38])
def test_poison_in_the_video_leaves_the_audio_bit_identical(kind, poison):
    before, inputs = run(model(kind), clips()), clips()
    inputs["video"][:, 0, 0, 0] = poison
    after = run(model(kind), inputs)
    assert (after["audio"] == before["audio"]).all()
    assert not (after["fusion"] == before["fusion"]).any()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16"])
def test_isolation_holds_in_half_precision(kind, dtype):
    half = build(kind, dtype=dtype)
    before, after = run(half, clips()), run(half, {**clips(), "video": clips(seed=1)["video"]})
    assert (after["audio"] == before["audio"]).all()
    assert (after["fusion"] != before["fusion"]).any()


@pytest.mark.slow
def test_isolation_holds_in_training_with_everything_random_on(kind):
    random = {"stochastic_depth_rate": 0.4} | ({} if kind == "swin" else {"dropout_rate": 0.3})
    zorro = build(kind, **random)
    state = [[weight.value for weight in weights] for weights in (
        zorro.trainable_variables, zorro.non_trainable_variables
    )]  # fmt: skip
    # Without state every call draws the same.
    call = compiled(lambda inputs: zorro.stateless_call(*state, inputs, training=True)[0])
    before = arrays(call(clips()))
    after = arrays(call({**clips(), "video": clips(seed=1)["video"]}))
    assert (after["audio"] == before["audio"]).all() and (after["fusion"] != before["fusion"]).any()
    assert (before["audio"] != run(zorro, clips())["audio"]).any()  # something was dropped


@pytest.mark.slow
def test_gradients_across_modalities_are_exactly_zero(kind):
    zorro = model(kind)  # built before what follows is traced

    def audio_output(audio, video):
        return keras.ops.sum(zorro({"audio": audio, "video": video})["audio"] ** 2)

    def fusion_output(audio, video):
        return keras.ops.sum(zorro({"audio": audio, "video": video})["fusion"] ** 2)

    to_audio, to_video = gradients(audio_output, *clips().values())
    assert (to_video == 0).all() and (to_audio != 0).any()
    to_audio, to_video = gradients(fusion_output, *clips().values())
    assert (to_video != 0).any() and (to_audio != 0).any()


def test_isolation_survives_saving_and_loading(kind, tmp_path):
    model(kind).save(tmp_path / "zorro.keras")
    loaded = keras.models.load_model(tmp_path / "zorro.keras")
    before, after = run(loaded, clips()), run(loaded, {**clips(), "video": clips(seed=1)["video"]})
    assert (after["audio"] == before["audio"]).all() and (after["fusion"] != before["fusion"]).any()
    np.testing.assert_allclose(before["fusion"], run(model(kind), clips())["fusion"], atol=1e-6)


# === Any subset ===


@pytest.mark.parametrize("given_streams", [["audio"], ["video"]])
def test_a_unimodal_call_equals_the_joint_calls_unimodal_output(kind, given_streams):
    joint = run(model(kind), clips())
    alone = run(model(kind), {name: clips()[name] for name in given_streams})
    assert set(alone) == {*given_streams, "fusion", "global"}
    for name in given_streams:
        scale = np.abs(joint[name]).max()
        np.testing.assert_allclose(alone[name] / scale, joint[name] / scale, atol=1e-6)


def test_a_stream_of_none_is_a_stream_left_out(kind):
    with_none = run(model(kind), {**clips(), "video": None})
    without = run(model(kind), {"audio": clips()["audio"]})
    assert set(with_none) == set(without)
    assert (with_none["fusion"] == without["fusion"]).all()


@pytest.mark.slow
def test_one_batch_may_mix_examples_with_and_without_a_stream(kind):
    inputs = clips(batch=3)
    inputs["video"][1] = np.nan  # where a stream is absent its array may hold anything
    mixed = run(model(kind), {**inputs, "presence": {"video": np.array([True, False, True])}})
    whole = run(model(kind), clips(batch=3))
    alone = run(model(kind), {"audio": inputs["audio"][1:2]})
    for name in ("audio", "fusion", "global"):
        np.testing.assert_allclose(mixed[name][1], alone[name][0], atol=1e-5)
        np.testing.assert_allclose(mixed[name][[0, 2]], whole[name][[0, 2]], atol=1e-5)
    assert (mixed["video"][1] == 0).all() and (mixed["video"][0] != 0).any()


def test_an_example_without_any_stream_is_finite(kind):
    absent = {"audio": np.array([False, True]), "video": np.array([False, True])}
    outputs = run(model(kind), {**clips(), "presence": absent})
    assert all(np.isfinite(output).all() for output in outputs.values())
    assert (outputs["audio"][0] == 0).all() and (outputs["audio"][1] != 0).any()


@pytest.mark.parametrize("wrong, message", [
    ({"vidoe": 0}, r"may name .* Did you mean 'video' for 'vidoe'\? Received: unknown \['vidoe'\]"),
    ({}, "At least one of the streams"),
    ({"audio": np.zeros((2, 6, 11))}, r"must have the shape \(batch, 6, 15\). Received: \(2, 6, 11\)"),
    (np.zeros((2, 6, 15)), "takes a dict"),
    ({"audio": np.zeros((3, 6, 15)), "video": np.zeros((2, 4, 6, 10, 3))},
     "equally many examples of each stream. Received: {'audio': 3, 'video': 2}"),
    ({"audio": np.zeros((2, 6, 15)), "padding_mask": {"audio": np.ones((2, 14), bool)}},
     r"`padding_mask` of stream `audio` must have the shape \(batch, 15\). Received: \(2, 14\)"),
])  # fmt: skip
def test_wrong_inputs_are_explained(kind, wrong, message):
    if isinstance(wrong, dict) and "vidoe" in wrong:
        wrong = {**clips(), "vidoe": np.zeros((2, 3))}
    with pytest.raises(ValueError, match=message):
        model(kind)(wrong)


# === fit, evaluate, predict ===


@pytest.mark.slow
def test_predict_answers_to_any_subset(kind):
    joint = model(kind).predict(clips(), verbose=0)
    audio = model(kind).predict({"audio": clips()["audio"]}, verbose=0)
    assert set(joint) == {"audio", "video", "fusion", "global"} and set(audio) == {
        "audio",
        "fusion",
        "global",
    }
    np.testing.assert_allclose(audio["audio"], joint["audio"], atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # for the video's weights, from audio
@pytest.mark.parametrize("first, then", [(("audio", "video"), ("audio",)), (("audio",), ("audio", "video"))])
def test_fit_and_evaluate_take_any_subset_in_any_order(first, then):
    backbone = build("vit", num_layers=1)
    width, labels = backbone.hidden_dim, ("audio", "video", "global")
    y = {name: np.full((2, width), place, "float32") for place, name in enumerate(labels)}
    metrics = {"video": ["mae"], "global": [keras.metrics.MeanAbsoluteError(name="off")]}
    backbone.compile("sgd", dict.fromkeys(labels, "mse"), metrics=metrics)
    for given in (first, then):
        x = {name: clips()[name] for name in given}
        backbone.fit(x, y, sample_weight=np.array([1.0, 2.0]), verbose=0)
        found = backbone.evaluate(x, y, return_dict=True, verbose=0)
        outputs = run(backbone, x)
        expected = {name: np.square(outputs[name] - y[name]).mean() for name in labels if name in outputs}
        for name in labels:  # of what no input makes nothing is counted
            np.testing.assert_allclose(found[f"{name}_loss"], expected.get(name, 0.0), rtol=1e-4)
        np.testing.assert_allclose(found["loss"], sum(expected.values()), rtol=1e-4)
        off = np.abs(outputs["global"] - y["global"]).mean()
        np.testing.assert_allclose(found["global_off"], off, rtol=1e-4)
        video = np.abs(outputs["video"] - y["video"]).mean() if "video" in given else 0.0
        np.testing.assert_allclose(found["video_mae"], video, rtol=1e-4)


def test_labels_of_unknown_outputs_are_refused():
    backbone = build("vit", num_layers=1)
    backbone.compile("sgd", {"audio": "mse"})
    with pytest.raises(ValueError, match=r"`y` may name .* Did you mean 'audio' for 'audoi'\?"):
        backbone.evaluate(clips(), {"audoi": np.zeros((2, backbone.hidden_dim), "float32")}, verbose=0)


def test_no_layer_is_left_unbuilt(kind):
    # On JAX one unbuilt layer makes every `predict` run the whole model eagerly first.
    assert [layer.name for layer in model(kind)._flatten_layers() if not layer.built] == []


@pytest.mark.slow
@pytest.mark.parametrize("remat", [False, True])
def test_training_moves_every_weight_that_its_streams_use(kind, remat):
    trained = build(kind, remat=remat, stochastic_depth_rate=0.2)
    head = keras.layers.Dense(1)
    outputs = trained(trained.input)
    whole = keras.Model(trained.input, head(outputs["global"]))
    whole.compile("sgd", "mse")
    before = {w.path: array(w) for w in trained.trainable_weights}
    whole.fit(clips(batch=8), np.ones((8, 1)), verbose=0)  # none of them skips a branch in all
    still = {w.path for w in trained.trainable_weights if (array(w) == before[w.path]).all()}
    # A key's bias shifts all logits of a query alike; the other read-out queries are not asked here.
    assert {path for path in still if not path.endswith("key/bias")} == set()


@pytest.mark.slow
def test_remat_changes_no_gradient(kind):
    plain, thrifty = build(kind), build(kind, remat=True)
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


# === The model as an object ===


def test_a_preset_rebuilds_the_model(kind, tmp_path):
    model(kind).save_to_preset(str(tmp_path))
    loaded = type(model(kind)).from_preset(str(tmp_path))
    assert loaded.streams == STREAMS and loaded.routing == model(kind).routing
    np.testing.assert_array_equal(run(loaded, clips())["fusion"], run(model(kind), clips())["fusion"])


def test_the_config_rebuilds_the_model(kind):
    config = model(kind).get_config()
    assert type(model(kind)).from_config(config).get_config() == config


@pytest.mark.slow
def test_a_model_built_on_the_graphs_tensors_is_saved_and_loaded(kind, tmp_path):
    zorro = model(kind)
    whole = keras.Model(zorro.input, keras.layers.Dense(3)(zorro.output["fusion"]))
    whole.save(tmp_path / "whole.keras")
    loaded = keras.models.load_model(tmp_path / "whole.keras")
    np.testing.assert_allclose(
        loaded.predict(clips(), verbose=0), whole.predict(clips(), verbose=0), atol=1e-6
    )


@pytest.mark.slow
def test_a_third_stream_keeps_to_itself_like_the_others(kind):
    depth = zs.Image(height_px=6, width_px=4, channels=2, patch=(2, 2))
    streams = {**STREAMS, "depth": depth}
    levels = [
        {**level, "num_groups": {**level["num_groups"], "depth": 2}}
        for level in BACKBONES["hip"][1]["levels"]
    ]
    overrides = {"vit": {}, "swin": {"windows": {}}, "hip": {"levels": levels}}[kind]
    three = build(kind, streams, **overrides)
    inputs, other = clips(streams=streams), clips(seed=1, streams=streams)
    before, after = run(three, inputs), run(three, {**inputs, "depth": other["depth"]})
    assert {name for name in before if (before[name] != after[name]).any()} == {"depth", "fusion", "global"}
    assert three.dependents("depth") == {"depth", "fusion", "global"}
    assert set(run(three, {"depth": inputs["depth"]})) == {"depth", "fusion", "global"}
