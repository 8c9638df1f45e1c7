"""Against Hugging Face's transformers: their weights in, their numbers out, and our weights back."""

import functools
import os

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from tests.weights.published import MODELS, SIDES, inputs, needs_transformers, published, their_logits
from zorro_keras import weights
from zorro_keras.layers.activations import gelu_tanh

pytestmark = needs_transformers
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Returns a function from a model to the folder where transformers saved it."""

    @functools.cache
    def folder(model):
        path = tmp_path_factory.mktemp(model)
        published(model).save_pretrained(path)
        return path

    return folder


@pytest.fixture(scope="module")
def loaded(repository):
    """Returns a function from a model to ours with its weights."""
    return functools.cache(lambda model: weights.load(repository(model)))


def our_logits(backbone, given):
    (name,) = backbone.output_adapters
    return array(
        compiled(lambda x: backbone(x)[name])(keras.tree.map_structure(keras.ops.convert_to_tensor, given))
    )


@pytest.mark.parametrize("model", MODELS)
def test_their_weights_give_their_numbers(model, loaded):
    expected = their_logits(published(model), inputs(model)).detach().numpy()
    logits = our_logits(loaded(model), inputs(model))
    assert np.abs(expected).max() > 0.3  # a positive control: zeros would agree too
    np.testing.assert_allclose(logits, expected, atol=TOLERANCE)


@pytest.mark.parametrize("model", MODELS)
def test_our_export_is_loaded_strictly_and_gives_the_same_numbers(model, loaded, tmp_path):
    weights.save_hugging_face(loaded(model), tmp_path)
    kind = type(published(model))
    again, info = kind.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[fault] for fault in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    before, after = (their_logits(theirs.eval(), inputs(model)) for theirs in (published(model), again))
    np.testing.assert_array_equal(after.detach().numpy(), before.detach().numpy())


def test_a_bin_file_of_torch_reads_like_its_safetensors(repository, tmp_path):
    import torch

    torch.save(published("image_conv").state_dict(), tmp_path / "pytorch_model.bin")
    ours = weights.read_checkpoint(tmp_path)
    theirs = weights.read_checkpoint(repository("image_conv"))
    assert set(ours.tensors) == set(theirs.tensors)
    for name, tensor in ours.tensors.items():
        np.testing.assert_array_equal(tensor, theirs.tensors[name])
    torch.save({"a": torch.ones(2, 3).T.half(), "b": torch.ones(3).bfloat16()}, tmp_path / "half.bin")
    half = weights.torch_zip.read_torch_zip((tmp_path / "half.bin").read_bytes())
    assert half["a"].shape == (3, 2) and half["a"].dtype == "float16" and half["b"].dtype == "float32"


def test_an_old_file_of_torch_is_refused(tmp_path):
    import torch

    torch.save({"a": torch.ones(3)}, tmp_path / "model.bin", _use_new_zipfile_serialization=False)
    with pytest.raises(weights.WeightsError, match="torch before 1.6"):
        weights.read_checkpoint(tmp_path)


def test_semantics_decide_residual_padding_kernel_and_activation(repository):
    theirs = weights.read_checkpoint(repository("image_conv"))
    name = "perceiver.input_preprocessor.convnet.conv.weight"
    for semantics, order in (("hugging_face", (2, 3, 1, 0)), ("deepmind", (3, 2, 1, 0))):
        backbone, report = weights.convert(theirs, semantics)
        adapter = backbone.input_adapters["image"]
        kernel = array(adapter.embedding.convolutions[0].kernel)
        np.testing.assert_array_equal(kernel, theirs.tensors[name].transpose(order))
        assert (adapter.semantics, report.semantics) == (semantics, semantics)
        assert backbone.encoder.activation is (
            gelu_tanh if semantics == "deepmind" else keras.activations.gelu
        )
        (use,) = [use for use in report.used if use.source == name]
        assert use.transform == f"transposed {order}"
    learned = weights.read_checkpoint(repository("image_learned"))
    for settings, residual in (
        ({}, True),
        ({"semantics": "deepmind"}, False),
        ({"query_residual": False}, False),
    ):
        assert weights.convert(learned, **settings).backbone.decoder.query_residual is residual


def test_what_transformers_cannot_compute_is_not_exported(repository, loaded, tmp_path):
    backbone = weights.load(repository("image_learned"), semantics="deepmind")
    with pytest.raises(weights.WeightsError, match="decoder query residual False"):
        weights.save_hugging_face(backbone, tmp_path)
    assert not os.listdir(tmp_path)


def test_gradients_are_those_of_torch(loaded):
    """By the input, through every layer: what the layers below would learn from."""
    import torch

    from tests.backend import gradients

    theirs, backbone = published("image_fourier"), loaded("image_fourier")
    image = inputs("image_fourier")["image"]
    given = torch.from_numpy(image.transpose(0, 3, 1, 2).copy()).requires_grad_()
    weight = np.linspace(-1, 1, 14).reshape(2, 7).astype("float32")
    (theirs(given).logits * torch.from_numpy(weight)).sum().backward()
    expected = given.grad.numpy().transpose(0, 2, 3, 1)
    (ours,) = gradients(
        lambda x: keras.ops.sum(backbone({"image": x})["label"] * keras.ops.convert_to_tensor(weight)), image
    )
    scale = np.abs(expected).max()
    np.testing.assert_allclose(ours / scale, expected / scale, atol=TOLERANCE)


@pytest.mark.slow
def test_the_full_language_model_gives_their_numbers(tmp_path):
    import torch
    import transformers

    torch.manual_seed(3)
    theirs = transformers.PerceiverForMaskedLM(
        transformers.PerceiverConfig(qk_channels=256, v_channels=1280)
    ).eval()
    theirs.save_pretrained(tmp_path)
    backbone = weights.load(tmp_path)
    assert backbone.count_params() == 201_108_230
    given = {"text": np.random.default_rng(0).integers(0, 262, (1, 2048)).astype("int32")}
    given["padding_mask"] = {"text": np.arange(2048)[None] < 1500}
    with torch.no_grad():
        expected = their_logits(theirs, given).numpy()
    np.testing.assert_allclose(our_logits(backbone, given), expected, atol=TOLERANCE)


@pytest.mark.parametrize("model", ["language", *SIDES])
def test_published_sizes_build_the_named_variant(model):
    """Shapes of a full-size model, without its numbers, lead to the parts of `from_variant`."""
    from zorro_keras.models import perceiver_io_variants as variants
    from zorro_keras.weights.build import parts
    from zorro_keras.weights.settings import settings_of

    layers, axes = _FULL[model]
    checkpoint = weights.Checkpoint("deepmind", model, {})
    for semantics in ("deepmind", "hugging_face"):
        ours = parts(model, layers, axes, settings_of(checkpoint, axes, semantics))
        expected = variants.parts(model, semantics)
        for part in ("encoder", "decoder"):
            assert _described(ours[part]) == _described(expected[part])
        for part in ("input_adapters", "output_adapters"):
            assert list(ours[part]) == list(expected[part])
            assert [_described(x) for x in ours[part].values()] == [
                _described(x) for x in expected[part].values()
            ]


def _described(part):
    return {name: value for name, value in part.get_config().items() if name not in ("seed", "dtype")}


_WIDTHS = {
    "num_latents": 512, "latent_dim": 1024, "self_query_key_dim": 1024, "self_value_dim": 1024,
    "self_mlp_dim": 1024, "cross_mlp_dim": 1024, "decoder_query_key_dim": 1024, "decoder_value_dim": 1024,
    "decoder_mlp_dim": 1024, "query_dim": 1024, "num_classes": 1000,
}  # fmt: skip


def _image_axes(context, **more):
    axes = {"context_dim": context, "cross_query_key_dim": context, "cross_value_dim": context}
    return 6, {**_WIDTHS, **axes, **more}


_LANGUAGE = {
    "num_latents": 256, "latent_dim": 1280, "embed_dim": 768, "length": 2048, "vocabulary_size": 262,
    "cross_query_key_dim": 256, "self_query_key_dim": 256, "cross_value_dim": 1280, "self_value_dim": 1280,
    "cross_mlp_dim": 1280, "self_mlp_dim": 1280, "decoder_query_key_dim": 256, "decoder_value_dim": 768,
    "decoder_mlp_dim": 768,
}  # fmt: skip
_FULL = {
    "language": (26, _LANGUAGE),
    "image_learned": _image_axes(
        512, embed_dim=256, position_dim=256, code_dim=256, num_pixels=50176, channels=3
    ),
    "image_fourier": _image_axes(261),
    "image_conv": _image_axes(322, embed_dim=64, channels=3),
}
