"""Against Hugging Face's transformers: their weights in, their numbers out, and our weights back."""

import functools

import keras
import numpy as np
import pytest

from tests.backend import array, compiled, gradients
from tests.weights.published import MODELS, inputs, needs_transformers, published, their_logits
from zorro_keras import weights
from zorro_keras.layers.activations import gelu_tanh
from zorro_keras.models import PerceiverIOBackbone
from zorro_keras.weights import names
from zorro_keras.weights.forms import to_ours
from zorro_keras.weights.load import variable_at

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
        kernel = array(adapter.stem.convolutions[0].kernel)
        np.testing.assert_array_equal(kernel, theirs.tensors[name].transpose(order))
        assert (adapter.stem.semantics, report.semantics) == (semantics, semantics)
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


def test_a_model_of_our_own_gives_its_numbers_in_transformers(tmp_path):
    from transformers import PerceiverForMaskedLM

    sizes = {"length": 19, "vocabulary_size": 29, "embed_dim": 16, "num_latents": 5, "latent_dim": 24}
    backbone = PerceiverIOBackbone.from_variant("language", "hugging_face", num_layers=2, **sizes)
    weights.save_hugging_face(backbone, tmp_path)
    theirs = PerceiverForMaskedLM.from_pretrained(tmp_path).eval()
    expected = their_logits(theirs, inputs("language")).detach().numpy()
    assert np.abs(expected).max() > 0.3
    np.testing.assert_allclose(our_logits(backbone, inputs("language")), expected, atol=TOLERANCE)


@pytest.mark.parametrize("model", ["language", "image_learned"])
def test_every_gradient_is_that_of_torch(model, repository):
    import torch

    theirs, given = published(model), inputs(model)
    theirs.zero_grad()
    logits = their_logits(theirs, given)
    weight = np.random.default_rng(5).normal(size=tuple(logits.shape)).astype("float32")
    (logits * torch.from_numpy(weight)).sum().backward()
    expected = {name: tensor.grad for name, tensor in theirs.named_parameters()}

    backbone = weights.load(repository(model))
    (output,) = backbone.output_adapters
    variables = {row: variable_at(backbone, row.ours) for row in names.rows(model, 2)}
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, given)

    def loss(*values):
        with keras.StatelessScope(state_mapping=list(zip(variables.values(), values, strict=True))):
            return keras.ops.sum(backbone(tensors)[output] * keras.ops.convert_to_tensor(weight))

    found = gradients(loss, *map(array, variables.values()))
    assert set(expected) == {row.hugging_face for row in variables}
    largest = max(np.abs(grad.numpy()).max() for grad in expected.values())
    for row, ours in zip(variables, found, strict=True):
        grad = to_ours(row, "hugging_face", row.hugging_face, expected[row.hugging_face].numpy())
        # To add the same to all logits changes no softmax: there is nothing but rounding errors.
        nothing = row.ours.endswith("key_dense.bias")
        scale = largest if nothing else np.abs(grad).max()
        assert scale > 0
        np.testing.assert_allclose(ours / scale, grad / scale, atol=TOLERANCE, err_msg=row.ours)


@pytest.mark.long
@pytest.mark.skipif(
    keras.config.backend() != "torch",
    reason="once is enough: every backend compares small models, and benchmarks/perceiver.py this one",
)
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
