"""Published weights can be asked, exported and given back once they are converted."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.applications.published_sizes import LENGTH, NAMES, SIDE
from tests.backend import array
from tests.image_maker import encoded, pixels, write
from tests.weights.files import tensors
from zorro_keras import weights
from zorro_keras.applications import cli
from zorro_keras.applications.image_classification.answers import answers, pictures_of
from zorro_keras.applications.image_classification.config import IMAGENET_MEAN, IMAGENET_STD
from zorro_keras.applications.masked_language import commands as language
from zorro_keras.applications.training.asking_batch import asking_batch_size
from zorro_keras.applications.training.endpoints import endpoints_of
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.models import PerceiverIOBackbone


@pytest.mark.slow
def test_a_converted_language_model_fills_in_by_the_command_line(published, presets, capsys):
    assert cli.main(["predict", str(presets / "words"), "This is [MASK*2].", "--top", "3"]) == 0
    said = capsys.readouterr().out
    assert "This is [MASK*2]." in said and said.count("%") == 3
    assert cli.main(["predict", str(presets / "words"), f"{'long ' * LENGTH}[MASK]"]) == 2
    assert f"at most {LENGTH} ids" in capsys.readouterr().err
    opened = open_model(presets / "words")
    assert opened.preprocessor.tokens.kind == "bytes" and opened.preprocessor.length == LENGTH
    x = {"text": np.full((1, 5), 70, "int32")}
    expected = array(published[1]["words"](x)["text"])[:, :5]
    np.testing.assert_allclose(array(opened(x)["text"]), expected, rtol=1e-5, atol=1e-5)


def test_a_converted_classifier_names_pictures_by_the_command_line(published, presets, tmp_path, capsys):
    picture = write(tmp_path / "picture.png", encoded("PNG"))
    assert cli.main(["predict", str(presets / "pictures"), str(picture), "--top", "5"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in NAMES)
    preprocessor = open_model(presets / "pictures").preprocessor
    assert (preprocessor.size_px, preprocessor.crop_fraction) == (SIDE, 224 / 256)
    assert (tuple(preprocessor.mean), tuple(preprocessor.std)) == (IMAGENET_MEAN, IMAGENET_STD)


def imagenet(root):
    """ImageNet's validation pictures, two of each class, in folders by synset, and what the synsets mean."""
    synsets = {f"n0000000{label}": name for label, name in enumerate(NAMES)}
    for seed, synset in enumerate([*synsets, *synsets]):
        write(root / "val" / synset / f"{seed}.png", encoded("PNG", pixels(9, 11, seed)))
    write(root / "synset_words.txt", "\n".join(map(" ".join, synsets.items())).encode())
    return root


@pytest.mark.slow
def test_a_converted_classifier_is_scored_on_imagenet_whatever_the_batch(presets, tmp_path, capsys):
    data, preset = str(imagenet(tmp_path / "data")), str(presets / "pictures")
    assert cli.main(["evaluate", preset]) == 2
    assert "Give --data." in capsys.readouterr().err
    words = ["--out", str(tmp_path), "--batch-size", "3"]
    assert cli.main(["evaluate", preset, "--data", data, *words]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["num_images"], report["split"], report["label_names"]) == (10, "val", NAMES)
    found = {row["id"]: row["predicted"] for row in report["worst_images"]}
    for path, answer in answers(open_model(presets / "pictures"), pictures_of(data), batch_size=4):
        assert found[str(path.relative_to(data))] == NAMES[answer.argmax()]


def test_a_classifier_of_other_classes_is_not_scored(presets, tmp_path, capsys):
    data = imagenet(tmp_path)
    write(data / "synset_words.txt", b"n00000000 ant\n")
    assert cli.main(["evaluate", str(presets / "pictures"), "--data", str(data)]) == 3
    message = "are not the model's 5. Class 1 is 'n00000001' of the data, 'bee' of the model."
    assert message in capsys.readouterr().err


