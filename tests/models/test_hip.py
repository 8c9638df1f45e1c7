"""HiP: groups, absent streams, labels, masks, the way back, saving and training."""

import dataclasses
import functools

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from zorro_keras import streams as zs
from zorro_keras.models import HiPBackbone

STREAMS = {"video": zs.Embeddings(11, 3), "audio": zs.Waveform(10, patch=(2,))}  # 11 and 5 elements
LABELS = {"kind": zs.Embeddings(1, 7)}
LEVELS = [
    {"num_groups": 3, "num_layers": 1, "num_latents": 4, "hidden_dim": 6, "num_heads": 2},
    {"num_groups": 1, "num_layers": 1, "num_latents": 6, "hidden_dim": 10, "num_heads": 2},
]
KINDS = ("read", "masked")
BACK = [{"num_groups": 3, "num_layers": 1, "num_latents": 4, "hidden_dim": 8, "num_heads": 2}]


def build(**overrides):
    """Returns a small backbone whose last layers are no zeros, so that everything shows."""
    given = {"levels": LEVELS, "decoder_levels": BACK, "embed_dim": 5, "labels": LABELS, **overrides}
    backbone = HiPBackbone(given.pop("streams", STREAMS), **given)
    random = np.random.default_rng(1)
    for layer in backbone.parts.unembeddings.values():
        layer.kernel.assign(random.normal(size=layer.kernel.shape))
    return backbone


@functools.cache
def model():
    return build()


def clips(batch=2, seed=0):
    random = np.random.default_rng(seed)
    return {
        name: random.normal(size=(batch, *stream.shape)).astype("float32")
        for name, stream in {**STREAMS, **LABELS}.items()
    }


@functools.cache
def compiled_call(backbone):
    return compiled(lambda inputs: backbone(inputs))


def run(backbone, inputs):
    return {name: array(output) for name, output in compiled_call(backbone)(inputs).items()}


@functools.cache
def compiled_ways(backbone):
    return compiled(lambda inputs: both_ways(backbone, inputs))


def both_ways(backbone, inputs):
    encoded = backbone.encode(inputs)
    streams = [name for name in STREAMS if name in inputs] if backbone.groups_by_call else None
    return encoded | backbone.decode(encoded, streams)


def there_and_back(backbone, inputs):
    """Returns the levels of `encode` and the outputs of `decode`, by name."""
    return {name: array(x) for name, x in compiled_ways(backbone)(inputs).items()}


def same(first, second):
    return {name for name in first if (first[name] == second[name]).all()}


# === What comes out ===


def test_a_call_returns_the_latents_and_every_stream_and_label_again():
    outputs = run(model(), clips())
    assert {name: output.shape for name, output in outputs.items()} == {
        "latents": (2, 6, 10),
        "video": (2, 11, 3),
        "audio": (2, 5, 2),  # patches of two samples
        "kind": (2, 1, 7),
    }
    assert {name: (None, *output.shape[1:]) for name, output in outputs.items()} == {
        name: tuple(output.shape) for name, output in model().output.items()
    }


def test_an_untrained_model_reconstructs_zeros():
    heads = HiPBackbone(STREAMS, LEVELS, BACK, embed_dim=5).parts.unembeddings.values()
    assert not any(array(weight).any() for head in heads for weight in head.weights)


def test_encoding_and_then_decoding_is_a_call():
    outputs, ways = run(model(), clips()), there_and_back(model(), clips())
    assert ways["level_0"].shape == (2, 3, 4, 6) and ways["level_1"].shape == (2, 1, 6, 10)
    assert set(ways) == {"level_0", "level_1", *STREAMS, *LABELS}
    np.testing.assert_allclose(ways["level_1"][:, 0], outputs["latents"], atol=1e-4)
    for name in {*STREAMS, *LABELS}:
        np.testing.assert_allclose(ways[name], outputs[name], atol=1e-4)


def test_the_encoding_half_gives_the_same_latents_without_the_way_back():
    half = model().encoding_half()
    outputs, whole = run(half, clips()), run(model(), clips())
    assert set(outputs) == {"latents", "kind"}
    for name, output in outputs.items():
        np.testing.assert_allclose(output, whole[name], atol=1e-4)
    assert half.count_params() < model().count_params()


def test_the_positions_that_were_added_ask_again():
    parts = model().parts
    added = [parts.positions[name].array for name in STREAMS]
    asking = array(parts.queries(np.zeros(2), parts.layout(STREAMS)))[0]  # G N E
    flat = asking[parts.layout(STREAMS).mask]
    np.testing.assert_array_equal(flat, np.concatenate([array(positions) for positions in added]))


def clips_of(names):
    return {name: clips()[name] for name in names}


# === What is read ===


