"""`zorro-keras convert`: published weights to a preset."""

import errno
import json

import keras
import keras_hub
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.weights.files import tensors
from tests.weights.golden import Golden
from zorro_keras.applications import cli
from zorro_keras.applications.masked_language.model import MaskedLanguageModel
from zorro_keras.models import PerceiverIOBackbone

# What the file of the tiny language model does not tell, and where it differs from the published one.
HEADS = ["--num-heads", "8", "--num-cross-heads", "4", "--num-decoder-heads", "4"]


@pytest.fixture
def language(tmp_path):
    path = tmp_path / "language.pickle"
    path.write_bytes(Golden("perceiver_language").pickled())
    return path


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "imagenet.pystate"
    path.write_bytes(Golden("perceiver_image_conv").pickled())
    return path


def test_a_preset_is_written_and_every_tensor_and_setting_reported(language, tmp_path, capsys):
    case, preset = Golden("perceiver_language"), tmp_path / "preset"
    assert cli.main(["convert", str(language), str(preset), *HEADS, "--verbose"]) == 0
    said = capsys.readouterr().out
    used = f"{len(case.parameters)} tensors used, 0 not needed, none missing."
    assert f"language from deepmind, numbers of deepmind: {used}" in said
    assert "embed/embeddings -> text_input/" in said and "/embeddings 262x20, as it is" in said
    result = json.loads(said[said.index("{\n") :])
    assert result["settings"] == {
        "num_heads": {"value": 8, "source": "given"},
        "num_cross_heads": {"value": 4, "source": "given"},
        "num_decoder_heads": {"value": 4, "source": "given"},
        "num_repeats": {"value": 1, "source": "published"},
        "query_residual": {"value": False, "source": "published"},
        "activation": {"value": "gelu_tanh", "source": "published"},
        "attention_dropout_rate": {"value": 0.0, "source": "published"},
    }
    account = json.loads((preset / "conversion.json").read_text())
    assert account["settings"] == result["settings"]
    assert {use["source"] for use in account["used"]} - {"(no bias)"} == set(case.parameters)
    assert account["used"][0].keys() == {"source", "weight", "shape", "transform"}
    for kind in (PerceiverIOBackbone, keras_hub.models.Backbone):
        backbone = kind.from_preset(str(preset))
        assert backbone.encoder.num_cross_heads == 4
        table = keras.ops.convert_to_numpy(backbone.input_adapters["text"].stem.embeddings)
        np.testing.assert_array_equal(table, case.parameters["embed/embeddings"])


def their_folder(folder, model, config=None, **sizes):
    """A repository of Hugging Face with a tiny model of 8 latent channels."""
    folder.mkdir()
    save_file(tensors(model=model, **sizes), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config or {}))
    return str(folder)


def test_a_classifier_of_texts_is_a_backbone_whose_classes_are_accounted_for(tmp_path, capsys):
    names = {str(label): name for label, name in enumerate("abcde")}
    sizes = {"embed_dim": 16, "length": 7, "vocabulary_size": 11}
    theirs = their_folder(tmp_path / "theirs", "text_classification", {"id2label": names}, **sizes)
    assert cli.main(["convert", theirs, str(tmp_path / "preset")]) == 0
    said = capsys.readouterr().out
    assert "as a backbone without a task: there is none for text_classification with one linear" in said
    assert "its 5 classes named by config.json" in said
    account = json.loads((tmp_path / "preset" / "conversion.json").read_text())
    assert account["label_names"] == list("abcde") and account["task"] is None
    backbone = PerceiverIOBackbone.from_preset(str(tmp_path / "preset"))
    assert backbone.output["label"].shape == (None, 5)


