"""Published weights of the flow model can be asked once they are converted."""

import numpy as np

from tests import flow_maker as made
from tests.applications.optical_flow.sizes import SIZE, SIZES
from tests.image_maker import write
from zorro_keras import weights
from zorro_keras.applications import cli
from zorro_keras.applications.optical_flow.tiled_flow import TiledFlow
from zorro_keras.applications.pipelines.flow_files import read_flow
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.models import PerceiverIOBackbone


def test_a_converted_flow_model_answers_pictures_by_the_command_line(tmp_path, capsys):
    backbone = PerceiverIOBackbone.from_variant("optical_flow", "hugging_face", size_px=SIZE, **SIZES)
    rng = np.random.default_rng(1)
    for weight in backbone.trainable_variables:
        weight.assign(rng.normal(0.0, 0.3, weight.shape))
    weights.save_hugging_face(backbone, tmp_path / "published")
    assert cli.main(["convert", str(tmp_path / "published"), str(tmp_path / "preset")]) == 0
    assert "Written as optical_flow: pairs of frames, by tiles of 16 x 20 px." in capsys.readouterr().out
    opened = open_model(tmp_path / "preset")
    assert (opened.preprocessor.size_px, opened.flow_scale) == (SIZE, 20.0)
    pictures = [made.picture(number) for number in (0, 1)]
    names = [str(write(tmp_path / f"{n}.png", made.png(each))) for n, each in enumerate(pictures)]
    assert cli.main(["predict", str(tmp_path / "preset"), *names, "--out", str(tmp_path / "seen")]) == 0
    expected = TiledFlow(backbone)(*pictures)  # in pixels by the published unit
    assert np.abs(expected).mean() > 0.01
    np.testing.assert_allclose(read_flow(tmp_path / "seen" / "0.flo").flow, expected, atol=1e-4)