def test_the_groups_of_a_stream_see_no_other_stream_at_the_first_level():
    changed = {**clips(), "audio": clips(seed=1)["audio"]}
    before, after = (there_and_back(model(), inputs)["level_0"] for inputs in (clips(), changed))
    assert model().parts.layout(STREAMS).groups == {"video": 2, "audio": 1}
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    assert (before[:, 2] != after[:, 2]).any()


@pytest.mark.slow
def test_what_is_absent_or_padded_may_hold_anything():
    clean, poisoned = clips(), clips()
    poisoned["video"][0], poisoned["video"][1, 6:], poisoned["kind"][0] = np.nan, np.inf, np.nan
    marks = {
        "presence": {"video": np.array([False, True]), "kind": np.array([False, True])},
        "padding_mask": {"video": np.arange(11) < np.array([[11], [6]])},
    }
    before, after = run(model(), {**clean, **marks}), run(model(), {**poisoned, **marks})
    assert same(before, after) == {"latents", "video", "audio", "kind"}
    assert same(before, run(model(), clean)) == set()


def test_a_stream_left_out_is_a_stream_that_no_example_has():
    absent = {**clips(), "presence": {"audio": np.array([False, False])}}
    without = {name: x for name, x in clips().items() if name != "audio"}
    left_out, marked = run(model(), without), run(model(), absent)
    assert set(left_out) == {"latents", *STREAMS, *LABELS}
    for name, output in left_out.items():
        np.testing.assert_allclose(output, marked[name], atol=1e-4)
    assert same(left_out, run(model(), clips())) == set()


@pytest.mark.slow
def test_groups_may_be_dealt_out_among_the_streams_of_a_call():
    backbone = build(groups_by_call=True)
    dealt = there_and_back(backbone, clips_of(["audio"]))
    assert set(dealt) == {"level_0", "level_1", "audio", "kind"}
    alone = build(streams={"audio": STREAMS["audio"]})
    for layer in alone.layers:
        if layer.weights:
            layer.set_weights(backbone.get_layer(layer.name).get_weights())
    expected = there_and_back(alone, clips_of(["audio"]))
    for name, output in dealt.items():
        np.testing.assert_allclose(output, expected[name], atol=1e-5)
    fixed = dataclasses.replace(backbone.parts, groups_by_call=False)
    assert fixed.layout(fixed.grouped(["audio"])).groups == {"video": 2, "audio": 1}


def test_what_groups_dealt_out_by_call_are_decoded_for_must_be_said():
    backbone = build(groups_by_call=True)
    encoded = {"level_0": np.zeros((2, 3, 4, 6), "float32"), "level_1": np.zeros((2, 1, 6, 10), "float32")}
    with pytest.raises(ValueError, match="`streams` must name .*video.* Received: streams=None"):
        backbone.decode(encoded)
    decoded = compiled(lambda levels: backbone.decode(levels, ["audio"]))(encoded)
    assert set(decoded) == {"audio", "kind"}


def test_labels_reach_what_comes_after_the_processor_and_nothing_before():
    changed = {**clips(), "kind": clips(seed=1)["kind"]}
    before, after = there_and_back(model(), clips()), there_and_back(model(), changed)
    assert same(before, after) == {"level_0"}
    without = run(model(), clips_of(STREAMS))
    assert "kind" in without  # read back, not read
    assert same(without, run(model(), clips())) == set()


@pytest.mark.parametrize("length, padded", [(11, True), (12, False)])
def test_the_padding_of_groups_is_read_only_if_asked(length, padded):
    backbone = build(streams={"video": zs.Embeddings(length, 3)}, labels=None, decoder_levels=[])
    frames = np.random.default_rng(0).normal(size=(2, length, 3)).astype("float32")

    def latents(given):
        kinds = {kind: dataclasses.replace(backbone.parts, read_padding=kind == "read") for kind in KINDS}
        return {kind: parts.encode(backbone.parse(given))[-1] for kind, parts in kinds.items()}

    results = {kind: array(x) for kind, x in compiled(latents)({"video": frames}).items()}
    assert (results["read"] != results["masked"]).any() == padded


def test_an_absent_stream_is_silent_even_where_padding_is_read():
    backbone = build(labels=None, decoder_levels=[])
    values = backbone.parts.encoder[0].cross_attention.attention.value_dense
    # Only by the bias of the values has padding something to say.
    values.bias.assign(np.random.default_rng(2).normal(size=values.bias.shape))
    kinds = {kind: dataclasses.replace(backbone.parts, read_padding=kind == "read") for kind in KINDS}
    video_alone = {"video": clips()["video"]}
    marked = {**clips_of(STREAMS), "presence": {"audio": np.array([False, True])}}

    def first_level(left_out, marked):
        return {
            kind: [parts.encode(backbone.parse(given))[0] for given in (left_out, marked)]
            for kind, parts in kinds.items()
        }

    levels = compiled(first_level)(video_alone, marked)
    without, with_marks = zip(*(map(array, levels[kind]) for kind in KINDS), strict=True)
    audio = 2  # its group, behind two of the video, of which the last has padding
    np.testing.assert_allclose(without[0][:, audio], without[1][:, audio], atol=1e-5)
    np.testing.assert_allclose(with_marks[0][0, audio], with_marks[1][0, audio], atol=1e-5)
    assert np.abs(with_marks[0][1, audio] - with_marks[1][1, audio]).max() > 1e-3
    assert np.abs(without[0][:, 1] - without[1][:, 1]).max() > 1e-3