def test_a_batch_holds_at_least_one_picture(presets, tmp_path, capsys):
    picture = write(tmp_path / "picture.png", encoded("PNG"))
    for words in (
        ["predict", str(presets / "pictures"), str(picture)],
        ["evaluate", str(presets / "pictures"), "--data", "d"],
    ):
        assert cli.main([*words, "--batch-size", "0"]) == 2
        assert "`batch_size` must be positive. Received: batch_size=0" in capsys.readouterr().err


@pytest.mark.slow
def test_a_converted_language_model_is_scored_whatever_the_batch(presets, tmp_path):
    write(tmp_path / "texts.txt", "\n".join(f"Text {line}, all of it." for line in range(9)).encode())
    found = [
        language.evaluate(presets / "words", tmp_path / "texts.txt", out=tmp_path, batch_size=batch_size)
        for batch_size in (None, 2)
    ]
    assert found[0]["texts"] == "all" and found[0]["num_rows"] > 2
    for name in ("loss", "masked_accuracy", "bits_per_byte", "unigram_loss", "num_hidden", "num_rows"):
        assert found[0][name] == pytest.approx(found[1][name], rel=1e-5)


@pytest.mark.parametrize(
    ("num_tokens", "given", "batch_size"),
    [(32 * 32, None, 32), (224 * 224, None, 8), (2048, None, 32), (4000**2, None, 1), (4000**2, 5, 5)],
)
def test_large_examples_are_asked_about_in_smaller_batches(num_tokens, given, batch_size):
    assert asking_batch_size(num_tokens, given) == batch_size


def test_names_of_classes_go_to_hugging_face_and_come_back(presets, tmp_path):
    task = open_model(presets / "pictures")
    names = ["crane", "crane", *NAMES[2:]]  # ImageNet has two classes of that name
    weights.save_hugging_face(task.backbone, tmp_path / "theirs", names)
    config = json.loads((tmp_path / "theirs" / "config.json").read_text())
    assert config["label2id"]["elk"] == 4
    assert cli.main(["convert", str(tmp_path / "theirs"), str(tmp_path / "again")]) == 0
    assert open_model(tmp_path / "again").preprocessor.label_names == names


@pytest.mark.parametrize("name", ["words", "pictures"])
def test_a_converted_task_is_still_the_backbone_that_goes_back_to_hugging_face(
    name, published, presets, tmp_path
):
    backbone = PerceiverIOBackbone.from_preset(str(presets / name))
    weights.save_hugging_face(backbone, tmp_path / "again")
    before, after = (
        load_file(folder / "model.safetensors") for folder in (published[0] / name, tmp_path / "again")
    )
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[key], after[key]) for key in before)


def test_a_converted_task_says_what_an_export_serves(presets):
    names = {
        name: [endpoint.name for endpoint in endpoints_of(open_model(presets / name))]
        for name in ("words", "pictures")
    }
    assert names == {
        "words": ["serve", "encode", "decode", "decode_rows"],
        "pictures": ["serve", "encode", "decode", "serve_raw"],
    }


@pytest.mark.long
@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", ["words", "pictures"])
def test_a_converted_task_is_exported_by_the_command_line(name, presets, tmp_path, capsys):
    """Every endpoint: that the export answers as the model does is the command's own condition."""
    out = tmp_path / "served"
    assert cli.main(["export", str(presets / name), str(out)]) == 0, capsys.readouterr().err
    report = json.loads((out / "parity.json").read_text())["endpoints"]
    assert set(report) == {endpoint.name for endpoint in endpoints_of(open_model(presets / name))}
    assert all(kind["max_relative"] < 1e-4 for kinds in report.values() for kind in kinds.values())


def _without(arrays):
    del arrays["perceiver.embeddings.latents"]


def _with_another(arrays):
    arrays["perceiver.decoder.extra"] = np.zeros(2, "float32")


