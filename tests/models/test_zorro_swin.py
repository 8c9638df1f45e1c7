"""Zorro on Swin: what its fusion tokens read, when, and at what cost."""

import math

import numpy as np
import pytest

from tests.backend import array, compiled
from tests.without_numbers import without_numbers
from zorro_keras import layers
from zorro_keras import streams as zs
from zorro_keras.models import ZorroSwinBackbone
from zorro_keras.routing import Routing

STREAMS = {
    "audio": zs.Spectrogram(frames=6, bins=10, patch=(3, 5)),
    "video": zs.Video(frames=4, height_px=6, width_px=10, patch=(2, 3, 5)),
}
SIZES = {"num_layers": (1, 2), "num_heads": (1, 2), "hidden_dim": 6, "mlp_ratio": 2, "num_fusion_tokens": 3}

PAPER_STREAMS = {
    "audio": zs.Spectrogram(640, 128, patch=(4, 4)),
    "video": zs.Video(8, 224, 224, patch=(2, 4, 4)),
}


def build(streams=STREAMS, **overrides):
    return ZorroSwinBackbone(streams, **{**SIZES, **overrides})


# === The fusion row ===


def normalised(x, norm):
    gamma, beta = (array(weight) for weight in norm.weights)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + norm.epsilon) * gamma + beta


def dense(x, layer):
    kernel, bias = (array(weight) for weight in layer.weights)
    return x @ kernel + bias


