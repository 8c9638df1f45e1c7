import io
import json
import re

import keras
import numpy as np
import pytest
from rich.console import Console

from tests.applications.training.resume import assert_resumes_exactly
from tests.backend import array
from zorro_keras.applications.pipelines.battle_generated import battle
from zorro_keras.applications.pipelines.faults import ConfigError, SourceError, TrainingError
from zorro_keras.applications.pipelines.unit_battle import Battle
from zorro_keras.applications.pipelines.unit_files import write_battles
from zorro_keras.applications.starcraft_units import commands
from zorro_keras.applications.starcraft_units.model import build_model
from zorro_keras.applications.starcraft_units.preprocessor import UnitPreprocessor
from zorro_keras.applications.starcraft_units.unit_selector import TransformerUnitSelector, UnitSelector
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.run import Run
from zorro_keras.applications.training.run_folder import RunFolder
from zorro_keras.models import PerceiverIOBackbone


def batch(model, count=5):
    """Inputs of some battles, and which units are selected, padded alike."""
    battles = [battle(np.random.default_rng(seed)) for seed in range(count)]
    inputs = model.preprocessor.batch([one.units for one in battles], num_units=24)
    selected = np.zeros((count, 24), "float32")
    for row, one in enumerate(battles):
        selected[row, : len(one.units)] = one.selected
    return inputs, selected


def test_masked_slots_have_no_probability_and_change_nothing(model):
    inputs, _ = batch(model)
    real = inputs["padding_mask"]["units"]
    logits = array(model(inputs)["selection"])
    assert logits.shape == (5, 24) and (logits[~real] == -1e9).all() and (np.abs(logits[real]) < 1e3).all()
    assert (array(keras.ops.sigmoid(logits))[~real] == 0.0).all()
    spoilt = {**inputs, "units": np.where(real[..., None], inputs["units"], np.nan).astype("float32")}
    np.testing.assert_array_equal(array(model(spoilt)["selection"]), logits)
    other = {**inputs, "units": inputs["units"].copy()}
    other["units"][:, 0, 3] += 9.0
    assert (np.abs(array(model(other)["selection"]) - logits)[:, 1:4] > 1e-6).all()


def test_the_heads_are_those_of_the_paper(model):
    inputs, _ = batch(model)
    real = inputs["padding_mask"]["units"]
    answers = array(model.backbone(inputs)["units"])
    known = {name: array(values) for name, values in model.understand(inputs).items()}

    def dense(x, layer):
        return x @ array(layer.kernel) + array(layer.bias)

    units = dense(np.maximum(answers, 0.0), model.heads.unit_dense) * real[..., None]
    np.testing.assert_allclose(known["units"], units, atol=1e-5)
    means = np.stack([answer[there].mean(0) for answer, there in zip(answers, real, strict=True)])
    pooled = np.maximum(dense(means, model.heads.pooled_dense), 0.0)
    np.testing.assert_allclose(known["pooled"], pooled, atol=1e-5)
    pointer = model.heads.pointer
    keys, query = dense(units, pointer.key_dense), dense(pooled, pointer.query_dense)
    scores = np.einsum("bmk,bk->bm", keys, query) / np.sqrt(5)
    np.testing.assert_allclose(known["selection"][real], scores[real], atol=1e-5)


def measured(model, inputs, selected, weights):
    """All with one shape, which is compiled once."""
    return keras.Model.evaluate(
        model, inputs, selected, sample_weight=weights, batch_size=5, verbose=0, return_dict=True
    )


def test_the_loss_and_the_metrics_are_over_real_units(model):
    inputs, selected = batch(model)
    real = inputs["padding_mask"]["units"]
    logits = array(model(inputs)["selection"]).astype("float64")
    nats = np.where(real, np.log1p(np.exp(np.where(real, -logits * (2 * selected - 1), 0.0))), 0.0)
    right = (logits > 0) == (selected > 0)
    for weights in (np.ones(5, "float32"), np.array([1.0, 0.0, 0.0, 0.0, 2.0], "float32")):
        found, share = measured(model, inputs, selected, weights), weights[:, None] * real
        assert found["loss"] == pytest.approx((nats * share).sum() / share.sum(), rel=1e-4)
        assert found["selection_loss"] == pytest.approx(found["loss"], rel=1e-4)
        assert found["unit_accuracy"] == pytest.approx((right * share).sum() / share.sum(), abs=1e-6)
        exact = (right | ~real).all(1)[weights > 0].mean()
        assert found["exact_selection"] == pytest.approx(exact, abs=1e-6)


def test_a_battle_without_a_real_unit_counts_for_nothing(model):
    inputs, selected = batch(model)
    without = measured(model, inputs, selected, np.array([1, 0, 1, 1, 1], "float32"))
    inputs["padding_mask"]["units"][1] = False
    logits = array(model(inputs)["selection"])
    assert (logits[1] == -1e9).all() and np.isfinite(logits).all()
    found = measured(model, inputs, selected, np.ones(5, "float32"))
    for name, value in without.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config", "transformer_config"])
