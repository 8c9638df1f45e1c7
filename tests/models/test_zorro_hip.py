"""Zorro on HiP: who reads what at each level, the way back, its sizes, and what it refuses."""

import functools

import numpy as np
import pytest

from tests.backend import array, compiled
from tests.models.test_zorro_backbones import clips, run
from tests.without_numbers import without_numbers
from zorro_keras import streams as zs
from zorro_keras.models import HiPBackbone, ZorroHiPBackbone
from zorro_keras.models.stream_inputs import StreamInputs
from zorro_keras.routing import Routing

STREAMS = {"audio": zs.Embeddings(6, 5), "video": zs.Waveform(22, patch=(2,))}  # 6 and 11 elements
SIZES = {"num_layers": 1, "hidden_dim": 6, "num_heads": 2}
LEVELS = [
    {**SIZES, "num_groups": {"audio": 2, "video": 4, "fusion": 3}, "num_latents": 3},
    {**SIZES, "num_groups": {"audio": 1, "video": 2, "fusion": 1}, "num_latents": 4, "hidden_dim": 10},
]
BACK = [{**SIZES, "num_groups": {"audio": 2, "video": 4}, "num_latents": 3, "hidden_dim": 8}]
PAPER_STREAMS = {"audio": zs.Spectrogram(640, 128), "video": zs.Video(8, 224, 224)}


def build(streams=STREAMS, **overrides):
    """Returns a small backbone in which everything shows: no weight is zero, no latent alike."""
    backbone = ZorroHiPBackbone(streams, **{"levels": LEVELS, "embed_dim": 7, **overrides})
    random = np.random.default_rng(1)
    for weight in backbone.weights:
        weight.assign(array(weight) + 0.3 * random.normal(size=weight.shape))
    return backbone


@functools.cache
def model():
    return build()


@functools.cache
def compiled_levels(backbone):
    return compiled(lambda inputs: backbone.hip.encode(StreamInputs.parse(inputs, backbone.streams)))


def levels_of(backbone, inputs):
    """Returns the latents `(B, G, K, D)` of each level by stream."""
    return [{name: array(x) for name, x in level.items()} for level in compiled_levels(backbone)(inputs)]


def changed_groups(backbone, level, before, after):
    """Returns a picture by stream: `#` is a group whose latents differ, `.` one that is equal bit by bit."""
    pairs = [levels_of(backbone, inputs)[level] for inputs in (before, after)]
    return {
        name: "".join("#" if (x[0, g] != pairs[1][name][0, g]).any() else "." for g in range(x.shape[1]))
        for name, x in pairs[0].items()
    }


def with_a_change(stream, place, inputs):
    changed = {**inputs, stream: inputs[stream].copy()}
    changed[stream][:, place] += 1.0
    return changed


# === Who reads what ===


@pytest.mark.parametrize(
    "stream, place, first, last",
    [
        ("audio", 0, {"audio": "#.", "video": "....", "fusion": "#.."}, {"audio": "#", "video": ".."}),
        ("audio", 5, {"audio": ".#", "video": "....", "fusion": "..#"}, {"audio": "#", "video": ".."}),
        ("video", 9, {"audio": "..", "video": ".#..", "fusion": ".#."}, {"audio": ".", "video": "#."}),
        ("video", 21, {"audio": "..", "video": "...#", "fusion": "..#"}, {"audio": ".", "video": ".#"}),
    ],
)
def test_groups_divide_time_and_only_fusion_reads_another_stream(stream, place, first, last):
    inputs = clips(1, streams=STREAMS)
    after = with_a_change(stream, place, inputs)
    assert changed_groups(model(), 0, inputs, after) == first
    assert changed_groups(model(), 1, inputs, after) == {**last, "fusion": "#"}


def test_all_groups_of_a_stream_mix_if_they_are_transposed_and_no_other_streams_do():
    backbone, inputs = build(regrouping="transpose_reshape"), clips(1, streams=STREAMS)
    after = with_a_change("video", 0, inputs)
    assert changed_groups(model(), 1, inputs, after) == {"audio": ".", "video": "#.", "fusion": "#"}
    assert changed_groups(backbone, 1, inputs, after) == {"audio": ".", "video": "##", "fusion": "#"}


