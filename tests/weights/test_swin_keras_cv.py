"""Against KerasCV's Video Swin: its weights in, its numbers out."""

import importlib.util

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from tests.weights.swin_weights import normal, our_outputs
from zorro_keras import streams as zs
from zorro_keras import weights
from zorro_keras.models import SwinBackbone

SIZES = {"num_layers": (2, 2), "num_heads": (2, 3), "hidden_dim": 6}
pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("keras_cv") is None,
        reason="keras-cv is not installed: pip install zorro-keras[cv]",
    ),
    pytest.mark.filterwarnings("ignore"),  # its warnings are not ours to mend
]


def their_model(shape):
    import keras_cv

    model = keras_cv.models.VideoSwinBackbone(
        input_shape=shape,
        embed_dim=6,
        patch_size=[2, 2, 2],
        window_size=[2, 3, 3],
        depths=[2, 2],
        num_heads=[2, 3],
        drop_path_rate=0.0,
    )
    random = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(array(weight) + 0.3 * random.normal(size=weight.shape))
    return model


@pytest.mark.parametrize(
    "frames, rows, columns",
    [
        (8, 12, 12),  # windows divide both grids
        (2, 20, 16),  # one frame, no shift in time; 10 x 8 and 5 x 4 are filled up. They merge no odd sizes.
        (8, 8, 8),  # the second stage's grid, and so its tables, are smaller than a window
    ],
)
def test_their_weights_give_their_numbers(frames, rows, columns, tmp_path):
    theirs = their_model((frames, rows, columns, 3))
    streams = {"video": zs.Video(frames, rows, columns, patch=(2, 2, 2))}
    ours, report = weights.convert_swin(theirs, streams, read_padding=True)
    assert report.settings["window"] == ((min(frames // 2, 2), 3, 3), "config")
    x = normal(2, frames, rows, columns, 3)
    expected = array(compiled(lambda x: theirs(x))(keras.ops.convert_to_tensor(x)))
    assert np.abs(expected).max() > 0.3  # a positive control: zeros would agree too
    np.testing.assert_allclose(our_outputs(ours, x)["grid"], expected, atol=1e-4)
    theirs.save_weights(tmp_path / "swin.weights.h5")
    read = SwinBackbone(streams, window=ours.window, read_padding=True, **SIZES)
    weights.load_swin(read, tmp_path / "swin.weights.h5")
    for new, old in zip(read.weights, ours.weights, strict=True):
        np.testing.assert_array_equal(array(new), array(old))


def test_a_file_of_a_classifier_is_read_without_its_head(tmp_path):
    backbone = their_model((4, 12, 12, 3))
    head = keras.Sequential([backbone, keras.layers.GlobalAveragePooling3D(), keras.layers.Dense(5)])
    head.save_weights(tmp_path / "swin.weights.h5")
    streams = {"video": zs.Video(4, 12, 12, patch=(2, 2, 2))}
    ours, report = weights.convert_swin(tmp_path / "swin.weights.h5", streams, window=(2, 3, 3))
    np.testing.assert_array_equal(
        array(ours.trunk.norm.gamma), array(backbone.get_layer("videoswin_top_norm").gamma)
    )
    assert set(report.unused) == {"layers/dense/vars/0", "layers/dense/vars/1"}
