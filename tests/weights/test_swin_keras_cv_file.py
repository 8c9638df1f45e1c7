"""Weights of KerasCV's Video Swin without KerasCV: an object of its attributes, and its files."""

import functools
import re

import h5py
import numpy as np
import pytest

from tests.backend import array
from tests.weights.keras_cv import faked, saved_path, tensors_of, write
from zorro_keras import streams as zs
from zorro_keras import weights
from zorro_keras.models import SwinBackbone
from zorro_keras.weights.swin_keras_cv_file import read_keras_cv_file
from zorro_keras.weights.swin_resize import surrounded

SIZES = {"num_layers": (2, 1), "num_heads": (2, 3), "hidden_dim": 6}
VIDEO = {"video": zs.Video(6, 10, 14, patch=(3, 2, 1))}
WINDOW = (2, 7, 7)


@functools.cache
def model():
    backbone, random = SwinBackbone(VIDEO, window=WINDOW, **SIZES), np.random.default_rng(0)
    for weight in backbone.weights:
        weight.assign(array(weight) + 0.2 * random.normal(size=weight.shape))
    return backbone


def assert_same(found):
    for new, old in zip(found.weights, model().weights, strict=True):
        np.testing.assert_array_equal(array(new), array(old))


def by_layer_names(place):
    """Keras by the names of layers: one count of all unnamed ones of a kind, wherever they lie."""
    for old, new in (
        (r"video_swin_basic_layer_1", "videoswin_basic_layer_2"),
        (r"video_swin_basic_layer/", "videoswin_basic_layer_1/"),
        (r"video_swin_patching", "videoswin_patching"),
        (r"/conv3d", "/embed_proj"),
        (r"^layers/layer_normalization", "layers/videoswin_top_norm"),
        (r"/(dense|layer_normalization)/", r"/\1_9/"),
        (r"/(dense|layer_normalization)_1/", r"/\1_10/"),
    ):
        place = re.sub(old, new, place)
    return place


def by_attributes(place):
    for old, new in (
        (r"attn/layers/dense_1", "attn/proj"),
        (r"attn/layers/dense", "attn/qkv"),
        (r"layers/mlp", "mlp"),
        (r"(block|block_1)/layers/layer_normalization_1", r"\1/norm2"),
        (r"(block|block_1)/layers/layer_normalization", r"\1/norm1"),
    ):
        place = re.sub(old, new, place)
    return place


# === What is read ===


@pytest.mark.parametrize(
    "renamed",
    [
        lambda place: place,
        lambda place: place.replace("layers/", "_layer_checkpoint_dependencies/"),
        lambda place: place.replace("layers/", "layers\\"),
        lambda place: f"layers/video_swin_backbone/{place}",  # of a classifier
        by_layer_names,
        by_attributes,
    ],
)
def test_a_file_gives_the_model_however_keras_named_its_parts(renamed, tmp_path):
    path = write(tensors_of(model()), tmp_path / "swin.weights.h5", renamed)
    with h5py.File(path, "a") as file:
        file["layers/dense_7/vars/0"] = np.ones((12, 5), "float32")
        file["optimizer/vars/0"] = np.ones((), "int64")
    backbone, report = weights.convert_swin(path, VIDEO)
    assert backbone.window == WINDOW and backbone.num_heads == (2, 3)
    assert_same(backbone)
    assert (report.origin, report.kept) == ("keras_cv", ())
    assert set(report.unused) == {"layers/dense_7/vars/0", "optimizer/vars/0"}


def test_where_keras_saves_is_where_this_file_thinks():
    """Two paths out of a file that KerasCV 0.9 wrote with Keras 3.15."""
    assert saved_path("videoswin_basic_layer_2.blocks.1.attn.proj.bias") == (
        "layers/video_swin_basic_layer_1/blocks/video_swin_transformer_block_1/attn/layers/dense_1/vars/1"
    )
    assert saved_path("videoswin_basic_layer_1.blocks.0.attn.relative_position_bias_table") == (
        "layers/video_swin_basic_layer/blocks/video_swin_transformer_block/attn/vars/0"
    )


def test_an_object_of_its_attributes_gives_the_model():
    started = SwinBackbone(VIDEO, window=WINDOW, **SIZES)
    report = weights.load_swin(started, faked(model(), WINDOW))
    assert_same(started)
    assert report.settings == {"window": (WINDOW, "config"), "include_rescaling": (True, "config")}


def test_a_table_of_a_smaller_grid_is_the_middle_of_the_whole_one():
    small = np.arange(2 * 3 * 5, dtype="float32").reshape(15, 2)
    whole = surrounded(small, (2, 3), (3, 3)).reshape(5, 5, 2)
    np.testing.assert_array_equal(whole[1:4], small.reshape(3, 5, 2))
    np.testing.assert_array_equal(whole[[0, 4]], whole[[1, 3]])


