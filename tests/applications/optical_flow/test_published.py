"""Published weights of the flow model can be asked once they are converted."""

import json

import keras
import numpy as np
import pytest

from tests import flow_maker as made
from tests.image_maker import write
from tests.weights.golden import Golden
from zorro_keras.applications import cli
from zorro_keras.applications.optical_flow.evaluation import Evaluation
from zorro_keras.applications.optical_flow.tiled_flow import TiledFlow
from zorro_keras.applications.pipelines.accounted_reading import Reading
from zorro_keras.applications.pipelines.flow_files import read_flow
from zorro_keras.applications.pipelines.flow_sources import read_flow_source
from zorro_keras.applications.training.open_model import open_model


@pytest.mark.slow
def test_a_converted_flow_model_answers_pictures_by_the_command_line(tmp_path, capsys):
    case = Golden("perceiver_flow")
    source, preset = write(tmp_path / "flow.pystate", case.pickled()), tmp_path / "preset"
    words = []
    for name, value in case.sizes().items():
        words += [f"--{name.replace('_', '-')}", *map(str, np.atleast_1d(value))]
    assert cli.main(["convert", str(source), str(preset), *words]) == 0
    assert "Written as optical_flow: pairs of frames, by tiles of 13 x 19 px." in capsys.readouterr().out
    opened = open_model(preset)
    assert (opened.preprocessor.size_px, opened.flow_scale) == ((13, 19), 20.0)
    flow = keras.Model.predict_on_batch(opened, {"frames": case.inputs["frames"]})["flow"]
    error = np.abs(np.asarray(flow) - case.outputs["flow"]).max()
    assert error <= case.errors["flow"] < 0.1 * np.abs(case.outputs["flow"]).max()

    pictures = [made.picture(number) for number in (0, 1)]  # larger than a tile
    names = [str(write(tmp_path / f"{n}.png", made.png(each))) for n, each in enumerate(pictures)]
    assert cli.main(["predict", str(preset), *names, "--out", str(tmp_path / "seen")]) == 0
    expected = TiledFlow(opened.backbone)(*pictures)  # in pixels by the published unit
    assert np.abs(expected).mean() > 0.001
    np.testing.assert_allclose(read_flow(tmp_path / "seen" / "0.flo").flow, expected, atol=1e-4)

    capsys.readouterr()
    data = made.kitti(tmp_path / "kitti")
    assert cli.main(["evaluate", str(preset), "--data", str(data), "--whole"]) == 0
    figures = json.loads(capsys.readouterr().out)
    evaluation = Evaluation(TiledFlow(opened))
    evaluation.add_all(read_flow_source(data).entries, Reading(str(data)))
    assert figures["num_pairs"] == 4
    assert figures["mean_of_pairs"] == pytest.approx(evaluation.figures()["mean_of_pairs"], rel=1e-4)
