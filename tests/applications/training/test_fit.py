import dataclasses
import importlib.util
import json
import shutil
import sys
import time
from io import StringIO
from pathlib import Path

import keras
import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file

from zorro_keras.applications.pipelines.faults import (
    CheckpointError,
    ConfigError,
    ShardError,
    SourceError,
    TrainingError,
)
from zorro_keras.applications.training import run_identity
from zorro_keras.applications.training.backend import (
    CACHE_VARIABLE,
    compilation_cache_folder,
    prepare_backend,
)
from zorro_keras.applications.training.config import TrainingConfig, apply_overrides, field_paths
from zorro_keras.applications.training.fit import steps_per_epoch, train
from zorro_keras.applications.training.labels import with_checked_labels
from zorro_keras.applications.training.run import open_run
from zorro_keras.applications.training.run_folder import RunFolder
from zorro_keras.applications.training.task import named_config, task_module

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def toy():
    spec = importlib.util.spec_from_file_location("toy_task", Path(__file__).with_name("toy_task.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy_task"] = module
    spec.loader.exec_module(module)
    before = set(sys.modules)
    module.install(module)
    yield module
    for name in [*(set(sys.modules) - before), "toy_task"]:
        if "toy" in name:
            del sys.modules[name]


@pytest.fixture(scope="module")
def finished(toy, tmp_path_factory):
    """A run of two epochs, its configuration and its summary."""
    run = tmp_path_factory.mktemp("finished")
    config = apply_overrides(toy.Config(), ["training.epochs=2", "training.label_smoothing=0.1"])
    return run, config, train("toy", config, "points-1", str(run), console=quiet())


@pytest.fixture
def copied(finished, tmp_path):
    run, config, _ = finished
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run", config


def quiet():
    return Console(file=StringIO(), width=200)


def tensors_of(run):
    """The bytes of every tensor of the newest checkpoint, by name."""
    newest = max((run / "checkpoints").glob("step-*"))
    return {name: value.tobytes() for name, value in load_file(newest / "variables.safetensors").items()}


@pytest.mark.slow
def test_a_run_leaves_everything_the_next_command_needs(finished):
    run, config, summary = finished
    names = {path.name for path in run.iterdir()}
    assert {"config.json", "checkpoints", "log.jsonl", "tensorboard", "preset"} <= names
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 6), (2, 12)]
    assert {"loss", "accuracy", "val_loss", "val_exact_accuracy", "learning_rate"} <= set(rows[1]["metrics"])
    assert rows[1]["metrics"]["val_exact_accuracy"] == pytest.approx(rows[1]["metrics"]["val_accuracy"])
    assert summary["steps"] == 12 and summary["metrics"] == rows[1]["metrics"]


def test_the_first_row_of_a_process_tells_how_long_its_first_step_took(finished):
    rows = [json.loads(line) for line in (finished[0] / "log.jsonl").read_text().splitlines()]
    first, second = (row["timing"] for row in rows)
    assert 0 < first["first_step_seconds"] < first["seconds"] + 1
    assert "first_step_seconds" not in second


@pytest.mark.slow
def test_the_seconds_of_training_are_without_those_of_validation(toy, tmp_path, monkeypatch):
    def slow_metrics(*rows):
        time.sleep(1)
        return {}

    monkeypatch.setattr(toy, "epoch_metrics", slow_metrics)
    train(
        "toy",
        apply_overrides(toy.Config(), ["training.epochs=2"]),
        "points-1",
        str(tmp_path),
        console=quiet(),
    )
    timing = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[1])["timing"]
    assert timing["seconds"] < 1 < timing["validation_seconds"]
    assert timing["examples_per_second"] == pytest.approx(6 * 8 / timing["seconds"], rel=0.01)


