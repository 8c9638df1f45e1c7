"""One query and one head a task: each example teaches its own task only."""

import dataclasses
import functools
import json
import re

import keras
import numpy as np
import pytest

from tests.applications.text_classification.sizes import SIZES
from tests.backend import array, compiled
from zorro_keras.applications.masked_language import MaskedLanguageModel, MaskedLanguagePreprocessor
from zorro_keras.applications.pipelines.faults import CheckpointError
from zorro_keras.applications.text_classification import TextClassifier, build_model, task_queries
from zorro_keras.applications.text_classification.config import CONFIGS, TINY
from zorro_keras.applications.text_classification.model import epoch_metrics, start_weights
from zorro_keras.models import PerceiverIOBackbone

NAMES = ("CoLA/bad", "CoLA/good", "MNLI/yes", "MNLI/perhaps", "MNLI/no", "STS-B/score")
TEXTS = ["one", ("two", "three"), "four", "five"]


def small_config(**model):
    return dataclasses.replace(
        TINY,
        data=dataclasses.replace(TINY.data, length=11),
        model=dataclasses.replace(TINY.model, num_positions=13, **SIZES, **model),
    )


def language_model(**sizes):
    return PerceiverIOBackbone.from_variant("language", length=13, **{**SIZES, **sizes})


def build(names=NAMES):
    keras.utils.set_random_seed(1)
    return build_model(small_config(), names)


@functools.cache
def model():
    return build()


def latents(backbone, x):
    return array(compiled(backbone.encode)(x))


def labels():
    """Four examples: two of MNLI, one of CoLA, one of STS-B."""
    y = {"CoLA": [0, 0, 1, 0], "MNLI": [2, 1, 0, 0], "STS-B": [0.0, 0.0, 0.0, 2.5]}
    weight = {"CoLA": [0, 0, 1, 0], "MNLI": [1, 1, 0, 0], "STS-B": [0, 0, 0, 1]}
    return (
        {task: np.asarray(each, "float32" if task == "STS-B" else "int32") for task, each in y.items()},
        {task: np.asarray(each, "float32") for task, each in weight.items()},
    )


def cross_entropy(label, logits):
    logits = logits.astype("float64")
    return np.log(np.exp(logits).sum()) - logits[label]


def test_every_task_is_answered_by_its_own_head_at_once():
    answers = model().predict(TEXTS, verbose=0)
    assert {task: answer.shape for task, answer in answers.items()} == {
        "CoLA": (4, 2),
        "MNLI": (4, 3),
        "STS-B": (4, 1),
    }
    assert all(answer.dtype == np.float32 for answer in answers.values())


def test_the_loss_is_the_mean_over_examples_each_on_its_own_head():
    answers = model().predict(TEXTS, verbose=0)
    y, weight = labels()
    losses = [
        cross_entropy(2, answers["MNLI"][0]),
        cross_entropy(1, answers["MNLI"][1]),
        cross_entropy(1, answers["CoLA"][2]),
        (answers["STS-B"][3, 0] - 2.5) ** 2,
    ]
    found = model().evaluate(TEXTS, y, sample_weight=weight, batch_size=4, return_dict=True, verbose=0)
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert {"CoLA_accuracy", "MNLI_accuracy", "STS-B_squared_error"} <= set(found)
    assert found["STS-B_squared_error"] == pytest.approx(losses[-1], rel=1e-4)


def test_labels_of_another_task_do_not_change_the_loss():
    y, weight = labels()
    tensors = {task: keras.ops.convert_to_tensor(answer) for task, answer in predictions().items()}
    loss = functools.partial(model().compute_loss, y_pred=tensors)
    before = float(loss(y=y, sample_weight=weight))
    y["CoLA"][0], y["STS-B"][1] = 1, 99.0
    assert float(loss(y=y, sample_weight=weight)) == before
    y["MNLI"][0] = 0
    assert float(loss(y=y, sample_weight=weight)) != before


def test_a_label_that_is_no_class_makes_the_loss_nan_where_it_weighs_something():
    y, weight = labels()
    answers = {task: keras.ops.zeros((4, num)) for task, num in model().num_outputs.items()}
    y["MNLI"][3] = 9
    assert np.isfinite(array(model().compute_loss(y=y, y_pred=answers, sample_weight=weight)))
    y["MNLI"][1] = 3
    assert np.isnan(array(model().compute_loss(y=y, y_pred=answers, sample_weight=weight)))


@functools.cache
def predictions():
    return model().predict(TEXTS, verbose=0)


