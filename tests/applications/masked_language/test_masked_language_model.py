import json
import math
import shutil

import keras
import numpy as np
import pytest

from tests.applications.training.resume import assert_resumes_exactly
from tests.backend import array, gradients
from zorro_keras.applications.masked_language.masked_batches import MaskedBatches
from zorro_keras.applications.masked_language.masked_language_model import MaskedLanguageModel
from zorro_keras.applications.masked_language.preprocessor import MaskedLanguagePreprocessor
from zorro_keras.applications.pipelines.text_generated import generated_texts
from zorro_keras.applications.pipelines.text_tokens import MASK
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.models import PerceiverIOBackbone

TEXTS = ["Two dogs and two dogs", "are four dogs.", "One cat"]


def batch(model, texts=TEXTS, rate=0.5):
    preprocessor = MaskedLanguagePreprocessor("bytes", model.length, rate, seed=3, mask_selection_length=20)
    return preprocessor(texts)


def of_every_place(x, labels, weight):
    """Returns a batch whose labels and weights are of all the text, instead of the places that are asked."""
    rows, places = np.nonzero(weight)
    all_labels = np.full(x["text"].shape, 5)
    all_weights = np.zeros(x["text"].shape, "float32")
    all_labels[rows, x["mask_positions"][rows, places]] = labels[rows, places]
    all_weights[rows, x["mask_positions"][rows, places]] = 1.0
    return {name: x[name] for name in ("text", "padding_mask")}, all_labels, all_weights


def test_the_loss_is_the_mean_cross_entropy_over_what_is_hidden(model):
    x, labels, weight = batch(model)
    logits = array(model(x)["text"]).astype("float64")
    assert logits.shape == (3, 20, 262)
    nats = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, labels[..., None], -1)[..., 0]
    found = keras.Model.evaluate(model, x, labels, sample_weight=weight, verbose=0, return_dict=True)
    hidden = weight > 0
    assert 0 < hidden.sum() < hidden.size / 2
    assert found["loss"] == pytest.approx(nats[hidden].mean(), rel=1e-5)
    assert found["masked_loss"] == pytest.approx(found["loss"], rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(nats[hidden].mean() / math.log(2), rel=1e-5)
    right = logits.argmax(-1) == labels
    assert found["masked_accuracy"] == pytest.approx(right[hidden].mean(), abs=1e-6)


def test_the_masked_loss_weighs_every_hidden_id_alike_whatever_its_batch_hides(model):
    x, labels, weight = batch(model)
    weight[:2] = 0.0
    weight[0, 3] = 1.0  # one id in the first batch of two rows, several in the second
    assert weight[2].sum() > 3
    logits = array(model(x)["text"]).astype("float64")
    labels[0, 3] = logits[0, 3].argmin()  # it costs more than the others
    nats = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, labels[..., None], -1)[..., 0]
    found = keras.Model.evaluate(
        model, x, labels, sample_weight=weight, batch_size=2, verbose=0, return_dict=True
    )
    assert found["masked_loss"] == pytest.approx(nats[weight > 0].mean(), rel=1e-5)
    assert abs(found["loss"] - found["masked_loss"]) > 1e-4  # the mean of the means of batches is another


def test_asking_about_hidden_places_alone_is_asking_about_all_of_the_text(model):
    """Loss, metrics and gradients: the places read the latents, not each other."""
    hidden = batch(model)
    whole = of_every_place(*hidden)
    assert hidden[2].shape == (3, 20) and whole[2].shape == (3, 24) and 0 < whole[2].sum() == hidden[2].sum()
    answers, all_answers = (array(model(x)["text"]) for x in (hidden[0], whole[0]))
    expected = np.take_along_axis(all_answers, hidden[0]["mask_positions"][..., None], axis=1)
    np.testing.assert_allclose(answers, expected, atol=1e-5)
    figures = [
        keras.Model.evaluate(model, x, labels, sample_weight=weight, verbose=0, return_dict=True)
        for x, labels, weight in (hidden, whole)
    ]
    assert figures[0] == pytest.approx(figures[1], rel=1e-5)

    variables = model.trainable_variables

    def gradients_of(x, labels, weight):
        def loss(*values):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return model.compute_loss(x, labels, model(x), weight)

        return gradients(loss, *map(array, variables))

    of_hidden, of_whole = gradients_of(*hidden), gradients_of(*whole)
    assert max(np.abs(gradient).max() for gradient in of_whole) > 1e-2
    for variable, found, wanted in zip(variables, of_hidden, of_whole, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6, err_msg=variable.path)


def test_only_as_many_queries_are_asked_as_the_text_is_long(model):
    x, _, _ = of_every_place(*batch(model))
    short = {"text": x["text"][:, :21], "padding_mask": {"text": x["padding_mask"]["text"][:, :21]}}
    answer = array(model(short)["text"])
    assert answer.shape == (3, 21, 262)
    np.testing.assert_allclose(answer, array(model(x)["text"])[:, :21], atol=1e-5)