def erf_gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax(x):
    weights = np.exp(x - x.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def fusion_block():
    """Returns a block of weights that matter, its tokens and two sources."""
    random = np.random.default_rng(0)
    block = layers.FusionBlock(["a", "b"], num_heads=2, mlp_dim=11)
    block.build((None, 3, 6))
    for weight in block.weights:
        weight.assign(random.normal(size=weight.shape))
    return block, *(random.normal(size=(2, length, 6)).astype("float32") for length in (3, 5, 7))


def test_fusion_reads_all_sources_and_itself_by_one_softmax():
    """Line by line: z += MHA(LN z, [LN_a a; LN_b b; LN z]); z += MLP(LN z)."""
    block, tokens, a, b = fusion_block()
    attention = block.attention
    own = normalised(tokens, block.attention_norm)
    context = np.concatenate(
        [normalised(a, block.source_norms["a"]), normalised(b, block.source_norms["b"]), own], axis=1
    )
    query, key, value = (
        dense(x, layer).reshape(2, -1, 2, 3).transpose(0, 2, 1, 3)  # B N T H
        for x, layer in (
            (own, attention.query_dense),
            (context, attention.key_dense),
            (context, attention.value_dense),
        )
    )
    read = softmax(query @ key.swapaxes(-1, -2) / math.sqrt(3)) @ value
    expected = tokens + dense(read.transpose(0, 2, 1, 3).reshape(2, 3, 6), attention.output_dense)
    hidden = erf_gelu(dense(normalised(expected, block.mlp_norm), block.mlp.hidden_dense))
    expected = expected + dense(hidden, block.mlp.output_dense)
    found = array(block(tokens, {"b": b, "a": a}))  # in any order
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


def test_a_hidden_or_missing_source_is_not_read():
    block, tokens, a, b = fusion_block()
    alone = array(block(tokens, {"b": b}))
    mask = np.ones((2, 1, 15), bool)
    mask[:, :, :5] = False
    np.testing.assert_allclose(array(block(tokens, {"a": a, "b": b}, attention_mask=mask)), alone, atol=1e-5)
    assert np.abs(array(block(tokens, {"a": a, "b": b})) - alone).max() > 1e-3
    assert array(block(tokens, {})).shape == (2, 3, 6)
    with pytest.raises(ValueError, match=r"`contexts` must be of \['a', 'b'\]. Received: unknown \['c'\]"):
        block(tokens, {"c": a})


# === Sizes ===


def num_fusion_weights(backbone):
    fusion = [layer for layer in backbone.layers if layer.name.startswith("fusion_")]
    return sum(math.prod(weight.shape) for layer in fusion for weight in layer.weights)


def expected_fusion_weights(width, depths, tokens=16, sources=2):
    """Attention 4 D^2 + 4 D, MLP 8 D^2 + 5 D, two norms and one a source; widening; tokens; a last norm."""
    total = tokens * width
    for stage, depth in enumerate(depths):
        channels = width * 2**stage
        total += depth * (12 * channels**2 + 9 * channels + (2 + sources) * 2 * channels)
        total += channels**2 // 2 + channels if stage else 0  # a norm of C / 2, and C / 2 to C
    return total + 2 * width * 2 ** (len(depths) - 1)


@pytest.mark.slow
@pytest.mark.parametrize("variant, every, width, depths, millions", [
    ("tiny", "block", 96, (2, 2, 6, 2), 26.3),
    ("tiny", "stage", 96, (1, 1, 1, 1), 9.8),
    ("small", "block", 96, (2, 2, 18, 2), 47.6),
    ("base", "block", 128, (2, 2, 18, 2), 84.6),
    ("base", "stage", 128, (1, 1, 1, 1), 17.4),
])  # fmt: skip
def test_fusion_has_a_block_for_each_time_it_reads(variant, every, width, depths, millions):
    made = without_numbers(ZorroSwinBackbone.from_variant, variant, PAPER_STREAMS, fusion_every=every)
    assert num_fusion_weights(made) == expected_fusion_weights(width, depths)
    assert num_fusion_weights(made) / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.slow
def test_beside_the_fusion_there_is_a_published_swin_for_each_stream():
    backbone = without_numbers(ZorroSwinBackbone.from_variant, "tiny", PAPER_STREAMS)
    prefixed = dict.fromkeys(("audio", "video"), 0)
    for weight in backbone.weights:
        for name in prefixed:
            prefixed[name] += math.prod(weight.shape) if weight.path.startswith(f"{name}_") else 0
    # A window of 10 x 8 has 19 x 15 offsets where 7 x 7 has 13 x 13; a patch has one channel and not three.
    heads = sum(depth * heads for depth, heads in zip((2, 2, 6, 2), (3, 6, 12, 24), strict=True))
    assert prefixed == {
        "video": 27_850_470,
        "audio": 27_519_354 + heads * (19 * 15 - 13 * 13) - 2 * 16 * 96,
    }


# === When and whom the fusion tokens read ===


def test_learned_streams_read_what_their_routing_says():
    routing = Routing(
        {"audio": ["audio"], "video": ["video"], "ears": ["audio", "ears"], "both": ["video", "ears", "both"]}
    )
    backbone = build(routing=routing)
    assert backbone.dependents("video") == {"video", "both", "global"}
    assert set(backbone.output) == {"audio", "video", "ears", "both", "global"}
    random = np.random.default_rng(0)
    inputs = {name: random.normal(size=(2, *x.shape)).astype("float32") for name, x in STREAMS.items()}
    answer = compiled(lambda inputs: backbone(inputs))
    before, after = answer(inputs), answer({**inputs, "video": -inputs["video"]})
    moved = {name for name in before if (array(before[name]) != array(after[name])).any()}
    assert moved == {"video", "both", "global"}


def test_without_learned_streams_it_is_a_swin_for_each():
    backbone = build(routing=Routing.late(STREAMS))
    assert set(backbone.output) == {"audio", "video", "global"}
    assert not [layer for layer in backbone.layers if "fusion" in layer.name]


@pytest.mark.parametrize("wrong, message", [
    ({"routing": Routing.early(STREAMS)}, r"must read itself alone, .* Received: `audio` reads"),
    ({"streams": {"gaze": zs.Embeddings(7, 3)}}, "`gaze` must be cut along two or three axes"),
    ({"windows": {"audio": (2, 2, 2)}}, "a size for each cut axis. Received: windows="),
    ({"windows": {"sound": (2, 2)}}, "a size for each cut axis. Received: windows="),
    ({"fusion_every": "layer"}, "must be \"block\" or \"stage\". Received: fusion_every='layer'"),
    ({"num_layers": (1,)}, "must have a positive number for each stage"),
    ({"num_fusion_tokens": 0}, "must be positive. Received: num_fusion_tokens=0"),
])  # fmt: skip
def test_nonsense_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        build(**wrong)


def test_padding_masks_are_refused():
    inputs = {"audio": np.zeros((2, 6, 10), "float32"), "padding_mask": {"audio": np.ones((2, 4), bool)}}
    with pytest.raises(
        ValueError, match=r"leave `padding_mask` out .* Received: padding masks of \['audio'\]"
    ):
        build()(inputs)