def test_smoothed_labels_are_spread_over_all_classes():
    smooth = TextClassifier(model().backbone, model().num_outputs, label_smoothing=0.3)
    answer = predictions()["MNLI"]
    found = array(smooth._losses_of("MNLI", np.array([2, 1, 0, 0]), keras.ops.convert_to_tensor(answer)))
    expected = [
        sum((0.7 * (k == label) + 0.1) * cross_entropy(k, row) for k in range(3))
        for label, row in zip([2, 1, 0, 0], answer, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_padding_changes_no_answer():
    short = {"text": np.full((2, 5), 50), "padding_mask": {"text": np.ones((2, 5), bool)}}
    long = {
        name: np.pad(value, ((0, 0), (0, 6)), constant_values=9) for name, value in [("text", short["text"])]
    }
    long["padding_mask"] = {"text": np.pad(short["padding_mask"]["text"], ((0, 0), (0, 6)))}
    longer = {**long, "padding_mask": {"text": np.ones((2, 11), bool)}}
    # Each length in a program of its own: on TensorFlow `predict` would relax the second length to any.
    expected, padded, read = (
        {k: array(v) for k, v in compiled(model())(x).items()} for x in (short, long, longer)
    )
    for task, answer in expected.items():
        np.testing.assert_allclose(padded[task], answer, atol=2e-6)
    assert np.abs(read["CoLA"] - expected["CoLA"]).max() > 1e-5


def test_a_mixed_batch_trains_every_head_and_one_task_alone_trains_its_own():
    trained = build()
    y, weight = labels()
    only = {task: each if task == "CoLA" else np.zeros_like(each) for task, each in weight.items()}
    before = {task: head.get_weights() for task, head in trained.heads.items()}

    def moved():
        return {
            task
            for task, head in trained.heads.items()
            if any(not np.array_equal(a, b) for a, b in zip(head.get_weights(), before[task], strict=True))
        }

    trained.compile(optimizer=keras.optimizers.SGD(0.1))
    trained.fit(TEXTS, y, sample_weight=only, batch_size=4, verbose=0)
    assert moved() == {"CoLA"}
    trained.fit(TEXTS, y, sample_weight=weight, batch_size=4, verbose=0)
    assert moved() == {"CoLA", "MNLI", "STS-B"}


@pytest.mark.slow
def test_one_task_takes_plain_arrays():
    single = build(("RTE/yes", "RTE/no"))
    history = single.fit(TEXTS, np.array([0, 1, 1, 0]), batch_size=2, epochs=2, verbose=0).history
    assert set(history) == {"loss", "RTE_accuracy"} and len(history["loss"]) == 2
    assert single.predict(["a"], verbose=0)["RTE"].shape == (1, 2)
    with pytest.raises(ValueError, match=r"Labels must be a dict of some of \['RTE'\]"):
        single.compute_loss(y={"CoLA": np.zeros(4)}, y_pred={"RTE": np.zeros((4, 2))})


def test_a_preset_keeps_answers_tokenizer_and_names(tmp_path):
    folder, saved = str(tmp_path / "preset"), build()
    saved.save_to_preset(folder)
    loaded = TextClassifier.from_preset(folder)
    assert loaded.preprocessor.get_config() == saved.preprocessor.get_config()
    for task, answer in loaded.predict(TEXTS, verbose=0).items():
        np.testing.assert_array_equal(answer, saved.predict(TEXTS, verbose=0)[task])


def test_the_tasks_share_the_encoder_and_input_they_were_given():
    source = language_model()
    backbone = task_queries(source, ["b", "a"])
    assert backbone.encoder is source.encoder
    assert backbone.input_adapters["text"] is source.input_adapters["text"]
    assert backbone.decoder is not source.decoder
    assert backbone.decoder.num_heads == source.decoder.num_heads
    assert list(backbone.output_adapters) == ["a", "b"]
    x = {"text": np.full((2, 7), 50)}
    np.testing.assert_array_equal(latents(source, x), latents(backbone, x))


def test_a_run_starts_from_the_encoder_of_a_language_model(tmp_path):
    keras.utils.set_random_seed(7)
    source = language_model()
    MaskedLanguageModel(source).save_to_preset(str(tmp_path / "preset"))
    fresh = build()
    x = {"text": np.full((2, 7), 50)}
    expected = latents(source, x)
    assert np.abs(latents(fresh.backbone, x) - expected).max() > 1e-3
    queries = [array(adapter.queries.weights[0]) for adapter in fresh.backbone.output_adapters.values()]
    report = start_weights(fresh, small_config(pretrained=str(tmp_path / "preset")))
    np.testing.assert_array_equal(latents(fresh.backbone, x), expected)
    assert list(report.copied) == ["input text", "encoder", "decoder"]
    assert sorted(report.fresh) == ["queries CoLA", "queries MNLI", "queries STS-B"]
    assert sum(report.copied.values()) + 3 * 6 == fresh.backbone.count_params()
    assert re.search(r"Copied: input text \([\d,]+\), encoder", str(report))
    for before, adapter in zip(queries, fresh.backbone.output_adapters.values(), strict=True):
        np.testing.assert_array_equal(array(adapter.queries.weights[0]), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent_dim": 12}, r"`latent_dim` of its encoder is 12, not 10, set by `model.latent_dim`"),
        ({"num_heads": 1}, r"`num_heads` of its encoder is 1, not 2, set by `model.num_heads`"),
        ({"length": 17}, r"`[\w.]*length` of its input text is 17, not 13, set by `model.num_positions`"),
        (
            {"semantics": "hugging_face"},
            r"`activation` of its encoder is 'gelu', not 'gelu_tanh', set by `model.semantics`",
        ),
        ({"vocabulary_size": 300}, "`[\\w.]*vocabulary_size` of its input text is 300, not 262"),
    ],
)
def test_a_language_model_that_does_not_fit_is_refused_by_the_setting(change, message, tmp_path):
    sizes = {"length": 13, **SIZES, **change}
    PerceiverIOBackbone.from_variant("language", **sizes).save_to_preset(str(tmp_path / "preset"))
    before = [array(weight) for weight in model().backbone.weights]
    with pytest.raises(CheckpointError, match=message):
        start_weights(model(), small_config(pretrained=str(tmp_path / "preset")))
    for old, new in zip(before, model().backbone.weights, strict=True):
        np.testing.assert_array_equal(old, array(new))


def test_a_language_model_of_another_tokenizer_is_refused(tmp_path):
    MaskedLanguageModel(language_model(), MaskedLanguagePreprocessor("bytes", 13)).save_to_preset(
        str(tmp_path / "preset")
    )
    about = json.loads((tmp_path / "preset" / "preprocessor.json").read_text())
    assert about["config"]["tokenizer"] == {"kind": "bytes"}
    assert start_weights(build(), small_config(pretrained=str(tmp_path / "preset"))).copied
    about["config"]["tokenizer"] = {"kind": "sentence_piece", "model": "A" * 500}
    (tmp_path / "preset" / "preprocessor.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match="its `tokenizer` is another, not .*set by `data.tokenizer`"):
        start_weights(model(), small_config(pretrained=str(tmp_path / "preset")))


def test_what_is_no_pretrained_model_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no weights")
    with pytest.raises(CheckpointError, match="the preset of a model with a Perceiver IO, or published"):
        start_weights(model(), small_config(pretrained=str(tmp_path)))
    assert start_weights(model(), small_config()) is None


def test_the_tiny_language_model_has_the_sizes_that_tiny_pretrained_starts_from():
    from zorro_keras.applications.masked_language.config import TINY as LANGUAGE

    config = CONFIGS["tiny_pretrained"]
    assert LANGUAGE.model.sizes() == config.model.sizes()
    assert LANGUAGE.data.length == config.model.num_positions
    assert LANGUAGE.data.tokenizer == config.data.tokenizer


def test_epoch_figures_are_the_official_ones():
    y, weight = labels()
    found = epoch_metrics(predictions(), y, weight)
    assert set(found) == {
        "CoLA_matthews",
        "CoLA_accuracy",
        "MNLI_accuracy",
        "STS-B_pearson",
        "STS-B_spearman",
    }
    hits = predictions()["MNLI"].argmax(axis=1)[:2] == [2, 1]
    assert found["MNLI_accuracy"] == hits.mean() and np.isnan(found["STS-B_pearson"])


def test_config_round_trip_and_every_layer_is_built():
    rebuilt = TextClassifier.from_config(model().get_config())
    assert rebuilt.num_outputs == model().num_outputs
    assert [tuple(w.shape) for w in rebuilt.weights] == [tuple(w.shape) for w in model().weights]
    assert all(layer.built for layer in model()._flatten_layers())


def test_bad_arguments_are_refused():
    backbone = model().backbone
    with pytest.raises(ValueError, match="`num_outputs` must be positive for each of"):
        TextClassifier(backbone, {"CoLA": 2})
    with pytest.raises(ValueError, match=r"`label_smoothing` must be within \[0, 1\)"):
        TextClassifier(backbone, model().num_outputs, label_smoothing=1.0)
    with pytest.raises(ValueError, match="`loss` must be left to the task. Received: loss="):
        TextClassifier(backbone, model().num_outputs).compile(loss="mse")
    with pytest.raises(ValueError, match="Texts need a `preprocessor`"):
        TextClassifier(backbone, model().num_outputs).predict(["a"])
