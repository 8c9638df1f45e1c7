import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backend import array, compiled
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


@pytest.mark.slow
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


def test_streams_of_other_names_are_no_resizing():
    with pytest.raises(ValueError, match=r"must have the names \['audio', 'video'\].* Received: \['audio'\]"):
        model().resized({"audio": STREAMS["audio"]})


def test_a_routing_is_no_dict():
    with pytest.raises(ValueError, match=r"`routing` must be a `Routing`.* Received: {'audio'"):
        build(routing={"audio": ["audio"], "video": ["video"]})


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


def test_ids_in_float_arrays_arrive_whole_in_half_precision():
    words = build({"words": zs.Tokens(length=3, vocabulary_size=262)}, dtype="mixed_bfloat16")
    ids = np.array([[1, 2, 257]])  # bfloat16 has 256 and 258
    for name, output in arrays(words({"words": ids})).items():
        np.testing.assert_array_equal(array(words({"words": ids.astype("float32")})[name]), output)
