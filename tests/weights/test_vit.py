"""Published vision transformers start a Zorro-ViT: their numbers, their patches, every tensor named."""

import functools
import json

import keras
import keras_hub
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.backend import array, compiled
from tests.weights.published import needs_transformers
from zorro_keras import streams as zs
from zorro_keras.models import ZorroViTBackbone
from zorro_keras.routing import Routing
from zorro_keras.weights import WeightsError, load, load_vit
from zorro_keras.weights.vit_patches import patch_kernel, refitted, resizing

SIZES = {"num_layers": 2, "num_heads": 2, "hidden_dim": 14, "mlp_dim": 22}
IMAGE = zs.Image(height_px=6, width_px=15, patch=(3, 5))  # a grid of 2 x 3
STREAMS = {
    "audio": zs.Spectrogram(frames=12, bins=35, patch=(4, 7)),
    "image": IMAGE,
    "video": zs.Video(frames=4, height_px=6, width_px=25, patch=(2, 3, 5)),
    "words": zs.Tokens(length=5, vocabulary_size=11),
}
CLASS = Routing({"image": ["image", "class"], "class": ["image", "class"]})


def zorro(streams=STREAMS, **overrides):
    return ZorroViTBackbone(streams, **{**SIZES, "num_fusion_tokens": 3, **overrides})


def one_picture(source, routing, **overrides):
    """Returns a model of one stream of pictures that was started from a source, and the report."""
    model = zorro({"image": IMAGE}, routing=routing, num_fusion_tokens=1, **overrides)
    return model, load_vit(model, source)


def filled(values, seed=7):
    """Returns arrays of the same shapes, so large that nothing hides; norms scale by about one."""
    random = np.random.default_rng(seed)
    return [
        random.normal(size=value.shape, scale=0.3).astype("float32") + (value.min() == 1) for value in values
    ]


@functools.cache
def hub_vit(**options):
    vit = keras_hub.models.ViTBackbone(
        image_shape=(6, 15, 3), patch_size=(3, 5), **SIZES, **{"layer_norm_epsilon": 1e-6, **options}
    )
    vit.set_weights(filled(vit.get_weights()))
    return vit


def pictures(seed=0):
    return np.random.default_rng(seed).normal(size=(2, 6, 15, 3)).astype("float32")


def final_tokens(model, inputs):
    """Returns the tokens of all streams after the last norm."""
    whole = keras.Model(model.input, model.get_layer("norm").output)
    return array(compiled(lambda x: whole(x))(inputs))


def set_class_token(model, token, position):
    tokens, positions = model.transformer.learned["class"]
    tokens.array.assign(np.reshape(token, (1, -1)))
    positions.positions.assign(np.reshape(position, (1, -1)))


# === Their numbers ===


@pytest.mark.parametrize("biases", [True, False])
def test_without_a_class_token_the_trunk_gives_the_numbers_of_keras_hub(biases):
    options = dict.fromkeys(("use_mha_bias", "use_mlp_bias", "use_patch_bias"), biases)
    vit = hub_vit(use_class_token=False, **options)
    model, report = one_picture(vit, Routing({"image": ["image"]}))
    expected = array(compiled(lambda x: vit(x))(pictures()))
    np.testing.assert_allclose(final_tokens(model, {"image": pictures()}), expected, atol=1e-5)
    assert np.abs(expected).max() > 0.5
    assert ("(no bias)" in {use.source for use in report.used}) != biases and report.unused == {}


def test_a_learned_stream_that_all_read_is_the_class_token():
    vit = hub_vit()
    model, _ = one_picture(vit, CLASS)
    embeddings = vit.get_layer("vit_patching_and_embedding")
    positions = array(embeddings.position_embedding.embeddings)
    set_class_token(model, array(embeddings.class_token), positions[0])
    expected = array(compiled(lambda x: vit(x))(pictures()))  # the class token comes first, ours last
    found = final_tokens(model, {"image": pictures()})
    np.testing.assert_allclose(np.roll(found, 1, axis=1), expected, atol=1e-5)


