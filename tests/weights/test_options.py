"""What a file does not tell is an option: it counts and is reported, or it is refused."""

import tracemalloc

import keras
import numpy as np
import pytest

from tests.backend import array
from tests.weights.files import tensors
from zorro_keras.weights import Checkpoint, WeightsError, convert
from zorro_keras.weights.settings import SIZES, settings_of


def settings(model="image_fourier", origin="hugging_face", config=None, axes=None, semantics=None, **given):
    checkpoint = Checkpoint(origin, model, {}, config or {})
    return settings_of(checkpoint, axes or {}, semantics or origin, **given)


def test_each_setting_says_who_decided_it():
    config = {"num_blocks": 3, "num_self_attention_heads": 2, "hidden_act": "relu"}
    found, reported = settings(
        "image_learned", config=config, axes={"num_pixels": 49}, sizes={"num_heads": 4, "num_cross_heads": 2}
    )
    assert reported == {
        "num_heads": (4, "given"),
        "num_cross_heads": (2, "given"),
        "num_decoder_heads": (1, "published"),
        "num_repeats": (3, "config.json"),
        "size_px": ((7, 7), "shapes"),
        "query_residual": (True, "semantics"),
        "activation": ("relu", "config.json"),
        "attention_dropout_rate": (0.0, "published"),
    }
    assert (found.num_heads, found.num_repeats, found.size_px) == (4, 3, (7, 7))
    _, reported = settings("image_learned", "deepmind", query_residual=True)
    assert reported["query_residual"] == (True, "given")
    _, reported = settings("image_learned", "deepmind")
    assert reported["query_residual"] == (False, "published")


@pytest.mark.parametrize("model", SIZES)
def test_a_size_that_means_nothing_to_a_model_is_refused(model):
    sizes = {
        "size_px": (8, 8),
        "max_resolution": (8, 8),
        "num_frames": 2,
        "num_samples": 32,
        "num_repeats": 2,
    }
    for name, size in sizes.items():
        if name in SIZES[model]:
            assert settings(model, sizes={name: size})[1][name] == (size, "given")
            continue
        with pytest.raises(WeightsError, match=f"`sizes` of {model} may name .*Received: \\['{name}'\\]"):
            settings(model, sizes={name: size})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sizes": {"heads": 3}}, "Received: \\['heads'\\]"),
        ({"sizes": {"num_heads": 0}}, "`num_heads` must be a positive whole number"),
        ({"sizes": {"num_heads": True}}, "`num_heads` must be a positive whole number"),
        ({"sizes": {"num_heads": (2, 2)}}, "`num_heads` must be a positive whole number"),
        ({"sizes": {"num_heads": 2**40}}, "of at most 1048576"),
        ({"sizes": {"size_px": 8}}, "`size_px` must be one whole number for each axis"),
        ({"sizes": {"size_px": (8, 8, 8)}}, "`size_px` must be rows and columns"),
        ({"sizes": {"max_resolution": (8, 0)}}, "`max_resolution` must be a positive whole number"),
        ({"query_residual": "yes"}, "`query_residual` must be a bool"),
        ({"config": {"num_blocks": "3"}}, "`num_repeats` must be a positive whole number"),
        ({"config": {"num_self_attention_heads": -1}}, "`num_heads` must be a positive whole number"),
        ({"config": {"hidden_act": "mish"}}, "`hidden_act` of config.json must be one of"),
        ({"config": {"attention_probs_dropout_prob": 1}}, "_prob` of config.json must be within \\[0, 1\\)"),
        ({"config": {"attention_probs_dropout_prob": "0.1"}}, "must be within"),
        ({"config": {"use_query_residual": False}}, "`use_query_residual` of config.json must be true"),
    ],
)
def test_settings_that_cannot_be_are_refused(given, message):
    with pytest.raises(WeightsError, match=message):
        settings(**given)
    settings(sizes={"num_heads": 4, "size_px": [8, 8], "max_resolution": (8, 9)}, query_residual=False)


