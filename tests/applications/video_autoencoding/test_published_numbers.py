"""The task gives DeepMind's numbers: at the points of a step, and as rows of all points."""

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from tests.weights.golden import Golden
from zorro_keras import weights
from zorro_keras.applications.video_autoencoding import VideoAutoencoder

CASE = Golden("perceiver_multimodal_autoencoder")


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    path = tmp_path_factory.mktemp("golden") / "weights.pystate"
    path.write_bytes(CASE.pickled())
    backbone, _ = weights.convert(weights.read_checkpoint(path), sizes=CASE.sizes())
    return VideoAutoencoder(backbone, points_per_chunk=97, compile=False)


@pytest.mark.parametrize("run", CASE.runs())
@pytest.mark.parametrize("whole", [False, True])
def test_the_outputs_are_the_published_ones(run, whole, task):
    asked = CASE.config["runs"][run]
    rows = {name: CASE.inputs[asked[f"{name}_indices"]] for name in ("audio", "image")}
    given = {"image": CASE.inputs["video"], "audio": CASE.inputs["audio"][..., 0]}
    if run == "label_visible":
        given["label"] = CASE.inputs["label"][:, None]
    given = keras.tree.map_structure(keras.ops.convert_to_tensor, given if whole else {**given, "rows": rows})
    found = {name: array(values) for name, values in compiled(task)(given).items()}
    if whole:
        found |= {name: found[name][:, rows[name]] for name in rows}
    for name, values in found.items():
        key = f"{run}/{name}"
        expected, allowed = CASE.outputs[key], CASE.errors[key]
        assert np.abs(values.reshape(expected.shape) - expected).max() <= allowed, name