@functools.cache
def their_vit(kind="ViTForImageClassification", **options):
    import torch
    import transformers

    config = transformers.ViTConfig(
        hidden_size=14, num_hidden_layers=2, num_attention_heads=2, intermediate_size=22, num_labels=7,
        image_size=[6, 15], patch_size=[3, 5], layer_norm_eps=1e-6, **options,
    )  # fmt: skip
    model = getattr(transformers, kind)(config).eval()
    values = [tensor.numpy() for tensor in model.state_dict().values()]
    tensors = map(torch.from_numpy, filled(values))
    model.load_state_dict(dict(zip(model.state_dict(), tensors, strict=True)))
    return model


@pytest.mark.parametrize("marks", [pytest.param((), marks=needs_transformers)])
@pytest.mark.parametrize("kind, bias", [("ViTModel", True), ("ViTForImageClassification", False)])
def test_the_trunk_gives_the_numbers_of_transformers(kind, bias, marks, tmp_path):
    import torch

    theirs = their_vit(kind, qkv_bias=bias)
    theirs.save_pretrained(tmp_path)
    model, report = one_picture(tmp_path, CLASS)
    base = getattr(theirs, "vit", theirs)
    embeddings = base.embeddings
    set_class_token(
        model, *(x.detach().numpy()[0, 0] for x in (embeddings.cls_token, embeddings.position_embeddings))
    )
    with torch.no_grad():
        expected = base(torch.from_numpy(pictures().transpose(0, 3, 1, 2))).last_hidden_state.numpy()
    found = np.roll(final_tokens(model, {"image": pictures()}), 1, axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    tensors = load_file(tmp_path / "model.safetensors")
    assert {use.source for use in report.used if use.source != "(no bias)"} | set(report.unused) == set(
        tensors
    )
    assert sum(use.source == "(no bias)" for use in report.used) == (0 if bias else 2 * 3)


# === Their patches ===


def started(streams, source=None):
    model = zorro(streams)
    load_vit(model, hub_vit() if source is None else source)
    return model.transformer.tokenizers


def tokens(tokenizer, x):
    """Returns the tokens without their positions."""
    return array(tokenizer(x)) - array(tokenizer.positions.positions)


def test_a_grey_picture_gives_the_same_tokens_as_a_spectrogram():
    tokenizers = started({"image": IMAGE, "audio": zs.Spectrogram(6, 15, patch=(3, 5))})
    grey = pictures()[..., :1]
    expected = array(tokenizers["image"](np.repeat(grey, 3, axis=-1)))
    np.testing.assert_allclose(array(tokenizers["audio"](grey[..., 0])), expected, atol=1e-5)
    assert np.abs(array(tokenizers["image"](pictures())) - expected).max() > 0.1


def test_a_still_clip_gives_the_tokens_of_its_picture_in_every_frame():
    tokenizers = started({"image": IMAGE, "video": zs.Video(4, 6, 15, patch=(2, 3, 5))})
    clip = np.repeat(pictures()[:, None], 4, axis=1)
    found, expected = array(tokenizers["video"](clip)), array(tokenizers["image"](pictures()))
    np.testing.assert_allclose(found, np.tile(expected, (1, 2, 1)), atol=1e-5)
    clip[:, 0] *= 2
    assert np.abs(array(tokenizers["video"](clip)) - found)[:, :6].max() > 0.1


def test_an_enlarged_picture_gives_the_same_tokens_in_enlarged_patches():
    tokenizers = started({"image": IMAGE, "large": zs.Image(14, 33, patch=(7, 11))})
    picture = pictures().reshape(2, 2, 3, 3, 5, 3)
    large = np.einsum("Yy,Xx,bgyhxc->bgYhXc", resizing(3, 7), resizing(5, 11), picture)
    found = tokens(tokenizers["large"], large.reshape(2, 14, 33, 3).astype("float32"))
    np.testing.assert_allclose(found, tokens(tokenizers["image"], pictures()), atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 13])
