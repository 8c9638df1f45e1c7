"""The named sizes of Swin: parameters by path and shape, with shapes alone."""

import collections
import re
from pathlib import Path

import numpy as np
import pytest

from tests.without_numbers import without_numbers
from zorro_keras import streams as zs
from zorro_keras.models import SwinBackbone

STREAMS = {
    "image": {"image": zs.Image(224, 224, patch=(4, 4))},
    "video": {"video": zs.Video(32, 224, 224, patch=(2, 4, 4))},
}
PARAMETERS = {  # without the classifier; official models, counted
    ("image", "tiny"): 27_519_354,
    ("image", "small"): 48_837_258,
    ("image", "base"): 86_743_224,
    ("image", "large"): 194_995_476,  # ours, counted
    ("video", "tiny"): 27_850_470,
    ("video", "small"): 49_509_078,
    ("video", "base"): 87_638_984,
    ("video", "large"): 196_339_116,  # ours, counted: no such model is published
}


def described(model):
    """Returns a line for each path and shape; the blocks of a stage are counted."""
    lines = collections.Counter(
        f"{re.sub(r'block_[0-9]+', 'block_*', weight.path)} {'x'.join(map(str, weight.shape))}"
        for weight in model.weights
    )
    return [f"{count} of {line}" for line, count in sorted(lines.items())]


@pytest.mark.slow
@pytest.mark.parametrize("kind, variant", PARAMETERS)
def test_every_parameter_has_its_path_and_shape(kind, variant):
    model = without_numbers(SwinBackbone.from_variant, variant, STREAMS[kind])
    golden = Path(__file__).with_name("parameters") / f"swin_{kind}_{variant}.txt"
    assert described(model) == golden.read_text().splitlines()
    assert sum(int(np.prod(weight.shape)) for weight in model.weights) == PARAMETERS[kind, variant]
    grid = {"image": (7, 7), "video": (16, 7, 7)}[kind]
    assert model.output["grid"].shape == (None, *grid, 8 * model.hidden_dim)


@pytest.mark.slow
def test_fewer_frames_need_no_other_weights():
    eight = {"video": zs.Video(8, 224, 224, patch=(2, 4, 4))}
    model = without_numbers(SwinBackbone.from_variant, "tiny", eight)
    assert model.count_params() == PARAMETERS["video", "tiny"]
    assert model.output["grid"].shape == (None, 4, 7, 7, 768)