def test_it_trains_and_learns(name, request):
    keras.utils.set_random_seed(0)
    model = build_model(request.getfixturevalue(name))
    model.compile(keras.optimizers.Adam(0.02))
    inputs, selected = batch(model, 30)
    losses = model.fit(inputs, selected, batch_size=5, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert [layer.name for layer in model.backbone._flatten_layers() if not layer.built] == []


@pytest.mark.parametrize("name", ["config", "transformer_config"])
def test_a_preset_holds_features_and_weights(name, request, tmp_path):
    model = build_model(request.getfixturevalue(name))
    model.save_to_preset(str(tmp_path / "preset"))
    twin = UnitSelector.from_preset(str(tmp_path / "preset"))
    assert type(twin) is (TransformerUnitSelector if name == "transformer_config" else UnitSelector)
    assert twin.preprocessor.features == model.preprocessor.features
    inputs, _ = batch(model)
    np.testing.assert_allclose(array(twin(inputs)["selection"]), array(model(inputs)["selection"]), atol=1e-6)


def shares_by_slot(model, source, monkeypatch):
    """What `predict` prints of the first battle: the per cent of each slot."""
    monkeypatch.setattr(commands, "open_model", lambda folder, kind: model)
    text = io.StringIO()
    assert commands.predict("run", str(source), top=24, console=Console(file=text, width=500)) == 0
    return {int(slot): int(share) for slot, share in re.findall(r"(\d+) +(\d+)%", text.getvalue())}


def asked(model, battles):
    """The per cent of the units of each battle, rounded as they are printed."""
    inputs = model.preprocessor.batch(battles)
    shares = array(keras.ops.sigmoid(keras.Model.predict_on_batch(model, inputs)["selection"]))
    return [
        [round(100 * float(share)) for share in row[: len(units)]]
        for row, units in zip(shares, battles, strict=True)
    ]


def test_units_are_named_by_their_slots_in_the_file(model, tmp_path, monkeypatch):
    units = battle(np.random.default_rng(0)).units[:4]
    mask = np.array([True, False, True, True])
    np.savez(tmp_path / "battle.npz", units=units, padding_mask=mask)
    shares = shares_by_slot(model, tmp_path / "battle.npz", monkeypatch)
    assert shares == dict(zip((0, 2, 3), asked(model, [units[mask]])[0], strict=True))


def test_a_model_that_saw_units_alone_is_asked_about_each_alone(config, tmp_path, monkeypatch):
    model = build_model(apply_overrides(config, ["data.alone=true"]))
    model.save_to_preset(str(tmp_path / "preset"))
    units = battle(np.random.default_rng(0)).units[:4]
    write_battles(tmp_path / "battle.npz", [Battle(units)])
    asked_about, predict_on_batch = [], keras.Model.predict_on_batch

    def recorded(model, inputs):
        asked_about.append(inputs["units"].shape)
        return predict_on_batch(model, inputs)

    twin = UnitSelector.from_preset(str(tmp_path / "preset"))
    monkeypatch.setattr(keras.Model, "predict_on_batch", recorded)
    shares = shares_by_slot(twin, tmp_path / "battle.npz", monkeypatch)
    assert asked_about == [(16, 1, 8)]
    assert shares == {slot: share for slot, (share,) in enumerate(asked(model, [u[None] for u in units]))}


def test_battles_whose_units_were_shown_alone_are_counted_whole(battles, config, tmp_path, monkeypatch):
    config = apply_overrides(config, ["data.alone=true"])
    run = Run(RunFolder(tmp_path), "starcraft_units", config, (), "", (), build_model(config))
    monkeypatch.setattr(commands, "open_run", lambda folder: run)
    figures = commands.evaluate(tmp_path, battles)
    assert figures["num_battles"] == 11 < figures["num_units"]
    assert figures["exact_selection"] < figures["unit_accuracy"]  # of battles, not of units


def test_battles_of_any_size_are_padded_to_few_shapes(model):
    made = [battle(np.random.default_rng(seed)).units for seed in range(5)]
    inputs = model.preprocessor.batch(made)
    sizes = inputs["padding_mask"]["units"].sum(1).tolist()
    slots = 16 if max(sizes) <= 16 else 24
    assert inputs["units"].shape == (5, slots, 8) and sizes == [len(units) for units in made]
    assert model.preprocessor.batch([made[0][:1]])["units"].shape == (1, 16, 8)
    few = [units[:5] for units in made]
    short, long = (
        array(model(model.preprocessor.batch(few, num_units=slots))["selection"])[:, :5]
        for slots in (None, 24)
    )
    np.testing.assert_allclose(short, long, atol=1e-5)
    with pytest.raises(SourceError, match="between 1 and 24 real units. Received: 25"):
        model.preprocessor.batch([np.zeros((25, 8))])
    with pytest.raises(SourceError, match="`unit_type` of the unit in slot 0"):
        model.preprocessor.batch([np.full((2, 8), 9.0)])
    with pytest.raises(ValueError, match="`battles` must hold at least one battle. Received: 0 battles"):
        model.preprocessor.batch([])


def test_what_does_not_fit_is_named(model):
    other = UnitPreprocessor(model.preprocessor.features, 23)
    with pytest.raises(ValueError, match="`preprocessor` must have the features and the number of units"):
        UnitSelector(model.backbone, other)
    with pytest.raises(ValueError, match="`loss` must be left to the task. Received: loss="):
        model.compile(loss="mse")
    with pytest.raises(ValueError, match=r"`units` must have the shape \(batch, at most 24, 8\)"):
        model.preprocessor({"units": np.zeros((2, 25, 8), "float32")})
    with pytest.raises(ValueError, match="Received: `presence`"):
        model({"units": np.zeros((2, 24, 8), "float32"), "presence": {"units": np.ones(2, bool)}})
    image = PerceiverIOBackbone.from_variant(
        "image_fourier", size_px=4, num_bands=2, num_latents=2, latent_dim=8, num_layers=1, num_repeats=1
    )
    with pytest.raises(ValueError, match="one input and one output, `units`"):
        UnitSelector(image)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["config", pytest.param("transformer_config", marks=pytest.mark.long)])