def test_a_run_in_float16_learns_and_opens_again(toy, finished, tmp_path):
    """The numbers are nearly those of float32, as the weights are kept in it and the loss is scaled."""
    settings = ["training.epochs=2", "training.label_smoothing=0.1", "training.mixed_precision=float16"]
    config = apply_overrides(toy.Config(), settings)
    train("toy", config, "points-1", str(tmp_path), console=quiet())
    rows, whole = (
        [json.loads(line)["metrics"] for line in (run / "log.jsonl").read_text().splitlines()]
        for run in (tmp_path, finished[0])
    )
    assert rows[1]["val_loss"] < rows[0]["val_loss"]
    assert rows[1]["val_loss"] == pytest.approx(whole[1]["val_loss"], rel=0.02)
    opened = open_run(tmp_path).task
    (x, _, _) = next(toy.evaluation_dataset(None, config, None)[0].as_numpy_iterator())
    assert np.isfinite(opened.predict(x, verbose=0)["logits"]).all()
    assert any("loss_scale" in name for name in tensors_of(tmp_path))


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="JAX and TensorFlow spread a run")
def test_a_run_that_is_spread_over_one_device_is_the_same(toy, finished, tmp_path):
    settings = ["training.epochs=2", "training.label_smoothing=0.1", "training.distribute=data"]
    train("toy", apply_overrides(toy.Config(), settings), "points-1", str(tmp_path), console=quiet())
    assert tensors_of(tmp_path) == tensors_of(finished[0])


def test_tensorboard_finds_every_metric_at_its_step(finished):
    run, _, summary = finished
    values = {}
    for file in (run / "tensorboard").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                values[value.tag, event.step] = tf.make_ndarray(value.tensor).item()
    for name, number in summary["metrics"].items():
        assert values[name, 12] == pytest.approx(number)


def test_a_finished_run_is_not_trained_again(copied):
    run, config = copied
    before = {path: path.read_bytes() for path in run.glob("checkpoints/*/*")}
    summary = train("toy", config, "points-1", str(run), console=quiet())
    assert summary["resumed_from_epoch"] == 2
    assert {path: path.read_bytes() for path in run.glob("checkpoints/*/*")} == before


def test_other_data_settings_or_backend_are_refused_by_name(copied):
    run, config = copied
    with pytest.raises(CheckpointError, match=r"data.fingerprint: points-1 -> points-2") as raised:
        train("toy", config, "points-2", str(run), console=quiet())
    assert raised.value.reason == "changed_data"
    other = apply_overrides(config, ["training.seed=5"])
    with pytest.raises(ConfigError, match="config.training.seed: 0 -> 5"):
        train("toy", other, "points-1", str(run), console=quiet())
    about = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**about, "backend": "abacus"}))
    with pytest.raises(ConfigError, match="backend: abacus -> "):
        train("toy", config, "points-1", str(run), console=quiet())


def test_a_setting_newer_than_the_run_counts_as_its_default(copied):
    run, config = copied
    about = json.loads((run / "config.json").read_text())
    del about["config"]["training"]["steps_per_execution"], about["config"]["data"]["bad_value"]
    (run / "config.json").write_text(json.dumps(about))
    assert train("toy", config, "points-1", str(run), console=quiet())["resumed_from_epoch"] == 2
    changed = apply_overrides(config, ["training.steps_per_execution=2"])
    with pytest.raises(ConfigError, match=r"config.training.steps_per_execution: 1 -> 2"):
        train("toy", changed, "points-1", str(run), console=quiet())


ROUNDING_ONLY = {"training.distribute": "data", "training.model_devices": "3"}
SPEED_ONLY = {"data.num_workers": "3", "data.deadline_seconds": "9.5", "data.max_worker_bytes": "none"}
DECISIVE = {
    "data.noise": "0.4",
    "data.bad_step": "99",
    "data.bad_value": "inf",
    "data.in_labels": "true",
    "model.units": "17",
    "model.rates": "0.4",
    "training.epochs": "3",
    "training.batch_size": "7",
    "training.steps_per_epoch": "6",
    "training.learning_rate": "0.01",
    "training.warmup_fraction": "0.3",
    "training.flat_fraction": "0.3",
    "training.optimizer": "lamb",
    "training.warmup_steps": "3",
    "training.weight_decay": "0.1",
    "training.layer_decay": "0.5",
    "training.clip_norm": "none",
    "training.ema_momentum": "0.5",
    "training.label_smoothing": "0.2",
    "training.mixed_precision": "true",
    "training.steps_per_execution": "2",
    "training.jit_compile": "false",
    "training.validate_every_epochs": "2",
    "training.seed": "5",
}


