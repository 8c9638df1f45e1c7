"""Weights in DeepMind's layout go through the importer, and the outputs are those of DeepMind's code."""

import functools

import pytest

from tests.weights.golden import CASES, LEFT_OUT, Golden, run, set_chunks
from zorro_keras import weights
from zorro_keras.layers import NeighbourhoodStem

MODELS = {
    "perceiver_language": "language",
    "perceiver_image_learned": "image_learned",
    "perceiver_image_fourier": "image_fourier",
    "perceiver_image_conv": "image_conv",
    "perceiver_flow": "optical_flow",
    "perceiver_multimodal_autoencoder": "autoencoder",
}
PARTS = {"fourier_positions", "perceiver_encoder_masks", "perceiver_shared_blocks"}  # test_golden_layers.py
WITHOUT_IMPORT = {"hip_tiny", "hip_tiny_five_blocks"}  # test_golden_hip.py
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


@pytest.fixture
def watch(monkeypatch):
    """Returns a function of a layer: a dict of what its next call is given and returns."""

    def watch(layer):
        seen, call = {}, layer.call

        def noted(*arguments, **options):
            seen["given"] = arguments
            seen["returned"] = call(*arguments, **options)
            return seen["returned"]

        monkeypatch.setattr(layer, "call", noted)
        return seen

    return watch


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
def test_the_language_model_gives_the_published_numbers(chunk, imported, watch):
    case, backbone = golden("perceiver_language"), imported("perceiver_language").backbone
    set_chunks(backbone, chunk)
    decoder = watch(backbone.decoder)

    def outputs(given):
        latents = backbone.encode({"text": given["ids"], "padding_mask": {"text": given["input_mask"]}})
        logits = backbone.decode(latents, query_mask={"text": given["query_mask"]})["text"]
        elements = backbone.input_adapters["text"](given["ids"])
        return {
            "logits": logits,
            "intermediate/latents": latents,
            "intermediate/decoded": decoder["returned"],
            "intermediate/preprocessed_inputs": elements,
        }

    masks = {name: case.inputs[name].astype(bool) for name in ("input_mask", "query_mask")}
    case.check(run(outputs, {"ids": case.inputs["ids"], **masks}))


@pytest.mark.parametrize(
    ("name", "chunk"),
    [
        ("perceiver_image_learned", None),
        ("perceiver_image_conv", None),
        *(("perceiver_image_fourier", chunk) for chunk in (None, 50)),
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
    """From the frames themselves to the picture of their flow."""
    case, backbone = golden("perceiver_flow"), imported("perceiver_flow").backbone
    set_chunks(backbone, 50)

    def outputs(given):
        latents = backbone.encode(given)
        return {
            "flow": backbone.decode(latents, inputs=given)["flow"],
            "intermediate/latents": latents,
            "intermediate/preprocessed_inputs": backbone.input_adapters["frames"](given["frames"]),
            "intermediate/patches": NeighbourhoodStem()(given["frames"]),
        }

    results = run(outputs, case.inputs)
    assert results["flow"].shape == case.outputs["flow"].shape == (2, 13, 19, 2)
    case.check(results)


@pytest.mark.parametrize("label", golden("perceiver_multimodal_autoencoder").runs())
def test_the_autoencoder_gives_the_published_numbers(label, imported, watch):
    name = "perceiver_multimodal_autoencoder"
    case, backbone = golden(name), imported(name).backbone
    encoder, decoder = watch(backbone.encoder), watch(backbone.decoder)

    def outputs(given):
        given = dict(given)
        rows = {name: given.pop(f"{name}_indices") for name in ("audio", "image")}
        latents = backbone.encode(given)
        results = backbone.decode(latents, rows=rows)
        inside = {
            "latents": latents,
            "preprocessed_inputs": encoder["given"][0],
            "decoder_queries": decoder["given"][1],
        }
        results = {f"{label}/{name}": value for name, value in results.items()}
        results |= {f"intermediate/{label}/{name}": value for name, value in inside.items()}
        return {name: value for name, value in results.items() if name in case.outputs}

    asked = case.config["runs"][label]
    inputs = {"image": case.inputs["video"], "audio": case.inputs["audio"][..., 0]}
    inputs |= {name: case.inputs[asked[name]] for name in ("audio_indices", "image_indices")}
    if label == "label_visible":
        inputs["label"] = case.inputs["label"][:, None]
    case.check(run(outputs, inputs), label)


@pytest.mark.parametrize("name", CASES)
def test_every_reference_number_is_compared_or_left_out_for_a_reason(name):
    """`Golden.check` asks for all outputs of a run: here, that no output is of none."""
    case, left_out = golden(name), LEFT_OUT.get(name, {})
    compared = set().union(*map(case.outputs_of, case.runs()))
    assert compared | set(left_out) == set(case.outputs) and not compared & set(left_out)
    assert name in PARTS | WITHOUT_IMPORT | set(MODELS)


def test_another_numbers_semantics_is_seen():
    """A positive control: with the other GELU a case fails."""
    case = golden("perceiver_language")
    checkpoint = weights.Checkpoint.recognise({**case.parameters})
    backbone = weights.convert(checkpoint, "hugging_face", sizes=case.sizes()).backbone

    def outputs(given):
        return {"intermediate/latents": backbone.encode(given)}

    with pytest.raises(AssertionError, match="intermediate/latents: .* instead of at most"):
        case.check(run(outputs, {"text": case.inputs["ids"]}), "latents")