def test_a_constant_patch_gives_the_same_token_at_every_size(size):
    kernel = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(refitted(kernel, 0, size).sum(axis=0), kernel.sum(axis=0))
    np.testing.assert_allclose(resizing(5, size).sum(axis=1), 1)


def test_pixels_are_averaged_by_their_area():
    np.testing.assert_allclose(resizing(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    np.testing.assert_allclose(resizing(2, 3), [[1, 0], [0.5, 0.5], [0, 1]])


def test_a_patch_of_the_same_size_keeps_its_kernel_exactly():
    kernel = np.random.default_rng(0).normal(size=(3, 5, 3, 14)).astype("float32")
    np.testing.assert_array_equal(patch_kernel(kernel, IMAGE), kernel.reshape(45, 14))


def test_positions_are_resized_to_the_grid_and_repeated_over_time():
    tokenizers = started({"image": IMAGE, "video": STREAMS["video"], "audio": STREAMS["audio"]})
    theirs = array(hub_vit().get_layer("vit_patching_and_embedding").position_embedding.embeddings)
    positions = {name: array(tokenizer.positions.positions) for name, tokenizer in tokenizers.items()}
    np.testing.assert_array_equal(positions["image"], theirs[1:])
    first, second = positions["video"].reshape(2, 2, 5, 14)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first[:, [0, 2, 4]], theirs[1:].reshape(2, 3, 14), atol=1e-6)
    rows = positions["audio"].reshape(3, 5, 14)  # the row between is half of each
    np.testing.assert_allclose(rows[1], (rows[0] + rows[2]) / 2, atol=1e-6)


# === Every tensor, and every weight ===


def test_every_weight_is_started_or_named_as_kept():
    vit, model = hub_vit(), zorro()
    before = {weight.path: array(weight) for weight in model.weights}
    report = load_vit(model, vit)
    moved = {weight.path for weight in model.weights if (array(weight) != before[weight.path]).any()}
    assert moved == {use.weight for use in report.used}
    assert set(report.kept) == set(before) - moved
    assert {path.split("/")[0] for path in report.kept} == {
        "words_tokenizer", "fusion_tokens", "fusion_positions", "readout",
    }  # fmt: skip
    assert len({use.source for use in report.used}) + len(report.unused) == len(vit.weights)
    assert (
        "1 not needed" in report.summary()
        and f"{len(report.kept)} weights of the model stay" in report.summary()
    )
    assert (
        "epsilon 1e-06 (config)" in report.summary() and "fitted to patches 2 x 3 x 5 x 3" in report.table()
    )


def test_without_pictures_the_trunk_alone_is_started():
    report = load_vit(model := zorro({"words": STREAMS["words"]}), hub_vit())
    assert list(report.unused.values()).count("no stream shows pictures") == len(report.unused) - 1 == 3
    kernel = hub_vit().get_layer("vit_encoder").encoder_layers[1].mlp.dense_1.kernel
    np.testing.assert_array_equal(array(model.transformer.blocks[1].mlp.hidden_dense.kernel), array(kernel))


@pytest.mark.slow
def test_a_vit_in_half_precision_is_read_and_a_quantised_one_is_refused():
    half = keras_hub.models.ViTBackbone(
        image_shape=(6, 15, 3), patch_size=(3, 5), **SIZES, layer_norm_epsilon=1e-6, dtype="bfloat16"
    )
    load_vit(model := zorro({"image": IMAGE}), half)
    kernel = half.get_layer("vit_encoder").encoder_layers[1].mlp.dense_2.kernel
    np.testing.assert_array_equal(array(model.transformer.blocks[1].mlp.output_dense.kernel), array(kernel))
    half.get_layer("vit_encoder").encoder_layers[0].mlp.dense_1.quantize("int8")
    with pytest.raises(WeightsError, match="must hold floats. Received: dtype=int8"):
        load_vit(model, half)


def test_a_preset_of_keras_hub_is_read_from_its_folder(tmp_path):
    hub_vit().save_to_preset(str(tmp_path / "vit"))
    one, other = zorro(), zorro()
    assert load_vit(one, tmp_path / "vit") == load_vit(other, hub_vit())
    for mine, theirs in zip(
        one.transformer.blocks[0].weights, other.transformer.blocks[0].weights, strict=True
    ):
        np.testing.assert_array_equal(array(mine), array(theirs))
    other.save_to_preset(str(tmp_path / "zorro"))
    with pytest.raises(WeightsError, match="keras-hub's ViTBackbone. Received: 'ZorroViTBackbone'"):
        load_vit(one, tmp_path / "zorro")


# === What is refused ===


def their_tensors(prefix="vit."):
    """Returns a file of Hugging Face's: the names are theirs, no library is needed to write it."""
    shapes = {
        "embeddings.cls_token": (1, 1, 14),
        "embeddings.position_embeddings": (1, 7, 14),
        "embeddings.patch_embeddings.projection.weight": (14, 3, 3, 5),
        "embeddings.patch_embeddings.projection.bias": (14,),
        "layernorm.weight": (14,),
        "layernorm.bias": (14,),
    }
    linears = {
        "attention.attention.query": (14, 14), "attention.attention.key": (14, 14),
        "attention.attention.value": (14, 14), "attention.output.dense": (14, 14),
        "intermediate.dense": (22, 14), "output.dense": (14, 22),
    }  # fmt: skip
    for layer in range(2):
        for norm in ("layernorm_before", "layernorm_after"):
            shapes |= {f"encoder.layer.{layer}.{norm}.{leaf}": (14,) for leaf in ("weight", "bias")}
        for name, shape in linears.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
    return {f"{prefix}{name}": np.full(shape, 0.5, "float32") for name, shape in shapes.items()}


_QKV_BIASES = ("query.bias", "key.bias", "value.bias")
CONFIG = {"image_size": [6, 15], "num_attention_heads": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12}
QUERY = "vit.encoder.layer.1.attention.attention.query"


@functools.cache
def target():
    return zorro({"image": IMAGE})


@pytest.mark.parametrize(
    ("tensors", "config", "message"),
    [
        ({f"{QUERY}.weight": None}, {}, f"missing: {QUERY}.weight"),
        ({f"{QUERY}.bias": None}, {}, f"missing: {QUERY}.bias"),
        ({"vit.embeddings.cls_token": None}, {}, "missing: vit.embeddings.cls_token"),
        ({"vit.embeddings.mask": (3,)}, {}, "unknown: vit.embeddings.mask"),
        ({f"{QUERY}.weight": (14, 13)}, {}, "its axis hidden_dim must have size 14"),
        ({f"{QUERY}.weight": (14,)}, {}, "must have the axes"),
        ({"vit.embeddings.position_embeddings": (1, 8, 14)}, {}, r"Received: 7 after .* grid=\(2, 3\)"),
        ({"vit.embeddings.position_embeddings": (7, 14)}, {}, "the positions 3"),
        ({}, {"image_size": None}, r"or a square. Received: 6 after .* grid=\(2, 2\)"),
        ({}, {"image_size": "6"}, "must be one or two sizes. Received: '6'"),
        ({}, {"hidden_act": "gelu_new"}, "must be 'gelu', the exact one. Received: 'gelu_new'"),
        ({}, {"layer_norm_eps": 1e-3}, "must be at most 1e-05.*Received: layer_norm_eps=0.001"),
        ({}, {"num_attention_heads": "2"}, "must be a whole number. Received: '2'"),
        ({}, {"num_attention_heads": 7}, "`num_heads` of the model must be 7.*Received: num_heads=2"),
    ],
)
def test_damaged_and_foreign_files_are_refused_by_name(tensors, config, message, tmp_path):
    whole = their_tensors()
    for name, shape in tensors.items():
        whole.pop(name, None)
        if shape is not None:
            whole[name] = np.full(shape, 0.5, "float32")
    save_file(whole, tmp_path / "model.safetensors")
    settings = {name: value for name, value in {**CONFIG, **config}.items() if value is not None}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    before = array(target().transformer.norm.beta)
    with pytest.raises(WeightsError, match=message):
        load_vit(target(), tmp_path)
    np.testing.assert_array_equal(array(target().transformer.norm.beta), before)


@pytest.mark.parametrize("prefix", ["", "vit."])
def test_a_file_alone_has_the_heads_of_the_model_and_a_square_grid(prefix, tmp_path):
    tensors = their_tensors(prefix)
    positions = f"{prefix}embeddings.position_embeddings"
    tensors[positions] = np.full((1, 10, 14), 0.25, "float32")
    save_file(tensors, tmp_path / "model.safetensors")
    report = load_vit(model := zorro({"image": IMAGE}), tmp_path / "model.safetensors")
    assert report.settings["num_heads"] == (2, "the model") and report.settings["grid"] == ((3, 3), "shapes")
    assert (array(model.transformer.norm.beta) == 0.5).all()
    assert (array(model.transformer.tokenizers["image"].positions.positions) == 0.25).all()


def test_a_mask_token_is_not_needed_and_biases_that_are_not_there_are_no_tensors(tmp_path):
    tensors = {name: x for name, x in their_tensors().items() if not name.endswith(_QKV_BIASES)}
    tensors["vit.embeddings.mask_token"] = np.full((1, 1, 14), 0.5, "float32")
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    report = load_vit(zorro({"image": IMAGE}), tmp_path)
    assert set(report.unused) == {"vit.embeddings.cls_token", "vit.embeddings.mask_token"}
    assert f": {len(tensors) - 2} tensors used, 2 not needed, none missing." in report.summary()


def test_what_loads_perceivers_says_who_loads_a_vit(tmp_path):
    save_file(their_tensors(), tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="of a vision transformer: use `load_vit`"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["vit_base_patch16_224_imagenet", "hf://google/vit-base-patch16-224"])
def test_a_name_that_is_no_path_is_told_how_to_be_loaded(name):
    message = rf"must lie on disk.* `keras_hub.models.ViTBackbone.from_preset\(name\)`.* Received: {name}$"
    with pytest.raises(WeightsError, match=message):
        load_vit(target(), name)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"num_layers": 3}, "`num_layers` of the model must be 2.*Received: num_layers=3"),
        ({"num_heads": 7}, "`num_heads` of the model must be 2"),
        ({"hidden_dim": 16}, "`hidden_dim` of the model must be 14"),
        ({"mlp_dim": 23}, "`mlp_dim` of the model must be 22"),
    ],
)
def test_a_model_of_other_sizes_is_refused(sizes, message):
    with pytest.raises(WeightsError, match=message):
        load_vit(zorro({"image": IMAGE}, **sizes), hub_vit())


def test_what_is_no_vit_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="must be a keras-hub `ViTBackbone`.*Received: int"):
        load_vit(target(), 3)
    with pytest.raises(WeightsError, match="must be a ZorroViTBackbone. Received: ViTBackbone"):
        load_vit(hub_vit(), hub_vit())
    with pytest.raises(WeightsError, match="with 0 of them"):
        load_vit(target(), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x09")
    with pytest.raises(WeightsError, match="must hold its whole header"):
        load_vit(target(), tmp_path)
    with pytest.raises(WeightsError, match="`layer_norm_epsilon` must be at most 1e-05"):
        load_vit(target(), hub_vit(layer_norm_epsilon=1e-3))
