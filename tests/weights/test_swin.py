"""Models built from published files of Swin: official names in, resized, sliced and inflated where asked."""

import functools

import numpy as np
import pytest

from tests.backend import array
from tests.weights.files import torch_zip
from tests.weights.swin_weights import normal, our_outputs
from zorro_keras import streams as zs
from zorro_keras import weights
from zorro_keras.models import SwinBackbone, ZorroSwinBackbone
from zorro_keras.weights.load import variable_at
from zorro_keras.weights.swin_names import swin_rows
from zorro_keras.weights.swin_resize import bias_table

SIZES = {"num_layers": (2, 2), "num_heads": (2, 3), "hidden_dim": 6}
VIDEO_PREFIX = "backbone."
IMAGE = {"image": zs.Image(10, 14, patch=(2, 2))}
VIDEO = {"video": zs.Video(6, 10, 14, patch=(2, 2, 2))}


@functools.cache
def trained(kind, window):
    """Returns a model whose weights are all far from what they start as."""
    backbone = SwinBackbone(IMAGE if kind == "image" else VIDEO, window=window, **SIZES)
    random = np.random.default_rng(0)
    for weight in backbone.weights:
        weight.assign(array(weight) + 0.2 * random.normal(size=weight.shape))
    return backbone


def zorro():
    """Returns a Zorro-Swin of the sizes of `trained`, which shows clips and spectrograms."""
    streams = {**VIDEO, "audio": zs.Spectrogram(10, 14, patch=(2, 2))}
    return ZorroSwinBackbone(
        streams,
        windows={"video": (2, 3, 3), "audio": (5, 2)},
        num_fusion_tokens=3,
        fusion_every="stage",
        **SIZES,
    )


def official(backbone, prefix=""):
    """Returns a backbone's weights as the official code has them, with what it saves beside them."""
    (stream,) = backbone.streams.values()
    tensors = {}
    for row in swin_rows(backbone.num_layers):
        values = array(variable_at(backbone, row.ours))
        if row.form == "patch":
            values = np.moveaxis(values.reshape(*stream.patch, -1, values.shape[-1]), (-1, -2), (0, 1))
        elif row.form == "matrix":
            values = values.T
        name = prefix + row.official
        joined = row.third is not None and row.third > 0  # q, k and v in one, outputs first
        values = np.concatenate([tensors[name], values]) if joined else values
        tensors[name] = np.ascontiguousarray(values)
    index = np.zeros((2, 2), "int64")
    return {**tensors, f"{prefix}layers.0.blocks.0.attn.relative_position_index": index}


def loaded(tensors, tmp_path, *arguments, **overrides):
    (tmp_path / "swin.pth").write_bytes(torch_zip(tensors))
    return weights.convert_swin(tmp_path / "swin.pth", *arguments, **overrides).backbone


@pytest.mark.parametrize(
    "kind, window, wrap",
    [
        ("image", (3, 3), lambda model: {"model": {**official(model), "head.weight": np.ones((5, 12))}}),
        (
            "video",
            (2, 7, 7),
            lambda model: {"meta": {"epoch": 3}, "state_dict": official(model, VIDEO_PREFIX)},
        ),
    ],
)
def test_an_official_file_gives_the_model(kind, window, wrap, tmp_path):
    model = trained(kind, window)
    found = loaded(wrap(model), tmp_path, model.streams)
    assert found.get_config() == model.get_config()
    for new, old in zip(found.weights, model.weights, strict=True):
        np.testing.assert_array_equal(array(new), array(old))


def test_without_a_word_the_stream_is_that_of_the_published_models(tmp_path):
    video = loaded(official(trained("video", (2, 7, 7))), tmp_path)
    assert video.streams == {"video": zs.Video(32, 224, 224, patch=(2, 2, 2))}
    image = loaded(official(trained("image", (3, 3))), tmp_path)
    assert image.streams == {"image": zs.Image(96, 96, patch=(2, 2))}


def test_fewer_frames_take_their_own_rows_of_the_table(tmp_path):
    model = trained("video", (3, 7, 7))
    short = {"video": zs.Video(2, 10, 14, patch=(2, 2, 2))}
    sliced = loaded(official(model), tmp_path, short, window=(1, 7, 7))
    table = variable_at(sliced, "trunk.stages.0.0.attention.bias_table")
    whole = array(variable_at(model, "trunk.stages.0.0.attention.bias_table"))
    np.testing.assert_array_equal(array(table), whole[2 * 169 : 3 * 169])
    clip = normal(2, 2, 10, 14, 3)  # one step of time: the model itself takes no other rows
    np.testing.assert_allclose(our_outputs(sliced, clip)["grid"], our_outputs(model, clip)["grid"], atol=1e-5)