def test_every_setting_is_known_to_decide_the_numbers_or_the_speed_alone(toy):
    assert sorted(field_paths(toy.Config())) == sorted([*SPEED_ONLY, *ROUNDING_ONLY, *DECISIVE])
    assert sorted(run_identity.ROUNDING_ONLY) == sorted(f"config.{path}" for path in ROUNDING_ONLY)
    assert sorted(run_identity.SPEED_ONLY) == sorted(f"config.{path}" for path in SPEED_ONLY)


@pytest.mark.parametrize("path", DECISIVE)
def test_a_setting_that_decides_the_numbers_is_refused_by_name(copied, path):
    run, config = copied
    before = {file: file.read_bytes() for file in run.glob("checkpoints/*/*")}
    changed = apply_overrides(config, [f"{path}={DECISIVE[path]}"])
    with pytest.raises(ConfigError, match=rf"other settings:\n  config\.{path}: .+ -> .+") as refused:
        train("toy", changed, "points-1", str(run), console=quiet())
    assert len(refused.value.message.splitlines()) == 2 and refused.value.exit_code == 2
    assert {file: file.read_bytes() for file in run.glob("checkpoints/*/*")} == before


def test_what_only_changes_the_speed_may_change_and_changes_no_bit(copied, finished):
    run, config = copied
    shutil.rmtree(run / "checkpoints" / "step-00000012")
    changed = apply_overrides(config, [f"{path}={value}" for path, value in SPEED_ONLY.items()])
    assert train("toy", changed, "points-1", str(run), console=quiet())["resumed_from_epoch"] == 1
    assert tensors_of(run) == tensors_of(finished[0])


def test_what_becomes_of_bad_sources_may_be_decided_anew():
    """Else a run that a damaged file has stopped could never go on."""
    before = {"on_error": "raise", "max_bad_fraction": 0.01, "max_pixels": None, "seconds": 2.0}
    about = {"task": "toy", "config": {"data": before}, "versions": {}}
    folder, said = RunFolder("absent"), StringIO()
    folder.config_file, folder.read_config = Path(__file__), lambda: about
    for name, value in {"on_error": "skip", "max_bad_fraction": 0.5, "max_pixels": 9}.items():
        mine = {**about, "config": {"data": {**before, name: value}}}
        run_identity.check_same_run(folder, mine, True, Console(file=said, width=200))
        assert f"Note: config.data.{name}: {before[name]} -> {value}, from here on." in said.getvalue()
    with pytest.raises(ConfigError, match="seconds"):
        other = {**about, "config": {"data": {**before, "seconds": 3.0}}}
        run_identity.check_same_run(folder, other, True, quiet())


def test_a_configuration_that_is_refused_does_not_claim_the_folder(toy, tmp_path):
    wrong = apply_overrides(toy.Config(), ["training.epochs=1", "training.batch_size=5000"])
    with pytest.raises(ConfigError, match=r"`training.batch_size` must be at most"):
        train("toy", wrong, "points-1", str(tmp_path), console=quiet())
    train(
        "toy", apply_overrides(wrong, ["training.batch_size=16"]), "points-1", str(tmp_path), console=quiet()
    )
    assert RunFolder(tmp_path).read_config()["config"]["training"]["batch_size"] == 16


def test_data_that_are_refused_do_not_claim_the_folder(toy, tmp_path, monkeypatch):
    def nothing_held_out(*given, **options):
        raise SourceError("`split` must be one that holds clips.", stage="open", reason="empty_source")

    monkeypatch.setattr(task_module("toy", "data"), "evaluation_dataset", nothing_held_out)
    with pytest.raises(SourceError, match="must be one that holds"):
        train("toy", toy.Config(), "points-1", str(tmp_path), console=quiet())
    assert not RunFolder(tmp_path).config_file.exists()


def test_no_resume_refuses_a_folder_that_holds_a_run(copied):
    run, config = copied
    with pytest.raises(ConfigError, match="already holds a run"):
        train("toy", config, "points-1", str(run), resume=False, console=quiet())