def test_padding_changes_nothing_and_text_does(model):
    x, _, _ = of_every_place(*batch(model))
    real = x["padding_mask"]["text"]
    before = array(model(x)["text"])
    noise = {**x, "text": np.where(real, x["text"], 77)}
    np.testing.assert_array_equal(array(model(noise)["text"]), before)
    noise = {**x, "text": np.where(real, 77, x["text"])}
    assert np.abs(array(model(noise)["text"]) - before).max() > 1e-4


@pytest.mark.slow
def test_it_trains_on_texts_and_learns(config):
    keras.utils.set_random_seed(0)
    backbone = PerceiverIOBackbone.from_variant(
        "language",
        length=24,
        embed_dim=8,
        num_latents=3,
        latent_dim=8,
        num_layers=1,
        num_heads=2,
        query_key_dim=8,
    )
    model = MaskedLanguageModel(backbone, MaskedLanguagePreprocessor("bytes", 24, 0.3))
    model.compile(keras.optimizers.Adam(0.02))
    texts = generated_texts(96)
    losses = model.fit(texts, batch_size=16, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.5
    assert model.evaluate(texts, batch_size=16, verbose=0, return_dict=True)["loss"] < losses[0]
    assert all(
        layer.built for layer in model._flatten_layers() if not isinstance(layer, keras_hub_preprocessor())
    )


def keras_hub_preprocessor():
    import keras_hub

    return keras_hub.models.Preprocessor


def test_a_preset_holds_tokenizer_length_and_weights(model, tmp_path):
    model.save_to_preset(str(tmp_path / "preset"))
    twin = MaskedLanguageModel.from_preset(str(tmp_path / "preset"))
    assert twin.preprocessor.get_config() == model.preprocessor.get_config()
    assert "bytes" in json.dumps(twin.preprocessor.get_config())
    texts = ["Two dogs[MASK*4] two cats"]
    ours, theirs = (keras_model.predict(texts, verbose=0)["text"] for keras_model in (model, twin))
    assert ours.shape == (1, 24, 262)
    np.testing.assert_allclose(theirs, ours, atol=1e-6)


def test_what_does_not_fit_is_named(model):
    backbone = model.backbone
    with pytest.raises(ValueError, match="`preprocessor.length` must be at most the backbone's 24"):
        MaskedLanguageModel(backbone, MaskedLanguagePreprocessor("bytes", 25))
    with pytest.raises(ValueError, match="`loss` must be left to the task. Received: loss="):
        model.compile(loss="mse")
    with pytest.raises(ValueError, match="without `y`"):
        model.preprocessor(TEXTS, np.zeros(3))
    with pytest.raises(ValueError, match="`mask_rate` within"):
        MaskedLanguagePreprocessor(mask_rate=1.5)
    with pytest.raises(ValueError, match="`mask_selection_length` must be within 1 and the 8 ids"):
        MaskedLanguagePreprocessor(length=8, mask_selection_length=9)
    with pytest.raises(ValueError, match="at most 24 ids"):
        model.preprocessor.encode_marked(["x" * 25])
    image = PerceiverIOBackbone.from_variant(
        "image_fourier", size_px=4, num_bands=2, num_latents=2, latent_dim=8, num_layers=1, num_repeats=1
    )
    with pytest.raises(ValueError, match="one input and one output, `text`"):
        MaskedLanguageModel(image)


def test_the_preprocessor_works_eagerly_and_in_a_data_set(model):
    tf = pytest.importorskip("tensorflow")
    preprocessor = MaskedLanguagePreprocessor("bytes", model.length, 1.0)
    eager = preprocessor(TEXTS)
    mapped = next(tf.data.Dataset.from_tensors(TEXTS).map(preprocessor).as_numpy_iterator())
    keras.tree.map_structure(np.testing.assert_array_equal, mapped, eager)
    assert mapped[0]["text"].shape == (3, 24) and (mapped[0]["text"][0, :21] == MASK).all()


def test_what_is_hidden_is_a_function_of_seed_step_and_text(model):
    def hidden(step, seed=3, texts=TEXTS):
        return MaskedLanguagePreprocessor("bytes", model.length, 0.5, seed)(texts, step=step)[2]

    np.testing.assert_array_equal(hidden(4), hidden(4))
    assert (hidden(4) != hidden(5)).any() and (hidden(4) != hidden(4, seed=2)).any()
    same = hidden(4, texts=["some words of a text"] * 8)
    assert len(np.unique(same, axis=0)) > 1  # equal texts of one batch are hidden differently


def test_a_parallel_map_hides_the_same_words_each_time(model):
    tf = pytest.importorskip("tensorflow")
    preprocessor = MaskedLanguagePreprocessor("bytes", model.length, 0.5)
    texts = tf.data.Dataset.from_tensor_slices(generated_texts(64)).batch(4)

    def weights(dataset):
        return [weight for _, _, weight in dataset.as_numpy_iterator()]

    parallel = texts.map(preprocessor, num_parallel_calls=8)
    one, other, alone = map(weights, (parallel, parallel, texts.map(preprocessor)))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one, alone)
    steps = texts.enumerate().map(lambda step, text: preprocessor(text, step=step), num_parallel_calls=8)
    assert (np.array(weights(steps)) != one).any()