def _misshapen(arrays):
    arrays["perceiver.embeddings.latents"] = arrays["perceiver.embeddings.latents"][:, :5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without, "perceiver.embeddings.latents"),
        (_with_another, "perceiver.decoder.extra"),
        (_misshapen, "latent"),
    ],
)
def test_a_tensor_that_is_missing_too_many_or_misshapen_is_named(
    change, message, published, tmp_path, capsys
):
    for file in (published[0] / "words").iterdir():
        write(tmp_path / "damaged" / file.name, file.read_bytes())
    arrays = load_file(tmp_path / "damaged" / "model.safetensors")
    change(arrays)
    save_file(arrays, tmp_path / "damaged" / "model.safetensors")
    assert cli.main(["convert", str(tmp_path / "damaged"), str(tmp_path / "preset")]) == 4
    said = capsys.readouterr().err
    assert said.startswith("CheckpointError") and message in said
    assert not (tmp_path / "preset").exists()


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("ape\nbat\ncat\ndoe\nemu\n", 0, "its 5 classes named by "),
        ("ape\nbat\n", 2, "The model has 5 classes. Received: 2 names"),
        ("ape\n\ncat\ndoe\nemu\n", 2, "Line 2 of the file of names is empty"),
        (None, 2, "The file of names cannot be read"),
    ],
)
def test_names_of_classes_may_be_given_and_must_be_as_many(text, code, message, published, tmp_path, capsys):
    file, preset = tmp_path / "names.txt", tmp_path / "preset"
    if text is not None:
        file.write_text(text)
    words = ["convert", str(published[0] / "pictures"), str(preset), "--labels", str(file)]
    assert cli.main(words) == code
    said = capsys.readouterr()
    assert message in (said.err if code else said.out)
    assert preset.exists() == (code == 0)
    if code == 0:
        assert open_model(preset).preprocessor.label_names == text.split()


def test_without_names_classes_are_numbered_and_bad_ones_are_refused(published, tmp_path, capsys):
    folder = tmp_path / "pictures"
    for file in (published[0] / "pictures").iterdir():
        write(folder / file.name, file.read_bytes())
    about = json.loads((folder / "config.json").read_text())
    about["id2label"] = {"0": "ant"}
    (folder / "config.json").write_text(json.dumps(about))
    assert cli.main(["convert", str(folder), str(tmp_path / "preset")]) == 4
    assert "must name the classes 0 to 4" in capsys.readouterr().err
    del about["id2label"]
    (folder / "config.json").write_text(json.dumps(about))
    assert cli.main(["convert", str(folder), str(tmp_path / "preset")]) == 0
    names = json.loads((tmp_path / "preset" / "preprocessor.json").read_text())["config"]["label_names"]
    assert names == ["class_0000", "class_0001", "class_0002", "class_0003", "class_0004"]


def test_labels_mean_nothing_to_a_language_model_and_a_source_is_not_overwritten(published, tmp_path, capsys):
    words = str(published[0] / "words")
    assert cli.main(["convert", words, str(tmp_path / "preset"), "--labels", "names.txt"]) == 2
    assert "`--labels` means nothing to language" in capsys.readouterr().err
    assert cli.main(["convert", words, words]) == 2
    assert "needs a new folder" in capsys.readouterr().err


def test_what_no_task_knows_is_a_backbone_that_cannot_be_asked(published, tmp_path, capsys):
    """Over an earlier preset of a task, of which nothing stays."""
    preset = tmp_path / "preset"
    assert cli.main(["convert", str(published[0] / "words"), str(preset)]) == 0
    sizes = {
        "embed_dim": 16, "length": 7, "vocabulary_size": 300, "decoder_query_key_dim": 256,
        "decoder_value_dim": 16, "decoder_mlp_dim": 16,
    }  # fmt: skip
    save_file(tensors(model="language", **sizes), tmp_path / "model.safetensors")
    assert cli.main(["convert", str(tmp_path / "model.safetensors"), str(preset)]) == 0
    said = capsys.readouterr().out
    assert "without a task: the tokenizer of its 300 ids is not in the weights" in said
    assert cli.main(["predict", str(preset), "[MASK]"]) == 2
    assert "a model without a task of ours" in capsys.readouterr().err