def test_any_routing_decides_what_sets_read():
    reads = {"audio": ["audio", "video"], "video": ["video"], "fusion": ["audio", "fusion"]}
    backbone, inputs = build(routing=Routing(reads)), clips(1, streams=STREAMS)
    after = with_a_change("audio", 5, inputs)
    assert changed_groups(backbone, 0, inputs, after) == {"audio": ".#", "video": "....", "fusion": "..#"}
    after = with_a_change("video", 0, inputs)
    assert changed_groups(backbone, 0, inputs, after) == {"audio": "#.", "video": "#...", "fusion": "..."}
    assert changed_groups(backbone, 1, inputs, after) == {"audio": "#", "video": "#.", "fusion": "#"}
    assert backbone.dependents("video") == {"audio", "video", "fusion", "global"}


def test_a_streams_sets_are_a_hip_of_that_stream_alone():
    zorro = model()
    rows = [{**row, "num_groups": row["num_groups"]["audio"]} for row in LEVELS]
    alone = HiPBackbone({"audio": STREAMS["audio"]}, rows, embed_dim=7)
    theirs = {weight.path.replace("audio_latents", "all_latents"): weight for weight in zorro.weights}
    for weight in alone.weights:
        weight.assign(array(theirs[weight.path]))
    expected = run(alone, {"audio": clips(streams=STREAMS)["audio"]})["latents"]
    found = levels_of(zorro, clips(streams=STREAMS))[-1]["audio"][:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_padded_elements_are_not_read_and_a_stream_of_padding_alone_is_absent():
    inputs, poisoned = clips(streams=STREAMS), clips(streams=STREAMS)
    poisoned["audio"][0], poisoned["audio"][1, 4:] = np.nan, np.inf
    marks = {"padding_mask": {"audio": np.arange(6) < np.array([[0], [4]])}}
    before, after = run(model(), {**inputs, **marks}), run(model(), {**poisoned, **marks})
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
    without = run(model(), {"video": inputs["video"]})
    assert (before["audio"][0] == 0).all() and (before["audio"][1] != 0).any()
    for name in without:
        np.testing.assert_allclose(before[name][0], without[name][0], atol=1e-4)
        assert (name == "video") == np.allclose(before[name][1], without[name][1], atol=1e-4)


def test_fusion_may_begin_at_a_later_level():
    first = {**LEVELS[0], "num_groups": {"audio": 2, "video": 4}}
    later, inputs = build(levels=[first, LEVELS[1]]), clips(streams=STREAMS)
    assert set(levels_of(later, inputs)[0]) == {"audio", "video"}
    before, after = run(later, inputs), run(later, with_a_change("video", 3, inputs))
    assert (before["audio"] == after["audio"]).all() and (before["fusion"] != after["fusion"]).any()


def test_the_last_level_may_think_with_fewer_latents_than_it_has():
    backbone, inputs = build(num_train_latents=2), clips(streams=STREAMS)
    fewer = compiled(lambda inputs: backbone.answer(inputs, num_latents=3))(inputs)
    whole = run(backbone, inputs)
    assert {name: x.shape for name, x in fewer.items()} == {name: x.shape for name, x in whole.items()}
    assert all((array(fewer[name]) != whole[name]).any() for name in whole)
    assert [level.num_train_latents for level in backbone.hip.levels] == [None, 2]


# === The way back ===


@pytest.mark.slow
def test_streams_are_rebuilt_from_their_own_groups_alone():
    backbone, inputs = build(decoder_levels=BACK), clips(streams=STREAMS)
    before = run(backbone, inputs)
    assert before["audio_reconstruction"].shape == (2, 6, 5)
    assert before["video_reconstruction"].shape == (2, 11, 2)
    after = run(backbone, with_a_change("video", 0, inputs))
    moved = {name for name in before if (before[name] != after[name]).any()}
    assert moved == {"video", "fusion", "global", "video_reconstruction"} == backbone.dependents("video")
    assert set(run(backbone, {"audio": inputs["audio"]})) == {
        *("audio", "fusion", "global"),
        "audio_reconstruction",
    }


def test_the_encoding_half_gives_the_same_outputs_without_the_way_back():
    backbone, inputs = build(decoder_levels=BACK), clips(streams=STREAMS)
    whole, half = run(backbone, inputs), run(backbone.encoding_half(), inputs)
    assert set(half) == {"audio", "video", "fusion", "global"}
    for name, output in half.items():
        np.testing.assert_allclose(output, whole[name], atol=1e-5)


# === Sizes ===


@pytest.mark.slow
def test_the_published_size_deals_its_groups_out_among_the_streams():
    backbone = without_numbers(ZorroHiPBackbone.from_variant, "16", PAPER_STREAMS)
    assert [row["num_groups"] for row in backbone.levels] == [
        {"audio": 2, "video": 8, "fusion": 4},
        {"audio": 1, "video": 2, "fusion": 1},
        {"audio": 1, "video": 1, "fusion": 1},
        {"audio": 1, "video": 1, "fusion": 1},
    ]
    assert backbone.output["global"].shape == (None, 1024)
    # Levels 1 to 3 are HiP-16's, but for two more tables of latents after the groups are joined.
    tables = [256 * 256 * 4, 256 * 512 * 3, 64 * 1024 * 3]
    assert [level.count_params() for level in backbone.hip.levels[1:]] == [
        shared + table for shared, table in zip((1_811_328, 57_665_280, 28_872_192), tables, strict=True)
    ]
    assert backbone.count_params() == 97_684_992


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["mini", "256", "16x3"])
def test_other_published_sizes_build_for_streams_of_any_number(variant):
    streams = {**PAPER_STREAMS, "depth": zs.Image(64, 64, 1)}
    backbone = without_numbers(ZorroHiPBackbone.from_variant, variant, streams, reconstructs=True)
    assert set(backbone.output) == {
        *(*streams, "fusion", "global"),
        *(f"{name}_reconstruction" for name in streams),
    }