def test_two_trainings_on_texts_are_equal_and_hide_other_words_in_each_pass():
    texts, preprocessor = ["some words of a text"] * 3, MaskedLanguagePreprocessor("bytes", 24, 0.5)
    one, other = (MaskedBatches(texts, preprocessor, 2) for _ in range(2))
    assert len(one) == 2
    passes = [[one[index][2] for index in (0, 1)] for _ in range(2)]
    again = [[other[index][2] for index in (0, 1)] for _ in range(2)]
    for found, expected in zip(keras.tree.flatten(passes), keras.tree.flatten(again), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert [weight.shape for weight in passes[0]] == [(2, 24), (1, 24)]
    assert (passes[0][0] != passes[1][0]).any()


def test_validation_hides_the_same_words_in_each_epoch(model, monkeypatch):
    texts, seen = ["some words of a text"] * 3, {}
    monkeypatch.setattr(keras.Model, "fit", lambda model, x, **given: seen.update(given))
    model.fit(texts, validation_data=texts, batch_size=2)
    batches = seen["validation_data"]
    passes = [[batches[index] for index in range(len(batches))] for _ in range(2)]
    one, other = map(keras.tree.flatten, passes)
    for found, expected in zip(one, other, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_killed_run_ends_like_one_never_killed(text_path, config, tmp_path):
    lamb = apply_overrides(config, ["training.optimizer=lamb", "model.dropout_rate=0.1"])
    assert_resumes_exactly("masked_language", lamb, text_path, tmp_path)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_commands_use_a_run(text_path, config, tmp_path, capsys):
    from zorro_keras.applications.masked_language.commands import evaluate, predict
    from zorro_keras.applications.pipelines.faults import ConfigError
    from zorro_keras.applications.training.fit import train

    result = train("masked_language", config, str(text_path), str(tmp_path / "run"))
    assert result["steps"] == 6 and set(result["metrics"]) >= {
        "val_loss",
        "val_masked_loss",
        "val_masked_accuracy",
        "val_bits_per_byte",
    }
    figures = evaluate(tmp_path / "run", text_path)
    assert figures["loss"] == pytest.approx(result["metrics"]["val_masked_loss"], rel=1e-4)
    assert figures["texts"] == "held out"
    assert 2.0 < figures["unigram_loss"] < 3.5 and figures["num_rows"] == 10
    report = json.loads((tmp_path / "run" / "report" / "report.json").read_text())
    assert report["figures"]["num_hidden"] == figures["num_hidden"]
    capsys.readouterr()
    assert predict(tmp_path / "run", "Two [MASK*3] bark", top=2) == 0
    printed = capsys.readouterr().out
    assert "Two [MASK*3] bark" in printed and printed.count("%") == 2
    (tmp_path / "asked.txt").write_text("One [MASK]\n\nTwo [MASK]\n")
    assert predict(tmp_path / "run", str(tmp_path / "asked.txt"), top=1) == 0
    assert capsys.readouterr().out.count("%") == 2
    with pytest.raises(ConfigError, match="Nothing is hidden"):
        predict(tmp_path / "run", "no mark")
    (tmp_path / "asked.jsonl").write_text('{"text": "One [MASK]"}')
    for folder in (tmp_path / "run", tmp_path / "run" / "preset"):
        assert predict(folder, str(tmp_path / "asked.jsonl"), top=1) == 0
    one, other = capsys.readouterr().out.split("probability")[1:]
    assert one.split("One [MASK]")[0].strip() == other.strip()
    # Texts that the run has not seen count as a whole, were they but one.
    (tmp_path / "other.txt").write_text("A single text of 31 letters, ok")
    figures = evaluate(tmp_path / "run", tmp_path / "other.txt", whole=True)
    assert (figures["texts"], figures["num_rows"]) == ("all", 2)
    with pytest.raises(ConfigError, match="`whole` must be False for the data that the run was trained on"):
        evaluate(tmp_path / "run", text_path, whole=True)
    # A text more does not make those that were trained on new ones.
    more = tmp_path / "more"
    more.mkdir()
    shutil.copy(text_path, more)
    (more / "other.txt").write_text("A single text of 31 letters, ok")
    figures = evaluate(tmp_path / "run", more)
    assert (figures["texts"], figures["num_rows"]) == ("held out", 10)