def test_inflated_a_still_clip_gives_in_every_frame_what_its_picture_gave(tmp_path):
    model = trained("image", (3, 3))
    inflated = loaded(official(model), tmp_path, VIDEO, window=(2, 3, 3))
    picture = normal(2, 10, 14, 3)
    expected = our_outputs(model, picture)["grid"]
    assert np.abs(expected).max() > 0.3
    found = our_outputs(inflated, np.repeat(picture[:, None], 6, axis=1))["grid"]
    np.testing.assert_allclose(found, np.repeat(expected[:, None], 3, axis=1), atol=1e-4)


def test_a_spectrogram_starts_from_the_sum_of_the_colours(tmp_path):
    model = trained("image", (3, 3))
    sound = loaded(official(model), tmp_path, {"audio": zs.Spectrogram(10, 14, patch=(2, 2))})
    mel = normal(2, 10, 14)
    np.testing.assert_allclose(
        our_outputs(sound, mel)["grid"],
        our_outputs(model, np.repeat(mel[..., None], 3, axis=-1))["grid"],
        atol=1e-4,
    )


def test_a_stretched_table_keeps_its_middle_and_its_plane():
    rows, columns = np.meshgrid(np.arange(-2, 3), np.arange(-2, 3), indexing="ij")
    table = np.stack([np.ones(25), rows.ravel(), columns.ravel()], axis=1).astype("float32")
    wide = bias_table(table, (3, 3), (5, 4)).reshape(9, 7, 3)
    assert wide.shape == (9, 7, 3) and wide.dtype == "float32"
    np.testing.assert_allclose(wide[..., 0], 1, atol=1e-6)
    np.testing.assert_allclose(wide[4, 3], [1, 0, 0], atol=1e-6)
    # Away from the ends, half an offset and a bit: 5 of them on 9 places, 5 on 7.
    np.testing.assert_allclose(np.diff(wide[3:6, 3, 1]), 5 / 9, atol=0.1)
    np.testing.assert_allclose(np.diff(wide[4, 2:5, 2]), 5 / 7, atol=0.1)


@pytest.mark.torch
def test_a_table_is_stretched_as_by_torch(tmp_path):
    torch = pytest.importorskip("torch")
    table = normal(5 * 5, 3)
    for window in ((5, 4), (2, 3)):
        spans = [2 * size - 1 for size in window]
        picture = torch.from_numpy(table.reshape(1, 5, 5, 3).transpose(0, 3, 1, 2).copy())
        expected = torch.nn.functional.interpolate(picture, size=spans, mode="bicubic").numpy()[0]
        found = bias_table(table, (3, 3), window).reshape(*spans, 3)
        np.testing.assert_allclose(found, expected.transpose(1, 2, 0), atol=1e-5)


# === A model that is there ===


def written(tensors, path):
    path.write_bytes(torch_zip(tensors))
    return path


def test_every_weight_of_a_swin_is_started_and_every_tensor_named(tmp_path):
    model = trained("image", (3, 3))
    tensors = {**official(model), "head.weight": np.ones((5, 12), "float32")}
    started = SwinBackbone(IMAGE, window=(3, 3), **SIZES)
    report = weights.load_swin(started, written(tensors, tmp_path / "swin.pth"))
    for new, old in zip(started.weights, model.weights, strict=True):
        np.testing.assert_array_equal(array(new), array(old))
    assert report.kept == () and {use.weight for use in report.used} == {w.path for w in model.weights}
    assert {use.source for use in report.used} | set(report.unused) == set(tensors)
    assert report.unused == {
        "head.weight": "the head of another task",
        "layers.0.blocks.0.attn.relative_position_index": "computed from the window",
    }
    assert report.settings == {"window": ((3, 3), "shapes")}
    assert (
        "attn.qkv.weight -> stage_0_block_0/attention/projections/key/kernel 6x6, third 2 of 3, transposed"
        in (report.table())
    )


def test_trunks_of_a_zorro_start_from_a_source_each(tmp_path):
    pictures, clips = trained("image", (3, 3)), trained("video", (3, 7, 7))
    backbone = zorro()
    before = {weight.path: array(weight) for weight in backbone.weights}
    path = written(official(pictures), tmp_path / "swin.pth")
    report = weights.load_swin(backbone, path, stream="audio")
    moved = {weight.path for weight in backbone.weights if (array(weight) != before[weight.path]).any()}
    assert moved == {use.weight for use in report.used} and set(report.kept) == set(before) - moved
    assert all(path.startswith("audio_") for path in moved)
    assert "from windows 3 x 3 to 5 x 2" in report.table() and "for patches 2 x 2 x 1" in report.table()
    weights.load_swin(backbone, written(official(clips), tmp_path / "video.pth"), stream="video")
    trunks = backbone.swin.trunks
    np.testing.assert_array_equal(array(trunks["video"].norm.gamma), array(clips.trunk.norm.gamma))
    np.testing.assert_array_equal(array(trunks["audio"].norm.gamma), array(pictures.trunk.norm.gamma))
    expected = bias_table(array(pictures.trunk.stages[1][0].attention.bias_table), (3, 3), (5, 2))
    np.testing.assert_array_equal(array(trunks["audio"].stages[1][0].attention.bias_table), expected)
    report = weights.load_swin(backbone, path)  # both
    assert {use.weight.partition("_")[0] for use in report.used} == {"audio", "video"}
    np.testing.assert_array_equal(array(trunks["video"].norm.gamma), array(pictures.trunk.norm.gamma))


