"""Layers with weights in DeepMind's layout, and positions, give the numbers of DeepMind's code."""

import functools

import numpy as np
import pytest

from tests.backend import array
from tests.weights.golden import Golden, run, set_chunks
from zorro_keras import layers, streams, weights
from zorro_keras.models import PerceiverIOBackbone
from zorro_keras.weights import names
from zorro_keras.weights.axes import arrays_of
from zorro_keras.weights.load import variables_of

golden = functools.cache(Golden)


def perceiver_of_vectors(case, output):
    """Returns a backbone of the case's sizes that reads vectors: its weights do not say of what."""
    encoder, decoder = case.config["encoder"], case.config["decoder"]
    width, queries = encoder["latent_channels"], decoder["queries"]
    return PerceiverIOBackbone(
        {
            "vectors": layers.InputAdapter(
                streams.Embeddings(case.config["num_inputs"], case.config["input_channels"])
            )
        },
        layers.PerceiverEncoder(
            encoder["num_latents"],
            width,
            encoder["self_attention_layers_per_block"],
            encoder["num_blocks"],
            encoder["self_attention_heads"],
            encoder["cross_attention_heads"],
            mlp_dim=width * encoder["self_attention_mlp_widening"],
            cross_mlp_dim=width * encoder["cross_attention_mlp_widening"],
        ),
        {
            "label": layers.OutputAdapter(
                layers.LearnedArray(queries["table_rows"], queries["channels"]), output
            )
        },
        layers.PerceiverDecoder(
            decoder["cross_attention_heads"],
            query_residual=decoder["query_residual"],
            output_dim=None if output else decoder["final_linear_channels"],
        ),
    )


def given_weights(case, rows, backbone):
    """Gives the backbone a case's parameters along rows of names, all of them."""
    assert {row.deepmind for row in rows} == set(case.parameters)
    checkpoint = weights.Checkpoint("deepmind", "", case.parameters)
    arrays = arrays_of(checkpoint, rows)
    for row, variable in variables_of(backbone, arrays).items():
        variable.assign(arrays[row])


def test_repeated_blocks_share_their_weights():
    case = golden("perceiver_shared_blocks")
    backbone = perceiver_of_vectors(case, layers.ClassificationHead(case.config["num_classes"]))
    given_weights(case, names.rows("image_fourier", 2), backbone)

    def outputs(given):
        latents = backbone.encode(given)
        return {"latents": latents, "logits": backbone.decode(latents)["label"]}

    case.check(run(outputs, {"vectors": case.inputs["inputs"]}))


@pytest.mark.parametrize("chunk", [None, 5])
def test_what_may_read_nothing_gives_the_published_numbers(chunk):
    case = golden("perceiver_encoder_masks")
    backbone = perceiver_of_vectors(case, None)
    given_weights(case, _masked_rows(), backbone)
    set_chunks(backbone, chunk)

    def outputs(given):
        found = {}
        for label, masks in case.config["runs"].items():
            hidden = {"vectors": given["input_mask"]} if masks["input_mask"] else {}
            asked = {"label": given["query_mask"]} if masks["query_mask"] else None
            latents = backbone.encode({"vectors": given["vectors"], "padding_mask": hidden})
            found[f"{label}/latents"] = latents
            found[f"{label}/decoded"] = backbone.decode(latents, query_mask=asked)["label"]
        return found

    masks = {name: case.inputs[name].astype(bool) for name in ("input_mask", "query_mask")}
    case.check(run(outputs, {"vectors": case.inputs["inputs"], **masks}))


def _masked_rows():
    linear = (
        ("kernel", "w", "matrix", ("query_dim", "output_dim")),
        ("bias", "b", "vector", ("output_dim",)),
    )
    table = "basic_decoder/~/trainable_position_encoding/pos_embs"
    return (
        *names.encoder(2),
        *names.decoder("basic_decoder"),
        names.Row("output_adapters.label.queries.array", table, "", "table", ("queries", "query_dim")),
        *(
            names.Row(f"decoder.output_dense.{ours}", f"basic_decoder/output/{leaf}", "", form, axes)
            for ours, leaf, form, axes in linear
        ),
    )


@pytest.mark.parametrize("name", golden("fourier_positions").config["tables"])
def test_fourier_positions_are_the_published_ones(name):
    case = golden("fourier_positions")
    table = case.config["tables"][name]
    positions = layers.FourierPositions(
        table["grid"],
        table["num_bands"],
        table["max_resolution"],
        table["concat_positions"],
        table["sine_only"],
        endpoint=table["source"] != "subsampled",
    )
    if table["source"] == "given_positions":
        codes = array(positions.at(case.inputs[table["positions"]]))
    elif table["source"] == "subsampled":
        codes = array(positions(np.zeros((1, 1), "float32"), rows=case.inputs[table["indices"]]))[0]
    else:
        codes = positions.table(table["grid"])
        codes = codes[case.inputs[table["indices"]]] if table["source"] == "dense_rows" else codes
    case.check({name: codes}, name)


@pytest.mark.parametrize("name", golden("fourier_positions").config["position_grids"])
def test_the_positions_themselves_are_the_published_ones(name):
    case = golden("fourier_positions")
    grid, rows = (case.config["position_grids"][name].get(key) for key in ("grid", "indices"))
    positions = layers.FourierPositions(grid, num_bands=1, endpoint=rows is None)
    codes = positions(np.zeros((1, 1), "float32"), rows=None if rows is None else case.inputs[rows])
    case.check({name: array(codes)[0, :, : len(grid)]}, name)