def test_stages_of_smaller_grids_have_smaller_tables(tmp_path):
    tensors = tensors_of(model())
    table = "videoswin_basic_layer_2.blocks.0.attn.relative_position_bias_table"
    tensors[table] = middle = (
        tensors[table].reshape(3, 13, 13, 3)[:, 4:9, 4:9].reshape(75, 3)
    )  # 3 x 3 in space
    backbone, report = weights.convert_swin(write(tensors, tmp_path / "a.h5"), VIDEO)
    found = array(backbone.trunk.stages[1][0].attention.bias_table).reshape(3, 13, 13, 3)
    np.testing.assert_array_equal(found[:, 4:9, 4:9].reshape(75, 3), middle)
    np.testing.assert_array_equal(found[:, 0, 0], found[:, 4, 4])
    assert "from windows 2 x 3 x 3 to 2 x 7 x 7" in report.table()


# === What is refused ===


@pytest.mark.parametrize(
    "settings, window, message",
    [
        ({"patch_norm": False}, WINDOW, "`patch_norm` of the backbone must be True"),
        ({"qk_scale": 0.5}, WINDOW, "`qk_scale` of the backbone must be None or 0.57735. Received: 0.5"),
        ({}, (2, 7, 5), "as many rows as columns: .*2, 7, 5"),
        ({}, (2, 3, 3), r"relative_position_bias_table` is misshapen.*\(507, 2\)"),
    ],
)
def test_an_object_with_other_settings_is_refused(settings, window, message):
    with pytest.raises(weights.WeightsError, match=message):
        weights.convert_swin(faked(model(), window, **settings), VIDEO)


def test_an_object_that_lacks_a_weight_is_refused_by_its_name():
    fake = faked(model(), WINDOW)
    del fake.layers[-1].gamma
    with pytest.raises(weights.WeightsError, match="Received: none at `videoswin_top_norm.gamma`"):
        weights.convert_swin(fake, VIDEO)
    with pytest.raises(weights.WeightsError, match="a classifier's is its `backbone`. Received: Video"):
        weights.convert_swin(VIDEO["video"])


MLP = "videoswin_basic_layer_2.blocks.0.mlp.fc1."


@pytest.mark.parametrize(
    "changes, message",
    [
        ({f"{MLP}kernel": None}, f"missing: {MLP}kernel$"),
        (
            {"videoswin_basic_layer_1.downsample.reduction.bias": np.ones(12, "float32")},
            "unknown: .*reduction.bias",
        ),
        (
            {f"{MLP}kernel": np.ones((12, 47), "float32")},
            rf"`{MLP}kernel` is misshapen.*\(12, 48\).*\(12, 47\)",
        ),
        ({f"{MLP}bias": np.ones(48, "int32")}, "must hold floats. Received: dtype=int32"),
        ({f"{MLP}bias": np.array([b"x"] * 48)}, "must hold numbers"),
    ],
)
def test_files_with_other_weights_are_refused_by_name(changes, message, tmp_path):
    tensors = {name: x for name, x in {**tensors_of(model()), **changes}.items() if x is not None}
    with pytest.raises(weights.WeightsError, match=message):
        weights.convert_swin(write(tensors, tmp_path / "swin.h5"), VIDEO)


def test_what_is_no_such_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["layers/dense/vars/0"] = np.ones(3)
    with pytest.raises(weights.WeightsError, match="must hold one `VideoSwinBackbone` .* Received: 1 arr"):
        weights.convert_swin(tmp_path / "other.h5")
    with pytest.raises(weights.WeightsError, match="is read by `load_swin` and `convert_swin`"):
        weights.load(tmp_path / "other.h5")
    (tmp_path / "cut.h5").write_bytes((tmp_path / "other.h5").read_bytes()[:700])
    with pytest.raises(weights.WeightsError, match="cut.h5 cannot be read"):
        weights.convert_swin(tmp_path / "cut.h5")


@pytest.mark.parametrize("kind", ["packed", "elsewhere"])
def test_a_small_file_makes_no_large_arrays_and_leads_nowhere_else(kind, tmp_path):
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        if kind == "packed":
            file.create_dataset(
                "layers/a", shape=(4_000_000,), dtype="float32", compression="gzip", fillvalue=0
            )
        else:
            (tmp_path / "secret").write_bytes(bytes(12))
            file.create_dataset(
                "a", shape=(3,), dtype="float32", external=[(str(tmp_path / "secret"), 0, 12)]
            )
    with pytest.raises(weights.WeightsError, match="must lie in the file itself"):
        read_keras_cv_file(tmp_path / "bomb.h5")