def test_a_killed_run_ends_like_one_never_killed(name, request, battles, tmp_path):
    config = apply_overrides(request.getfixturevalue(name), ["model.dropout_rate=0.1"])
    assert_resumes_exactly("starcraft_units", config, battles, tmp_path)


def _spoil_the_weights(monkeypatch):
    """Lets `evaluate` open a run whose model answers NaN."""
    from zorro_keras.applications.starcraft_units import commands

    def open_spoilt(folder):
        run = open_run(folder)
        weight = run.task.heads.pointer.query_dense.bias
        weight.assign(np.full(weight.shape, np.nan))
        return run

    open_run = commands.open_run
    monkeypatch.setattr(commands, "open_run", open_spoilt)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_commands_use_a_run(battles, config, tmp_path, capsys, monkeypatch):
    from zorro_keras.applications.starcraft_units.commands import evaluate, predict
    from zorro_keras.applications.training.fit import train

    run = tmp_path / "run"
    result = train("starcraft_units", config, str(battles), str(run))
    figures = evaluate(run, battles)
    for name in ("unit_accuracy", "exact_selection"):
        assert figures[name] == pytest.approx(result["metrics"][f"val_{name}"], abs=1e-5)
    assert (figures["battles"], figures["num_battles"]) == ("held out", 11)
    report = json.loads((run / "report" / "report.json").read_text())
    assert report["figures"]["f1"] == figures["f1"] and report["chance"]["nothing"]["recall"] == 0.0
    assert report["flops"]["total"] == pytest.approx(1e9 * figures["gflops"], abs=500)
    assert "average precision" in (run / "report" / "report.html").read_text()
    # Battles that the run has not seen count as a whole, and need no label to be answered.
    made = [battle(np.random.default_rng([7, seed])) for seed in range(23)]
    write_battles(tmp_path / "other.tfrecord", made)
    figures = evaluate(run, tmp_path / "other.tfrecord", out=tmp_path / "other", whole=True)
    assert (figures["battles"], figures["num_battles"]) == ("all", 23)
    with pytest.raises(ConfigError, match="`whole` must be False for the data that the run was trained on"):
        evaluate(run, battles, whole=True)
    figures = evaluate(run, tmp_path / "other.tfrecord", out=tmp_path / "other")
    assert figures["battles"] == "held out" and 0 < figures["num_battles"] < 23
    write_battles(tmp_path / "asked.npz", [Battle(one.units) for one in made])
    capsys.readouterr()
    answers = []
    for folder in (run, run / "preset"):
        assert predict(folder, str(tmp_path / "asked.npz"), top=2) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] and "The first 20 of 23 battles" in answers[0]
    assert answers[0].count("%") == 40
    _spoil_the_weights(monkeypatch)
    with pytest.raises(TrainingError, match="not finite") as error:
        evaluate(run, battles)
    assert error.value.advice == "Check that the training ended well, and that what was read is sound."
    with pytest.raises(ConfigError, match="made no data"):
        from zorro_keras.applications.training.task import default_data

        default_data(run)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", ["config", "transformer_config"])
def test_an_export_answers_battles_of_any_size(name, request, tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("exported in this process, by TensorFlow: one that starts it takes seconds")
    import tensorflow as tf

    from zorro_keras.applications.training.export import export_task

    model = build_model(request.getfixturevalue(name))
    result = export_task(model, tmp_path / "served", native=True)
    assert sorted(result["endpoints"]) == ["embed", "serve"]
    served = tf.saved_model.load(result["saved_model"])
    units = battle(np.random.default_rng(3)).units[None, :13]
    mask = np.arange(13)[None] < 11
    answers = served.serve({"units": units, "units_padding_mask": mask})
    expected = array(model({"units": units, "padding_mask": {"units": mask}})["selection"])
    np.testing.assert_allclose(answers["selection_logits"].numpy(), expected, atol=1e-5)
    assert (answers["selection_probabilities"].numpy()[~mask] == 0.0).all()
    known = served.embed({"units": units, "units_padding_mask": mask})
    assert known["units"].shape == (1, 13, 7) and known["pooled"].shape == (1, 7)