@pytest.mark.parametrize(
    ("options", "order", "padding"),
    [
        ([], [2, 3, 1, 0], "hugging_face"),
        (["--semantics", "deepmind"], [3, 2, 1, 0], "deepmind"),
        (["--kernel-order", "3210", "--query-residual", "False"], [3, 2, 1, 0], "hugging_face"),
        (["--semantics", "deepmind", "--kernel-order", "2310"], [2, 3, 1, 0], "deepmind"),
    ],
)
def test_semantics_kernel_order_and_residual_are_chosen_by_options(options, order, padding, tmp_path):
    theirs = their_folder(tmp_path / "theirs", "image_conv", embed_dim=64, context_dim=322, channels=3)
    kernels = load_file(tmp_path / "theirs" / "model.safetensors")
    (name,) = (name for name in kernels if name.endswith("conv.weight"))
    kernels[name] = np.random.default_rng(0).normal(size=kernels[name].shape).astype("float32")
    save_file(kernels, tmp_path / "theirs" / "model.safetensors")
    assert cli.main(["convert", theirs, str(tmp_path / "preset"), *options]) == 0
    account = json.loads((tmp_path / "preset" / "conversion.json").read_text())
    given = "given" if "--kernel-order" in options else "semantics"
    assert account["settings"]["kernel_order"] == {"value": order, "source": given}
    backbone = PerceiverIOBackbone.from_preset(str(tmp_path / "preset"))
    stem = backbone.input_adapters["image"].stem
    assert stem.semantics == account["semantics"] == padding
    kernel = keras.ops.convert_to_numpy(stem.convolutions[0].kernel)
    np.testing.assert_array_equal(kernel, kernels[name].transpose(order))
    assert backbone.decoder.query_residual is ("--query-residual" not in options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "num_heads=8"),
        ([*HEADS, "--kernel-order", "3210"], "`kernel_order` must be `None`"),
        ([*HEADS, "--size-px", "32", "32"], "`sizes` of language may name"),
        ([*HEADS, "--num-repeats", "0"], "`num_repeats` must be a positive whole number"),
    ],
)
def test_options_that_cannot_be_are_a_fault_that_names_them(options, message, language, tmp_path, capsys):
    assert cli.main(["convert", str(language), str(tmp_path / "preset"), *options]) == 4
    said = capsys.readouterr().err
    assert message in said and "convert --help" in said
    assert not (tmp_path / "preset").exists()


@pytest.mark.parametrize("name", ["metadata.json", "conversion.json"])
def test_a_trained_preset_or_a_data_set_is_not_replaced(name, language, tmp_path, capsys):
    """Both have a `metadata.json`; and what lies in a converted preset beside it is not lost either."""
    for mine in (name, "images.bin"):
        (tmp_path / "mine" / mine).parent.mkdir(exist_ok=True)
        (tmp_path / "mine" / mine).write_text("mine")
    assert cli.main(["convert", str(language), str(tmp_path / "mine"), *HEADS]) == 2
    assert "The preset needs a new folder, or that of an earlier conversion" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {name, "images.bin"}


def test_an_earlier_conversion_stays_until_the_new_one_is_whole(language, tmp_path, monkeypatch):
    def full(self, path):
        raise OSError(errno.ENOSPC, "no space")

    words = ["convert", str(language), str(tmp_path / "preset"), *HEADS]
    assert cli.main(words) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "preset").iterdir()}
    assert json.loads(before["conversion.json"])["model"] == "language"
    monkeypatch.setattr(MaskedLanguageModel, "save_to_preset", full)
    assert cli.main(words) == 4
    assert {path.name: path.read_bytes() for path in (tmp_path / "preset").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["language.pickle", "preset"]
    monkeypatch.undo()
    assert cli.main(words) == 0


def test_a_damaged_file_is_a_fault_that_names_it(image, tmp_path, capsys):
    image.write_bytes(image.read_bytes()[:5000])
    assert cli.main(["convert", str(image), str(tmp_path / "preset")]) == 4
    said = capsys.readouterr().err
    assert "CheckpointError: imagenet.pystate: The pickle is damaged" in said and "Traceback" not in said
    assert not (tmp_path / "preset").exists()


@pytest.mark.slow
def test_the_autoencoder_becomes_a_task_that_knows_its_clips(tmp_path, capsys):
    """3 frames at 25 Hz last 0.12 s: 95 samples in that time are no whole rate, 105 are 875 Hz."""
    case, path = Golden("perceiver_multimodal_autoencoder"), tmp_path / "clips.pystate"
    path.write_bytes(case.pickled())
    sizes = {name: size for name, size in case.sizes().items() if name in ("num_heads", "max_resolution")}
    words = [f"--{name.replace('_', '-')}" for name in sizes]
    values = [[str(size)] if isinstance(size, int) else [*map(str, size)] for size in sizes.values()]
    given = [text for word, value in zip(words, values, strict=True) for text in (word, *value)]
    for samples, task in ((95, None), (105, "video_autoencoding")):
        preset = tmp_path / str(samples)
        words = [*given, "--size-px", "20", "28", "--num-frames", "3", "--num-samples", str(samples)]
        assert cli.main(["convert", str(path), str(preset), *words]) == 0
        said = capsys.readouterr().out
        assert json.loads(said[said.index("{\n") :])["task"] == task
    assert "11 classes named by their numbers" in said
    loaded = PerceiverIOBackbone.from_preset(str(preset))
    assert loaded.streams["audio"].samples == 105
