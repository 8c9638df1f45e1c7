"""Training goes on from published weights, or says which setting does not fit."""

import dataclasses
import json

import numpy as np
import pytest

from tests.applications.published_sizes import IMAGE, LANGUAGE, LENGTH, NAMES, SIDE
from tests.backend import array
from tests.image_maker import write
from zorro_keras.applications import cli
from zorro_keras.applications.image_classification import model as image_model
from zorro_keras.applications.image_classification.config import CONFIGS as IMAGE_CONFIGS
from zorro_keras.applications.masked_language import model as language_model
from zorro_keras.applications.masked_language.config import TINY as TINY_LANGUAGE
from zorro_keras.applications.pipelines.faults import CheckpointError
from zorro_keras.applications.training.config import apply_overrides


def _language_config(pretrained, **changes):
    changes = {"semantics": "hugging_face", "pretrained": str(pretrained), **LANGUAGE, **changes}
    return dataclasses.replace(
        TINY_LANGUAGE,
        data=dataclasses.replace(TINY_LANGUAGE.data, length=changes.pop("length", LENGTH)),
        model=dataclasses.replace(TINY_LANGUAGE.model, **changes),
    )


@pytest.mark.parametrize("form", ["preset", "published"])
def test_training_goes_on_from_all_of_a_published_language_model(form, published, presets):
    source = presets / "words" if form == "preset" else published[0] / "words"
    model = language_model.build_model(config := _language_config(source))
    report = language_model.start_weights(model, config)
    assert not report.fresh and "head text" in report.copied
    for ours, theirs in zip(model.backbone.weights, published[1]["words"].weights, strict=True):
        np.testing.assert_array_equal(array(ours), array(theirs))
    assert language_model.start_weights(model, TINY_LANGUAGE) is None


@pytest.mark.slow
def test_the_command_goes_on_from_a_converted_preset_to_one_that_fills_in(presets, tmp_path, capsys):
    settings = {f"model.{name}": value for name, value in LANGUAGE.items()}
    settings |= {"model.semantics": "hugging_face", "model.pretrained": presets / "words"}
    settings |= {"data.length": LENGTH, "training.epochs": 1, "training.steps_per_epoch": 2}
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    run = str(tmp_path / "run")
    assert cli.main(["train", "masked_language", "--config", "tiny", "--out", run, *words]) == 0
    assert "head text" in " ".join("".join(capsys.readouterr()).split())  # a line may be wrapped
    assert cli.main(["predict", run, "It is [MASK*2]."]) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"semantics": "deepmind"}, "'gelu', not 'gelu_tanh', set by `model.semantics`"),
        ({"length": 32}, "is 24, not 32, set by `data.length`"),
        ({"num_latents": 4}, "is 3, not 4, set by `model.num_latents`"),
    ],
)
def test_a_language_model_that_does_not_fit_is_refused_by_the_setting(changes, message, presets):
    config = _language_config(presets / "words", **changes)
    with pytest.raises(CheckpointError, match=message):
        language_model.start_weights(language_model.build_model(config), config)


def test_going_on_needs_a_language_model_and_its_tokenizer(presets, tmp_path):
    config = _language_config(presets / "words")
    model = language_model.build_model(config)
    for file in (presets / "words").iterdir():
        write(tmp_path / file.name, file.read_bytes())
    about = json.loads((tmp_path / "preprocessor.json").read_text())
    about["config"]["tokenizer"] = {"kind": "sentence_piece", "model": "A" * 500}
    (tmp_path / "preprocessor.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match="its `tokenizer` is another, not .*set by `data.tokenizer`"):
        language_model.start_weights(model, _language_config(tmp_path))
    with pytest.raises(CheckpointError, match="it has no input text"):
        language_model.start_weights(model, _language_config(presets / "pictures"))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (NAMES, "The head is kept: the 5 classes are the same."),
        ([f"n0000000{label} {name}" for label, name in enumerate(NAMES)], "the 5 classes are the same."),
        (NAMES[::-1], "The head is fresh: the classes are the same in another order."),
        (["fox", *NAMES], "The head is fresh: the 6 classes are not the pretrained 5."),
    ],
)
def test_a_classifier_keeps_its_head_for_the_same_classes(names, said, published, presets):
    settings = [f"model.{name}={value}" for name, value in IMAGE.items()]
    settings += [f"data.size_px={SIDE}", "model.variant=image_learned", "model.semantics=hugging_face"]
    settings += ["model.num_bands=none", f"model.pretrained={presets / 'pictures'}"]
    config = apply_overrides(IMAGE_CONFIGS["tiny"], settings)
    model = image_model.build_model(config, names)
    report = image_model.start_weights(model, config)
    assert str(report).endswith(said)
    is_kept = "fresh:" not in said
    assert ("head label" in report.copied) == is_kept == ("head label" not in report.fresh)
    ours, theirs = (
        array(each.output_adapters["label"].head.dense.bias)
        for each in (model.backbone, published[1]["pictures"])
    )
    assert np.array_equal(ours, theirs) == is_kept
