"""Weights in DeepMind's layout go through the importer, and the outputs are those of DeepMind's code."""

import functools

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from tests.weights.golden import Golden
from zorro_keras import layers, streams, weights
from zorro_keras.models import PerceiverIOBackbone
from zorro_keras.weights import names
from zorro_keras.weights.axes import arrays_of
from zorro_keras.weights.load import assign

MODELS = {
    "perceiver_language": "language",
    "perceiver_image_learned": "image_learned",
    "perceiver_image_fourier": "image_fourier",
    "perceiver_image_conv": "image_conv",
    "perceiver_flow": "optical_flow",
    "perceiver_multimodal_autoencoder": "autoencoder",
}
SEEDS = {"input_join/seed_generator/seed_generator_state"}
CHUNKS = (None, 5)
golden = functools.cache(Golden)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Returns a function from a case to its conversion: the case's weights, pickled, read and imported."""

    @functools.cache
    def convert(name):
        path = tmp_path_factory.mktemp(name) / "weights.pystate"
        path.write_bytes(golden(name).pickled())
        return weights.convert(weights.read_checkpoint(path), sizes=golden(name).sizes())

    return convert


def set_chunks(backbone, chunk):
    """Makes the encoder read so many keys at a time and the decoder answer so many queries at a time."""
    backbone.encoder.cross_attention.attention.key_chunk = chunk
    backbone.decoder.query_chunk = chunk


def run(function, arrays):
    """Returns what a function of a dict of tensors computes when compiled, as numpy arrays."""
    given = {name: keras.ops.convert_to_tensor(value) for name, value in arrays.items()}
    return {name: array(value) for name, value in compiled(function)(given).items()}


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_of_a_case_is_used_once(name, imported):
    backbone, report = imported(name)
    assert (report.model, report.origin, report.semantics) == (MODELS[name], "deepmind", "deepmind")
    unused = set(report.unused)
    assert {use.source for use in report.used} | unused == set(golden(name).parameters) | set(
        golden(name).state
    )
    assert len(report.used) == len({use.weight for use in report.used})
    assert {use.weight for use in report.used} == {weight.path for weight in backbone.weights} - SEEDS
    assert all(name.endswith(("hidden", "counter")) for name in unused)


@pytest.mark.parametrize("chunk", CHUNKS)
def test_the_language_model_gives_the_published_numbers(chunk, imported):
    case, backbone = golden("perceiver_language"), imported("perceiver_language").backbone
    set_chunks(backbone, chunk)

    def outputs(given):
        latents = backbone.encode({"text": given["ids"], "padding_mask": {"text": given["input_mask"]}})
        logits = backbone.decode(latents, query_mask={"text": given["query_mask"]})["text"]
        elements = backbone.input_adapters["text"](given["ids"])
        return {
            "logits": logits,
            "intermediate/latents": latents,
            "intermediate/preprocessed_inputs": elements,
        }

    masks = {name: case.inputs[name].astype(bool) for name in ("input_mask", "query_mask")}
    case.check(run(outputs, {"ids": case.inputs["ids"], **masks}))


@pytest.mark.parametrize(
    ("name", "chunk"),
    [
        ("perceiver_image_learned", None),
        ("perceiver_image_conv", None),
        *(("perceiver_image_fourier", chunk) for chunk in CHUNKS),
    ],
)
def test_the_image_models_give_the_published_numbers(name, chunk, imported):
    case, backbone = golden(name), imported(name).backbone
    set_chunks(backbone, chunk)

    def outputs(given):
        latents = backbone.encode(given)
        return {
            "logits": backbone.decode(latents)["label"],
            "intermediate/latents": latents,
            "intermediate/preprocessed_inputs": backbone.input_adapters["image"](given["image"]),
        }

    case.check(run(outputs, {"image": case.inputs["images"]}))


def test_optical_flow_gives_the_published_numbers(imported):
    case, backbone = golden("perceiver_flow"), imported("perceiver_flow").backbone
    set_chunks(backbone, 50)

    def outputs(given):
        latents = backbone.encode(given)
        return {
            "flow": backbone.decode(latents, inputs=given)["flow"],
            "intermediate/latents": latents,
            "intermediate/preprocessed_inputs": backbone.input_adapters["neighbourhoods"](
                given["neighbourhoods"]
            ),
        }

    frames = case.outputs["intermediate/patches"]  # (B, frame, row, column, 27)
    case.check(run(outputs, {"neighbourhoods": np.concatenate([frames[:, 0], frames[:, 1]], axis=-1)}))


@pytest.mark.parametrize("label", ["subsampled", "label_visible"])
def test_the_autoencoder_gives_the_published_numbers(label, imported):
    case, backbone = golden("perceiver_multimodal_autoencoder"), imported(
        "perceiver_multimodal_autoencoder"
    ).backbone  # fmt: skip

    def outputs(given):
        given = dict(given)
        rows = {name: given.pop(f"{name}_indices") for name in ("audio", "image")}
        latents = backbone.encode(given)
        results = backbone.decode(latents, rows=rows)
        return {f"{label}/{name}": value for name, value in results.items()} | {
            f"intermediate/{label}/latents": latents
        }

    inputs = {"image": case.inputs["video"], "audio": case.inputs["audio"][..., 0]}
    inputs |= {name: case.inputs[name] for name in ("audio_indices", "image_indices")}
    if label == "label_visible":
        inputs["label"] = case.inputs["label"][:, None]
    case.check(run(outputs, inputs))


def perceiver_of_vectors(case, output):
    """Returns a backbone of the case's sizes that reads vectors: its weights do not say of what."""
    encoder, decoder, width = case.config["encoder"], case.config["decoder"], case.config["input_channels"]
    width = encoder["latent_channels"]
    queries = decoder["queries"]
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
    assign(backbone, arrays_of(checkpoint, rows))


def test_repeated_blocks_share_their_weights():
    case = golden("perceiver_shared_blocks")
    backbone = perceiver_of_vectors(case, layers.ClassificationHead(case.config["num_classes"]))
    given_weights(case, names.rows("image_fourier", 2), backbone)

    def outputs(given):
        latents = backbone.encode(given)
        return {"latents": latents, "logits": backbone.decode(latents)["label"]}

    case.check(run(outputs, {"vectors": case.inputs["inputs"]}))


@pytest.mark.parametrize("chunk", CHUNKS)
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
    case.check({name: codes})


def test_another_numbers_semantics_is_seen():
    """A positive control: with the other GELU a case fails."""
    case = golden("perceiver_language")
    checkpoint = weights.Checkpoint.recognise({**case.parameters})
    backbone = weights.convert(checkpoint, "hugging_face", sizes=case.sizes()).backbone

    def outputs(given):
        return {"intermediate/latents": backbone.encode(given)}

    with pytest.raises(AssertionError, match="intermediate/latents"):
        case.check(run(outputs, {"text": case.inputs["ids"]}))