@pytest.mark.parametrize(
    "build, options, message",
    [
        (zorro, {"stream": "sound"}, r"`stream` must be one of \['video', 'audio'\].*'sound'"),
        (zorro, {"stream": "audio"}, r"patch of the weights, \(2, 2, 2\).*Received: \(2, 2\) of `audio`"),
        (zorro, {}, "of `audio`"),  # and the video's trunk stays as it was, too
        (lambda: zs.Tokens(5, 7), {}, "must be a SwinBackbone or a ZorroSwinBackbone. Received: Tokens"),
        (
            lambda: SwinBackbone(VIDEO, num_layers=(2, 1), num_heads=(2, 3), hidden_dim=6),
            {},
            r"`num_layers` of the model must be \[2, 2\].*Received: num_layers=\(2, 1\)",
        ),
    ],
)
def test_a_model_that_does_not_fit_stays_as_it_was(build, options, message, tmp_path):
    backbone = build()
    before = [array(weight) for weight in getattr(backbone, "weights", ())]
    path = written(official(trained("video", (3, 7, 7))), tmp_path / "swin.pth")
    with pytest.raises(weights.WeightsError, match=message):
        weights.load_swin(backbone, path, **options)
    for new, old in zip(getattr(backbone, "weights", ()), before, strict=True):
        np.testing.assert_array_equal(array(new), old)


def test_biases_that_no_block_has_are_zero_and_named(tmp_path):
    tensors = {
        name: x for name, x in official(trained("image", (3, 3))).items() if not name.endswith("qkv.bias")
    }
    conversion = weights.convert_swin(written(tensors, tmp_path / "swin.pth"), IMAGE)
    assert sum(use.source == "(no bias)" for use in conversion.report.used) == 3 * 4
    assert not array(conversion.backbone.trunk.stages[0][1].attention.projections.key_dense.bias).any()
    tensors[f"{FIRST}qkv.bias"] = np.ones(18, "float32")
    with pytest.raises(weights.WeightsError, match="missing: layers.0.blocks.1.attn.qkv.bias, .*"):
        weights.convert_swin(written(tensors, tmp_path / "swin.pth"), IMAGE)


def test_what_loads_perceivers_says_who_loads_a_swin(tmp_path):
    path = written(official(trained("image", (3, 3))), tmp_path / "swin.pth")
    with pytest.raises(weights.WeightsError, match="of a Swin: use `load_swin` or `convert_swin`"):
        weights.load(path)


# === What is refused ===

FIRST = "layers.0.blocks.0.attn."


def changed(**changes):
    """Returns the tensors of a file, some of them changed, or removed where the change is `None`."""
    tensors = official(trained("image", (3, 3)))
    tensors |= {name.replace("__", "."): change for name, change in changes.items()}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


@pytest.mark.parametrize(
    "tensors, options, message",
    [
        (lambda: {"a": np.ones(3, "float32")}, {}, "must be those of a Swin. Received: 1: a"),
        (lambda: changed(norm__bias=None), {}, "Received: missing: norm.bias"),
        (lambda: changed(cheese=np.ones(3, "float32")), {}, "Received: unknown: cheese"),
        (lambda: changed(norm__bias=np.ones(5, "float32")), {}, r"`norm.bias` is misshapen.*\(5,\)"),
        (lambda: changed(norm__bias=np.ones(12, "int64")), {}, "`norm.bias` must hold floats"),
        (
            lambda: changed(**{f"{FIRST}qkv.weight": np.ones((17, 6), "float32")}),
            {},
            r"`layers.0.blocks.0.attn.qkv.weight` is misshapen.*\(17, 6\)",
        ),
        (
            lambda: changed(**{f"{FIRST}relative_position_bias_table": np.ones((24, 2), "float32")}),
            {},
            "a row for each offset in a window. Received: 24",
        ),
        (lambda: changed(patch_embed__proj__weight=np.ones((6, 3), "float32")), {}, "of a Swin's axes"),
        (changed, {"streams": {"image": zs.Image(8, 8, patch=(4, 4))}}, r"patch of the weights, \(2, 2\)"),
        (changed, {"window": (3, 3, 3)}, "No Swin has the sizes.*2 cut axes"),
        (changed, {"num_heads": (1, 2)}, r"say what these are; leave them out. Received: \['num_heads'\]"),
        (
            lambda: changed(
                patch_embed__proj__weight=np.ones((6000, 3, 2, 2), "float32"),
                **{f"{FIRST[:-5]}mlp.fc1.bias": np.ones(24_000, "float32")},
            ),
            {},
            "need .* numbers or more",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tensors, options, message, tmp_path):
    with pytest.raises(weights.WeightsError, match=message):
        loaded(tensors(), tmp_path, **options)
