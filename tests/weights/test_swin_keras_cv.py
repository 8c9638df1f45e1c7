"""Against KerasCV's Video Swin: its weights in, its numbers out."""

import importlib.util

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from tests.weights.swin_weights import SIZES, give, normal, our_outputs
from zorro_keras import streams as zs
from zorro_keras.models import SwinBackbone
from zorro_keras.weights.load import variable_at

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


def their_weight(model, name):
    layer, _, place = name.partition(".")
    return array(variable_at(model.get_layer(layer), place))


@pytest.mark.parametrize(
    "frames, rows, columns",
    [
        (8, 12, 12),  # windows divide both grids
        (2, 20, 16),  # one frame, no shift in time; 10 x 8 and 5 x 4 are filled up. They merge no odd sizes.
    ],
)
def test_their_weights_give_their_numbers(frames, rows, columns):
    theirs = their_model((frames, rows, columns, 3))
    depth = min(frames // 2, 2)  # their tables are those of the windows that fit
    streams = {"video": zs.Video(frames, rows, columns, patch=(2, 2, 2))}
    ours = SwinBackbone(streams, window=(depth, 3, 3), **SIZES)
    give(ours, "keras_cv", lambda name: their_weight(theirs, name))
    x = normal(2, frames, rows, columns, 3)
    expected = array(compiled(lambda x: theirs(x))(keras.ops.convert_to_tensor(x)))
    assert np.abs(expected).max() > 0.3  # a positive control: zeros would agree too
    np.testing.assert_allclose(our_outputs(ours, x)["grid"], expected, atol=1e-4)