def test_an_opened_run_answers_like_the_trained_model(finished, toy):
    run, config, summary = finished
    opened = open_run(run)
    assert opened.task_name == "toy" and opened.config == config and opened.label_names == toy.CLASSES
    dataset, _ = toy.evaluation_dataset(None, config, None)
    (x, y, weight) = next(dataset.as_numpy_iterator())
    logits = opened.task.predict(x, verbose=0)["logits"]
    accuracy = toy.epoch_metrics({"logits": logits}, y, weight)["exact_accuracy"]
    assert accuracy == pytest.approx(summary["metrics"]["val_exact_accuracy"])
    assert opened.history[-1]["step"] == 12


def test_opening_what_is_no_run_or_has_no_weights_says_so(copied, tmp_path):
    with pytest.raises(ConfigError, match="holds no run"):
        open_run(tmp_path)
    run, _ = copied
    shutil.rmtree(run / "checkpoints")
    shutil.rmtree(run / "preset")
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        open_run(run)


def test_steps_per_epoch_is_one_pass_unless_it_is_set():
    assert steps_per_epoch(TrainingConfig(batch_size=8), 53) == 6
    assert steps_per_epoch(TrainingConfig(batch_size=8, steps_per_epoch=9), 53) == 9
    with pytest.raises(ConfigError, match="at most the number of training examples, 53"):
        steps_per_epoch(TrainingConfig(batch_size=54), 53)
    with pytest.raises(ConfigError, match="`training.steps_per_execution` must divide"):
        steps_per_epoch(TrainingConfig(batch_size=8, steps_per_execution=4), 53)


@pytest.mark.parametrize("bad", [np.nan, 1.5, -0.1])
def test_labels_outside_zero_and_one_are_caught_on_the_host(bad):
    y = np.eye(3, dtype="float32")
    good = tf.data.Dataset.from_tensors((y, y))
    checked = next(with_checked_labels(good, 3, smoothing=0.3).as_numpy_iterator())[1]
    np.testing.assert_allclose(checked, 0.7 * y + 0.1, rtol=1e-6)
    apart = with_checked_labels(good, 3, smoothing=0.3, multi_label=True)  # as Keras smooths yes and no
    np.testing.assert_allclose(next(apart.as_numpy_iterator())[1], 0.7 * y + 0.15, rtol=1e-6)
    y = np.where(y == 1, np.float32(bad), y)
    spoiled = with_checked_labels(tf.data.Dataset.from_tensors((y, y)), 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[bad_label\] Labels must lie within"):
        next(spoiled.as_numpy_iterator())


def test_labels_of_another_width_or_type_are_refused():
    for y in (np.eye(4, dtype="float32"), np.eye(3, dtype="int32"), np.zeros(3, "float32")):
        with pytest.raises(TrainingError, match=r"Labels must be float \(B, 3\). Received"):
            with_checked_labels(tf.data.Dataset.from_tensors((y, y)), 3)


def test_an_unknown_task_or_configuration_names_the_nearest(toy):
    with pytest.raises(ConfigError, match="Did you mean `audio_visual_classification`"):
        task_module("audio_visual_clasification", "config")
    with pytest.raises(ConfigError, match="has no configuration `tinny`. Did you mean `tiny`"):
        named_config("toy", "tinny")
    assert dataclasses.is_dataclass(named_config("toy", "tiny"))


def test_the_compilation_cache_has_a_place_of_its_own_that_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    assert compilation_cache_folder() == tmp_path / "zorro_keras" / "jax"
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "elsewhere"))
    assert compilation_cache_folder() == tmp_path / "elsewhere" / "jax"


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="is about the JAX backend")
def test_jax_keeps_the_accelerators_and_its_compiled_programs():
    import jax

    prepare_backend()
    assert jax.config.jax_compilation_cache_dir is not None
    assert tf.config.get_visible_devices("GPU") == []


def test_a_bad_label_in_the_middle_of_training_is_named(toy, tmp_path):
    config = apply_overrides(toy.Config(), ["training.epochs=1", "data.bad_step=2", "data.in_labels=true"])
    with pytest.raises(ShardError, match="Labels must lie within"):
        train("toy", config, "points-1", str(tmp_path / "run"), console=quiet())


def test_data_that_no_service_can_read_are_refused(toy, tmp_path):
    with pytest.raises(ConfigError, match="`data_service` needs shards of clips, .* SimpleNamespace"):
        train("toy", toy.Config(), "points-1", str(tmp_path / "run"), data_service="localhost:1")