def test_the_processor_may_think_with_fewer_latents_after_training():
    backbone = build(num_train_latents=3)
    assert [level.num_train_latents for level in backbone.parts.encoder] == [None]
    assert backbone.parts.processor.num_train_latents == 3
    fewer = compiled(lambda inputs: backbone.encode(inputs, num_latents=4))(clips())
    assert fewer["level_1"].shape == (2, 1, 4, 10)
    with pytest.raises(ValueError, match="`num_groups` must divide .* Received: num_groups=3"):
        backbone.decode(fewer)


# === As a Keras model ===


def test_the_config_rebuilds_the_model_and_presets_bring_its_weights_back(tmp_path):
    options = {"regrouping": "transpose_reshape", "groups_by_call": True, "num_train_latents": 3, "seed": 5}
    backbone = build(**options)
    config = backbone.get_config()
    assert options.items() <= config.items() and type(backbone).from_config(config).get_config() == config
    model().save_to_preset(tmp_path / "hip")
    loaded = HiPBackbone.from_preset(str(tmp_path / "hip"))
    np.testing.assert_allclose(run(loaded, clips())["kind"], run(model(), clips())["kind"], atol=1e-5)


@pytest.mark.slow
def test_fit_learns_labels_with_the_encoding_half_in_mixed_precision():
    backbone = build(decoder_levels=[], dtype="mixed_bfloat16")
    inputs, targets = clips(4), {"kind": clips(4)["kind"]}
    backbone.compile(keras.optimizers.Adam(1e-2), {"latents": None, "kind": "mse"})
    losses = backbone.fit(inputs, targets, epochs=12, batch_size=4, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert [layer.name for layer in backbone._flatten_layers() if not layer.built] == []
    assert {weight.dtype for weight in backbone.trainable_weights} == {"float32"}
    assert {output.dtype for output in backbone.output.values()} == {"bfloat16"}


ROW = LEVELS[0]


@pytest.mark.parametrize(
    "overrides, message",
    [
        ({"levels": [ROW, ROW]}, r"must have one group. Received: num_groups=\[3, 3\]"),
        ({"levels": LEVELS[1:]}, r"must be two at least.* Received: num_groups=\[1\]"),
        (
            {"decoder_levels": [{**BACK[0], "num_latents": 5}]},
            r"mirror .*\[\(3, 4\)\]. Received: \[\(3, 5\)\]",
        ),
        ({"levels": [{"num_groups": 3}, LEVELS[1]]}, "A level must have the sizes .* Received: .*num_groups"),
        ({"labels": {"video": LABELS["kind"]}}, "no name may be a label's as well.* labels=.*video"),
        ({"streams": {"latents": zs.Embeddings(3, 2)}}, r"Received: streams=\['latents'\]"),
        ({"num_train_latents": 4}, "into the 3 groups of the first .* Received: num_train_latents=4"),
        ({"regrouping": "mix"}, "`regrouping` must be one of .* Received: 'mix'"),
    ],
)
def test_what_does_not_fit_together_is_refused(overrides, message):
    with pytest.raises(ValueError, match=message):
        build(**overrides)


def test_wrong_inputs_are_named():
    with pytest.raises(ValueError, match="Did you mean 'video' for 'vidoe'"):
        model()({"vidoe": clips()["video"]})
    with pytest.raises(ValueError, match=r"Stream `video` must have the shape \(batch, 11, 3\)"):
        model()({"video": clips()["video"][:, :7]})


@pytest.mark.slow
def test_ids_in_float_arrays_arrive_whole_in_half_precision():
    streams, ids = {"words": zs.Tokens(length=6, vocabulary_size=262)}, np.array([[1, 2, 3, 4, 5, 257]])
    backbone = build(streams=streams, labels=None, dtype="mixed_bfloat16")
    for name, output in backbone({"words": ids}).items():
        again = backbone({"words": ids.astype("float32")})[name]
        np.testing.assert_array_equal(array(again), array(output))


def test_the_encoding_half_leaves_alone_what_was_not_trainable():
    backbone = build()
    backbone.parts.processor.trainable = False
    half = backbone.encoding_half()
    assert not half.parts.processor.trainable_weights and half.trainable_weights