def conversion(origin="hugging_face", model="image_fourier", **options):
    return convert(Checkpoint.recognise(tensors(origin, model)), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"semantics": "other"}, "`semantics` must be one of"),
        ({"kernel_order": (3, 2, 1, 0)}, "`kernel_order` must be `None`.*image_fourier of hugging_face"),
        (
            {"kernel_order": (2, 3, 1, 0), "origin": "deepmind", "model": "image_conv"},
            "`kernel_order` must be `None`.*image_conv of deepmind",
        ),
        ({"kernel_order": (0, 1, 2, 3), "model": "image_conv"}, "`kernel_order` must be one of"),
        ({"sizes": {"num_heads": 3}}, "must divide.*num_heads=3"),
        ({"sizes": {"num_repeats": 1001}}, "at most 1000 layers. Received: num_repeats=1001 of 1"),
        ({"sizes": {"max_resolution": (3,)}}, "whole number of bands. Received: 10 channels"),
        ({"sizes": {"max_resolution": (3, 3)}, "model": "language"}, "`sizes` of language may name"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(WeightsError, match=message):
        conversion(**options)


@pytest.mark.parametrize("semantics", ["hugging_face", "deepmind"])
@pytest.mark.parametrize("order", [(3, 2, 1, 0), [2, 3, 1, 0]])
def test_an_order_of_axes_that_is_given_is_taken_whatever_the_semantics(order, semantics):
    theirs = Checkpoint.recognise(tensors(model="image_conv", embed_dim=64, context_dim=322, channels=3))
    (name,) = (name for name in theirs.tensors if name.endswith("conv.weight"))
    theirs.tensors[name] = np.random.default_rng(0).normal(size=(64, 3, 7, 7)).astype("float32")
    backbone, report = convert(theirs, semantics, kernel_order=order)
    stem = backbone.input_adapters["image"].stem
    np.testing.assert_array_equal(array(stem.convolutions[0].kernel), theirs.tensors[name].transpose(order))
    assert report.settings["kernel_order"] == (tuple(order), "given")
    (use,) = (use for use in report.used if use.source == name)
    assert use.transform == f"transposed {tuple(order)}" and stem.semantics == semantics


def test_options_reach_the_model_and_the_report():
    sizes = {
        "num_heads": 4,
        "num_cross_heads": 1,
        "num_repeats": 3,
        "size_px": (6, 10),
        "max_resolution": (5, 7),
    }
    backbone, report = conversion(sizes=sizes, query_residual=False)
    adapter = backbone.input_adapters["image"]
    assert (backbone.encoder.num_heads, backbone.encoder.num_repeats) == (4, 3)
    assert (adapter.stream.shape, adapter.positions.max_resolution) == ((6, 10, 3), (5, 7))
    assert backbone.decoder.query_residual is False
    assert "num_repeats 3 (given)" in report.summary() and "query_residual False (given)" in report.summary()


def test_a_picture_of_absurd_size_takes_no_memory_before_it_is_there():
    tracemalloc.start()
    backbone, _ = conversion(sizes={"size_px": (2**20, 2**20)})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert backbone.input_adapters["image"].stream.num_tokens == 2**40 and peak < 50_000_000


@pytest.mark.parametrize("dtype", ["bfloat16", "mixed_bfloat16"])
def test_the_dtype_is_that_of_all_parts(dtype):
    backbone, _ = conversion(dtype=dtype)
    policies = {layer.dtype_policy.name for layer in backbone._flatten_layers(include_self=False)}
    assert policies - {"float32"} == {dtype}, policies
    variables = {weight.path: keras.backend.standardize_dtype(weight.dtype) for weight in backbone.weights}
    assert set(variables.values()) == {"float32" if dtype == "mixed_bfloat16" else dtype}, variables