def test_columns_replace_the_published_sizes_and_may_be_of_other_levels():
    columns = {"num_groups": [8, 3], "num_latents": [4, 5], "hidden_dim": [6, 10]}
    backbone = ZorroHiPBackbone.from_variant("mini", STREAMS, columns={**columns, "num_heads": [2, 5]})
    assert backbone.levels == [
        {**SIZES, "num_layers": 2, "num_groups": {"audio": 2, "video": 4, "fusion": 2}, "num_latents": 4},
        {"num_groups": {"audio": 1, "video": 1, "fusion": 1}, "num_latents": 5}
        | {"num_layers": 1, "hidden_dim": 10, "num_heads": 5},
    ]
    with pytest.raises(ValueError, match="each of the 2 levels; .* Received: .*[4, 5, 6]"):
        ZorroHiPBackbone.from_variant("mini", STREAMS, columns={"num_latents": [4, 5, 6]})
    one = {"num_groups": [3], "num_layers": [1], "num_latents": [2], "hidden_dim": [6], "num_heads": [2]}
    assert len(ZorroHiPBackbone.from_variant("mini", STREAMS, columns=one).levels) == 1


# === What does not fit together ===


def groups(place, **counts):
    """Returns the levels with other groups at one of them."""
    levels = [dict(row) for row in LEVELS]
    levels[place]["num_groups"] = counts
    return {"levels": levels}


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"levels": []}, "`levels` must be one at least"),
        ({"levels": [{**LEVELS[0], "num_groups": 3}, LEVELS[1]]}, "with `num_groups` by stream. Received"),
        (groups(0, audio=2, fusion=3), r"level 0 must name \['audio', 'video'\].* Received: {'audio': 2"),
        (groups(1, audio=1, video=1), "level 1 must name .*'fusion'.* one that has begun goes on"),
        (groups(0, audio=2, video=4, depth=1), r"learned streams of \['audio', 'video', 'fusion'\]"),
        (groups(0, audio=5, video=4, fusion=1), "The 5 groups of `audio` at level 0 .* its 6 elements"),
        (groups(1, audio=0, video=4, fusion=1), "The 0 groups of `audio` at level 1 .* its 6 elements"),
        ({"decoder_levels": [{**BACK[0], "num_latents": 5}]}, "must mirror the groups of the given streams"),
        ({"regrouping": "mix"}, "`regrouping` must be one of .* Received: 'mix'"),
        ({"routing": Routing.zorro(["audio"])}, r"no reads for \['video'\]"),
    ],
)
def test_what_does_not_fit_together_is_explained(wrong, message):
    with pytest.raises(ValueError, match=message):
        build(**wrong)


def test_a_learned_stream_must_have_groups_in_the_end():
    levels = [{**row, "num_groups": {"audio": 1, "video": 1}} for row in LEVELS]
    with pytest.raises(ValueError, match="The last level must have groups for all of .*'fusion'"):
        build(levels=levels)
