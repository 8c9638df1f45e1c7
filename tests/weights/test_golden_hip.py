"""HiP with the weights of the published code gives its numbers, level by level; each mistake shows."""

import dataclasses
import functools

import keras
import numpy as np
import pytest

from tests.weights.golden import Golden, nested, run
from zorro_keras import streams as zs
from zorro_keras.models import HiPBackbone
from zorro_keras.models.stream_inputs import StreamInputs

RUNS = [
    ("hip_tiny", "reshape"),
    ("hip_tiny_five_blocks", "reshape"),
    ("hip_tiny_five_blocks", "transpose_reshape"),
]
golden = functools.cache(Golden)


def sizes(case):
    rows = [
        {
            "num_groups": block["groups"],
            "num_layers": block["self_attention_layers"],
            "num_latents": block["latents_per_group"],
            "hidden_dim": block["channels"],
            "num_heads": block["self_attention_heads"],
        }
        for block in case.config["blocks"]
    ]
    processor = case.config["processor_block"]
    return {"levels": rows[: processor + 1], "decoder_levels": rows[processor + 1 :]}


@functools.cache
def published(name):
    """Returns a backbone of a case's sizes with its weights, each of them used once."""
    case = golden(name)
    streams = {
        row["name"]: zs.Embeddings(row["length"], row["channels"]) for row in case.config["modalities"]
    }
    backbone = HiPBackbone(streams, embed_dim=case.config["embedding_channels"], **sizes(case))
    theirs = nested(case.parameters)
    unused = set(theirs)
    for module, layer in modules(backbone).items():
        assign(layer, theirs[f"perceiver/{module}"])
        unused.remove(f"perceiver/{module}")
    assert not unused
    return backbone


def assign(layer, leaves):
    """Gives a layer the leaves of one Haiku module."""
    names = {"w": "kernel", "b": "bias", "scale": "gamma", "offset": "beta", "pos_embs": "array"}
    assert len(layer.weights) == len(leaves)
    for leaf, value in leaves.items():
        getattr(layer, names[leaf]).assign(value)


def modules(backbone):
    """Returns the layers of a backbone by the name of their Haiku module."""
    parts, found = backbone.parts, {}
    for name in backbone.streams:
        found[f"embedder/~embed/embed_{name}"] = parts.embeddings[name].embedding
        found[f"embedder/~unembed/unembed_{name}"] = parts.unembeddings[name]
        found[f"position_encoder/pos_emb_mae_{name}"] = parts.positions[name]
    for index, level in enumerate([*parts.encoder, parts.processor, *parts.decoder]):
        place = f"block_{index}/~"
        found[f"{place}/hi_p_cross_attention/query_inputs"] = level.latents["all"]
        if level.skip_dense is not None:
            found[f"{place}/hi_p_cross_attention/pre_attention_residual_linear"] = level.skip_dense
        found |= cross_modules(f"{place}/hi_p_cross_attention", level.cross_attention)
        for layer, block in enumerate(level.blocks):
            inner = f"{place}/self_attend_id_{layer}"
            found[f"{inner}/layer_norm"] = block.attention_norm
            found[f"{inner}/layer_norm_1"] = block.mlp_norm
            found |= attention_modules(inner, block)
    return found | cross_modules("reconstruction_head/hi_p_cross_attention", parts.head.cross_attention)


def cross_modules(place, block):
    norms = [block.query_norm, block.context_norm, block.mlp_norm]
    names = ["layer_norm", "layer_norm_1", "layer_norm_2"]
    found = {f"{place}/{name}": norm for name, norm in zip(names, norms, strict=True)}
    return found | attention_modules(place, block)


def attention_modules(place, block):
    attention = block.attention
    return {
        f"{place}/attention/query_linear": attention.query_dense,
        f"{place}/attention/key_linear": attention.key_dense,
        f"{place}/attention/value_linear": attention.value_dense,
        f"{place}/attention/attention_output_linear": attention.output_dense,
        f"{place}/dense/mlp_hidden_linear": block.mlp.hidden_dense,
        f"{place}/dense/mlp_output_linear": block.mlp.output_dense,
    }


def outputs(backbone, label, **options):
    """Returns a function of the inputs to all outputs of a run, as published but for some options."""
    parts = dataclasses.replace(backbone.parts, **{"regrouping": label, "read_padding": True, **options})

    def answer(given):
        levels = parts.encode(StreamInputs(given))
        expanded = parts.expand(levels)
        decoded = parts.decode(levels, backbone.streams)
        found = {f"{label}/reconstruction/{name}": x for name, x in decoded.items()}
        layout = parts.layout(backbone.streams)
        found |= cut_latents(expanded[-1], layout, label)
        queries = parts.queries(expanded[-1], layout)
        found[f"intermediate/{label}/reconstruction_queries"] = queries
        found[f"intermediate/{label}/reconstruction_head"] = parts.read(expanded[-1], queries)
        for index, level in enumerate([*levels, *expanded]):
            found[f"intermediate/{label}/block_{index}"] = level
        return found

    return answer


def cut_latents(latents, layout, label):
    """Returns the last latents by stream as published: without as many as the stream has padding."""
    found, start = {}, 0
    for name, count in layout.groups.items():
        groups = latents[:, start : start + count]
        rows = count * latents.shape[2]
        flat = keras.ops.reshape(groups, (-1, rows, latents.shape[3]))
        found[f"{label}/latents/{name}"] = flat[:, : rows - layout.padding[name]]
        start += count
    return found


@pytest.mark.parametrize("name, label", RUNS)
def test_published_weights_give_the_published_numbers(name, label):
    case = golden(name)
    case.check(run(outputs(published(name), label), case.inputs), label)


@pytest.mark.parametrize(
    "options", [{"read_padding": False}, {"regrouping": "transpose_reshape"}], ids=["masked", "regrouped"]
)
def test_an_option_that_is_not_the_published_one_shows(options):
    case = golden("hip_tiny_five_blocks")
    results = run(outputs(published(case.name), "reshape", **options), case.inputs)
    assert worst(case, results) > 1000


def test_skips_left_out_or_of_another_group_show():
    case = golden("hip_tiny_five_blocks")
    parts = dataclasses.replace(published(case.name).parts, read_padding=True)

    def answer(given):
        levels, found = parts.encode(StreamInputs(given)), {}
        skips = {
            "right": levels,
            "none": [0 * level for level in levels[:-1]] + levels[-1:],
            "of another group": [keras.ops.flip(levels[0], axis=1), *levels[1:]],
        }
        for kind, given_levels in skips.items():
            found[kind] = parts.expand(given_levels)[-1]
        return found

    results, place = run(answer, case.inputs), "intermediate/reshape/block_4"
    errors = {kind: worst(case, {place: x}) for kind, x in results.items()}
    assert errors["right"] <= 1 and errors["none"] > 1000 and errors["of another group"] > 1000


def worst(case, results):
    """Returns the largest error as a multiple of what is allowed."""
    return max(np.abs(x - case.outputs[name]).max() / case.errors[name] for name, x in results.items())
