"""`zorro-keras convert`: published weights to a preset."""

import keras
import keras_hub
import numpy as np
import pytest

from tests.weights.golden import Golden
from zorro_keras.applications import cli
from zorro_keras.models import PerceiverIOBackbone


@pytest.fixture
def weight_file(tmp_path):
    path = tmp_path / "imagenet.pystate"
    path.write_bytes(Golden("perceiver_image_conv").pickled())
    return path


def test_a_preset_is_written_and_every_tensor_reported(weight_file, tmp_path, capsys):
    # The published settings: heads are not in the file, and those of this tiny one differ from them.
    preset = tmp_path / "preset"
    language = tmp_path / "language.pickle"
    case = Golden("perceiver_language")
    language.write_bytes(case.pickled())
    assert cli.main(["convert", str(language), str(preset), "--verbose"]) == 0
    said = capsys.readouterr().out
    assert "language from deepmind, numbers of deepmind: 83 tensors used, 0 not needed, none missing." in said
    assert "embed/embeddings -> text_input/embedding/embeddings 262x20, as it is" in said
    for kind in (PerceiverIOBackbone, keras_hub.models.Backbone):
        backbone = kind.from_preset(str(preset))
        table = keras.ops.convert_to_numpy(backbone.input_adapters["text"].embedding.embeddings)
        np.testing.assert_array_equal(table, case.parameters["embed/embeddings"])


def test_a_damaged_file_is_a_fault_that_names_it(weight_file, tmp_path, capsys):
    weight_file.write_bytes(weight_file.read_bytes()[:5000])
    assert cli.main(["convert", str(weight_file), str(tmp_path / "preset")]) == 4
    said = capsys.readouterr().err
    assert "CheckpointError: imagenet.pystate: The pickle is damaged" in said and "Traceback" not in said
    assert not (tmp_path / "preset").exists()
