import inspect
import json
import os
import subprocess
import sys
import threading
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from zorro_keras.applications import cli, doctor
from zorro_keras.applications import demo as demo_module
from zorro_keras.applications.pipelines.faults import ConfigError, MediaError, TrainingError
from zorro_keras.applications.reproduce import command as reproduce_module
from zorro_keras.applications.training import fit
from zorro_keras.applications.training.run_folder import RunFolder
from zorro_keras.applications.training.task import TASKS, commands_of, task_module

COVERAGE = {"clips": {"shortened": 0}}  # of a source that was packed whole
HEAVY = {"keras", "keras_hub", "tensorflow", "jax", "torch", "av", "matplotlib"}


def python(code):
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_heavy_is_imported_before_the_backend_is_set():
    code = """
import json, os, sys
from zorro_keras.applications import cli
before = sorted(sys.modules)
def show(self):
    print(json.dumps([before + sorted(sys.modules), os.environ["KERAS_BACKEND"]]))
    return 0
cli.Train.run = show
cli.main(["train", "toy", "--data", "d", "--out", "o", "--backend", "torch"])
"""
    modules, backend = python(code)
    assert not HEAVY & set(modules)
    assert backend == "torch" and "tyro" in modules


def test_a_bad_setting_is_refused_before_keras_is_imported():
    code = """
import contextlib, io, json, sys
from zorro_keras.applications import cli
said = io.StringIO()
words = "train audio_visual_classification --data d --out o --set training.epoch=3".split()
with contextlib.redirect_stderr(said):
    code = cli.main(words)
print(json.dumps([code, said.getvalue(), sorted(sys.modules)]))
"""
    code, said, modules = python(code)
    assert code == 2 and "Did you mean `training.epochs`?" in said and "Traceback" not in said
    assert not HEAVY & set(modules)


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("no"), 2), (MediaError("no", reason="corrupt"), 3), (TrainingError("no"), 4)],
)
def test_a_fault_becomes_a_message_and_its_exit_code(error, code, monkeypatch, capsys):
    def fail(self):
        raise error

    monkeypatch.setattr(cli.Clips, "run", fail)
    assert cli.main(["clips", "out"]) == code
    said = capsys.readouterr().err
    assert said.startswith(f"{type(error).__name__}: no") and "Traceback" not in said
    monkeypatch.setattr(cli.Clips, "run", lambda self: 0)
    assert cli.main(["clips", "out"]) == 0


def test_only_a_command_that_can_go_on_says_so_when_it_is_stopped(monkeypatch, capsys):
    def stop(self):
        raise KeyboardInterrupt

    for kind, words, goes_on in (
        (cli.Clips, ["clips", "out"], True),
        (cli.Train, ["train", "toy", "--out", "out"], True),
        (cli.Export, ["export", "run", "out"], False),
        (cli.Embed, ["embed", "clips", "index", "--model", "run"], False),
    ):
        monkeypatch.setattr(kind, "run", stop)
        assert cli.main(words) == 130
        said = capsys.readouterr().err
        assert said.startswith("Stopped.") and ("The same command goes on" in said) == goes_on


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("clips data --count 4", "`--count` must be at least 8. Received: --count 4"),
        ("clips data --seed -1", "`--seed` must be at least 0. Received: --seed -1"),
        ("demo out --seed -1", "`--seed` must be at least 0. Received: --seed -1"),
        ("predict run clip.mp4 --top 0", "`--top` must be at least 1. Received: --top 0"),
        ("prepare masked_autoencoding --num-workers 0", "`--num-workers` must be positive."),
        ("prepare masked_autoencoding --max-seconds 0", "`--max-seconds` must be positive."),
        ("prepare masked_autoencoding --max-seconds nan", "`--max-seconds` must be positive."),
        ("prepare masked_autoencoding --max-worker-bytes 0", "`--max-worker-bytes` must be positive."),
        ("prepare masked_autoencoding --max-bad-fraction 2", "`--max-bad-fraction` must be within"),
        ("train masked_autoencoding --set data.geometry.num_frames=0", "`num_frames` must be a positive"),
    ],
)  # fmt: skip
def test_a_number_out_of_its_range_is_refused_by_name(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    more = {"prepare": "--source a --out b", "train": "--data d --out o"}.get(words.split()[0], "")
    assert cli.main([*words.split(), *more.split()]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_source_without_a_name_is_not_the_folder_one_is_in(tmp_path, capsys):
    assert cli.main(["predict", run_folder(tmp_path, "image_classification"), ""]) == 2
    assert "The source must not be empty." in capsys.readouterr().err


def test_the_tolerance_of_an_export_says_what_it_is_a_share_of(capsys):
    with pytest.raises(SystemExit):
        cli.main(["export", "--help"])
    words = "".join(letter for letter in capsys.readouterr().out if letter.isalnum())
    assert "asashareofthelargestvalueofanoutput" in words


def test_a_defect_of_ours_is_not_hidden(monkeypatch):
    monkeypatch.setattr(cli.Clips, "run", lambda self: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["clips", "out"])


@pytest.mark.parametrize(
    "words",
    [
        ["trian", "toy"],
        ["train", "toy", "--data", "d"],
        ["train", "toy", "--data", "d", "--out", "o", "--epochs", "3"],
        ["train", "toy", "--data", "d", "--out", "o", "--backend", "abacus"],
        ["clips", "out", "--count", "many"],
    ],
)
def test_wrong_words_end_with_code_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2 and capsys.readouterr().err


def test_overrides_may_be_given_again_and_again(monkeypatch):
    seen = []
    monkeypatch.setattr(cli.Train, "run", lambda self: seen.append(self) or 0)
    monkeypatch.setattr(cli, "set_backend", lambda backend: None)
    words = ["train", "toy", "--data", "d", "--out", "o", "--set", "a.b=1", "--set", "c=x=y"]
    words += ["--no-resume", "--config", "base"]
    assert cli.main(words) == 0
    assert seen[0].overrides == ("a.b=1", "c=x=y") and not seen[0].resume and seen[0].config == "base"


@pytest.mark.parametrize("command", [kind.__name__.lower() for kind in cli.COMMANDS])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0 and f"zorro-keras {command}" in capsys.readouterr().out


def test_a_backend_chosen_too_late_is_refused():
    keras = pytest.importorskip("keras")
    current = keras.backend.backend()
    cli.set_backend(current)
    other = "torch" if current != "torch" else "jax"
    with pytest.raises(ConfigError, match=f"Keras already runs on {current} in this process"):
        cli.set_backend(other)


def test_audio_only_and_video_only_exclude_each_other(capsys):
    assert cli.main(["predict", "run", "clip.mp4", "--audio-only", "--video-only"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def run_folder(tmp_path, task):
    (tmp_path / "config.json").write_text(json.dumps({"task": task}))
    return str(tmp_path)


def preset_folder(tmp_path, task, name):
    about = {"module": f"zorro_keras.applications.{task}.classifier", "class_name": name, "config": {}}
    (tmp_path / "task.json").write_text(json.dumps(about))
    (tmp_path / "metadata.json").write_text("{}")
    (tmp_path / "config.json").write_text("{}")
    return str(tmp_path)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_answers_to_the_commands(task, tmp_path):
    commands = task_module(task, "commands")
    assert commands_of(run_folder(tmp_path, task)) is commands
    for name, given in (
        ("predict", {"folder", "source"}),
        ("evaluate", {"run_dir", "data_path", "out"}),
    ):
        assert given <= set(inspect.signature(getattr(commands, name)).parameters)


@pytest.mark.parametrize("task", TASKS)
def test_training_without_data_takes_those_that_the_task_makes(task, tmp_path, monkeypatch, capsys):
    """The maker is asked for the run's own folder; what it writes is trained on, and later evaluated."""
    trained, evaluated = [], []
    monkeypatch.setattr(task_module(task, "data"), "default_data", made)
    monkeypatch.setattr(fit, "train", lambda *given, **options: trained.append((given, options)) or {})
    monkeypatch.setattr(
        task_module(task, "commands"), "evaluate", lambda run, data, out: evaluated.append(data) or {}
    )
    run = tmp_path / "run"
    assert cli.main(["train", task, "--out", str(run)]) == 0
    assert f"No --data: `{task}` trains on small data that it makes for itself." in capsys.readouterr().err
    ((name, _, data, out), _) = trained[0]
    assert (name, data, out) == (task, str(run / "default_data" / "made.txt"), str(run))
    run_folder(run, task)
    assert cli.main(["evaluate", str(run)]) == 0 and evaluated == [run / "default_data"]


@pytest.mark.parametrize("task", TASKS)
def test_a_configuration_for_real_data_asks_for_them(task, tmp_path, capsys):
    name = next(name for name in task_module(task, "config").CONFIGS if "tiny" not in name)
    assert cli.main(["train", task, "--config", name, "--out", str(tmp_path / "run")]) == 2
    assert f"The configuration `{name}` needs `--data`" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_data_that_a_task_makes_are_left_alone_while_another_process_trains_on_them(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(task_module("masked_language", "data"), "default_data", made)
    with RunFolder(tmp_path).locked():
        assert cli.main(["train", "masked_language", "--out", str(tmp_path)]) == 4
    assert "Another process is training into this run folder" in capsys.readouterr().err
    assert not list(tmp_path.glob("default_data*"))


def test_hosts_that_train_together_need_data(tmp_path, capsys):
    words = ["train", "masked_language", "--out", str(tmp_path), "--coordinator", "here:1"]
    assert cli.main(words) == 2
    assert "Several hosts need `--data`" in capsys.readouterr().err


def test_hosts_that_the_environment_names_train_together_without_a_flag(tmp_path, monkeypatch, capsys):
    import keras

    from zorro_keras.applications.training.distribution import hosts

    joined = []

    def join(*given):
        joined.append(given)
        raise ConfigError("Nobody came. Received: silence", stage="train", reason="bad_value")

    monkeypatch.setattr(hosts, "join", join)
    words = ["train", "masked_language", "--out", str(tmp_path / "run"), "--data", str(tmp_path)]
    monkeypatch.setenv(hosts.ADDRESSES[keras.backend.backend()], "10.0.0.1:1234")
    assert cli.main(words) == 2 and joined == [("runtime", None, None)]
    assert "Nobody came" in capsys.readouterr().err


def made(folder):
    folder.mkdir(parents=True)
    (folder / "made.txt").write_text("data")
    return folder / "made.txt"


def test_a_task_that_makes_no_data_asks_for_them(tmp_path, capsys, monkeypatch):
    monkeypatch.delattr(task_module("audio_visual_classification", "data"), "default_data")
    words = ["train", "audio_visual_classification", "--out", str(tmp_path)]
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert "`audio_visual_classification` makes no data of its own." in said and "Give --data." in said
    assert cli.main(["evaluate", run_folder(tmp_path, "audio_visual_classification")]) == 2
    assert "`audio_visual_classification` made no data for this run." in capsys.readouterr().err


OF_CLIPS = {
    *("audio_visual_classification", "audio_visual_pretraining"),
    *("masked_autoencoding", "video_autoencoding"),
}


@pytest.mark.parametrize("task", sorted({*TASKS} - OF_CLIPS))
def test_a_task_with_nothing_to_prepare_says_so(task, tmp_path, capsys):
    assert cli.main(["prepare", task, "--source", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert f"`{task}` has nothing to prepare" in said and f"zorro-keras train {task} --data" in said


@pytest.mark.parametrize(
    ("command", "words", "flag"),
    [
        ("predict", ["picture.png", "--audio-only"], "--audio-only"),
        ("predict", ["picture.png", "--timeline", "out"], "--timeline"),
        ("predict", ["picture.png", "--grid", "released"], "--grid"),
        ("evaluate", ["--data", "pictures", "--streams", "audio"], "--streams"),
        ("evaluate", ["--data", "pictures", "--max-megabytes", "9"], "--max-megabytes"),
        ("evaluate", ["--data", "pictures", "--grid", "even"], "--grid"),
        ("evaluate", ["--data", "pictures", "--whole"], "--whole"),
    ],
)
def test_an_option_that_means_nothing_to_a_task_is_refused_by_name(command, words, flag, tmp_path, capsys):
    assert cli.main([command, run_folder(tmp_path, "image_classification"), *words]) == 2
    assert f"`{flag}` means nothing to `image_classification`" in capsys.readouterr().err


def test_the_fold_to_test_reaches_the_packing(tmp_path, monkeypatch):
    from zorro_keras.applications.pipelines import prepare

    seen = []
    monkeypatch.setattr(
        prepare, "prepare", lambda *paths, **given: seen.append(given["test_fold"]) or COVERAGE
    )
    words = [
        "prepare",
        "audio_visual_classification",
        "--source",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    ]
    assert cli.main(words) == cli.main([*words, "--test-fold", "3"]) == 0
    assert seen == [None, 3]


def test_packing_says_how_many_clips_were_cut(tmp_path, monkeypatch, capsys):
    from zorro_keras.applications.audio_visual_classification import commands

    coverage = {"clips": {"shortened": 3}}
    monkeypatch.setattr(commands, "prepare", lambda source, out, **settings: coverage)
    words = [
        "prepare",
        "audio_visual_classification",
        "--source",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    ]
    assert cli.main([*words, "--max-seconds", "2.5"]) == 0
    said = capsys.readouterr()
    assert said.err == "3 clips were cut to their first 2.5 s (--max-seconds).\n"
    assert json.loads(said.out) == coverage
    monkeypatch.setattr(commands, "prepare", lambda source, out, **settings: COVERAGE)
    assert cli.main(words) == 0 and capsys.readouterr().err == ""


def test_several_sources_reach_the_packing_and_none_is_refused(tmp_path, monkeypatch, capsys):
    from zorro_keras.applications.audio_visual_pretraining import commands

    seen, words = [], ["prepare", "audio_visual_pretraining", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(commands, "prepare", lambda source, out, **settings: seen.append(source) or COVERAGE)
    assert cli.main([*words, "--source", "sounds", "--source", "films"]) == 0
    assert seen == [(Path("sounds"), Path("films"))]
    assert cli.main(words) == 2
    assert "Give at least one `--source`." in capsys.readouterr().err


def test_a_second_source_that_means_nothing_to_a_task_is_refused_in_a_sentence(tmp_path, capsys):
    assert cli.main(["predict", run_folder(tmp_path, "image_classification"), "a.png", "b.png"]) == 2
    said = capsys.readouterr().err
    assert "A second source, `b.png`, means nothing to `image_classification`." in said


def test_a_model_without_embeddings_makes_no_index(tmp_path, capsys):
    folder = run_folder(tmp_path, "image_classification")
    assert cli.main(["embed", "clips", str(tmp_path / "index"), "--model", folder]) == 2
    said = capsys.readouterr().err
    assert "`image_classification` makes no embeddings to search by." in said and "pretraining" in said


def test_the_options_of_a_task_reach_it(tmp_path, monkeypatch):
    seen = []
    commands = task_module("audio_visual_classification", "commands")
    folder = run_folder(tmp_path, "audio_visual_classification")

    def predict(folder, source, *, top=5, streams=None, timeline=None):
        seen.append((source, top, streams, timeline))
        return 0

    monkeypatch.setattr(commands, "predict", predict)
    assert cli.main(["predict", folder, "a.mp4", "--video-only", "--top", "2"]) == 0
    assert cli.main(["predict", folder, "a.mp4", "--timeline", "out"]) == 0
    assert seen == [("a.mp4", 2, ("video",), None), ("a.mp4", 5, None, Path("out"))]


def test_a_preset_is_known_by_its_task_which_says_whether_it_is_evaluated(tmp_path, capsys):
    folder = preset_folder(tmp_path, "text_classification", "TextClassifier")
    assert commands_of(folder) is task_module("text_classification", "commands")
    assert cli.main(["evaluate", folder, "--data", "texts"]) == 2
    said = capsys.readouterr().err
    assert "one of image_classification, masked_language or optical_flow evaluated" in said
    assert cli.main(["evaluate", folder]) == 2
    assert "Give --data." in capsys.readouterr().err


def test_a_folder_of_nothing_is_refused(tmp_path, capsys):
    for words in (["predict", str(tmp_path), "a.png"], ["export", str(tmp_path), str(tmp_path / "out")]):
        assert cli.main(words) == 2
        assert "This folder holds no run" in capsys.readouterr().err


def test_help_names_every_task(capsys):
    for words in (["--help"], ["train", "--help"]):
        with pytest.raises(SystemExit):
            cli.main(words)
        said = "".join(letter for letter in capsys.readouterr().out if letter.isalnum() or letter in "_,")
        assert all(task in said for task in TASKS), said


def test_doctor_reports_every_topic_and_no_trouble_here():
    said = StringIO()
    assert doctor.doctor(Console(file=said, width=200)) == 0, said.getvalue()
    for topic in ("python", "keras", "backend", "devices", "video", "audio", "disk"):
        assert f"{topic}: " in said.getvalue()


def versions(**changed):
    good = {"keras": "3.15.1", "numpy": "2.4.0", "tensorflow": "2.21.0", "jax": "0.10.2", "torch": None}
    return {**dict.fromkeys(doctor.PACKAGES), **good, **changed}


def test_doctor_knows_combinations_that_do_not_work():
    assert list(doctor.known_trouble(versions())) == []
    for changed, topic, advice in (
        ({"keras": "3.9.2"}, "keras", "keras>=3.15"),
        ({"tensorflow": "2.16.2"}, "numpy", "numpy<2"),
        ({"tensorflow-io": "0.37.1"}, "tensorflow-io", "need TensorFlow 2.16"),
        ({"tensorflow": None}, "tf.data", "tensorflow-cpu"),
        ({"tensorflow": None, "jax": None}, "backend", "zorro-keras[jax]"),
    ):
        found = [finding for finding in doctor.known_trouble(versions(**changed)) if finding.topic == topic]
        assert len(found) == 1 and advice in found[0].advice, changed


def test_doctor_fails_when_a_required_package_is_missing(monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: doctor.packages(versions(keras=None)))
    said = StringIO()
    assert doctor.doctor(Console(file=said, width=200)) == 2
    assert "keras: not installed" in said.getvalue() and "pip install keras" in said.getvalue()


def test_a_reproduction_takes_the_number_of_seeds(monkeypatch):
    given = []
    monkeypatch.setattr(reproduce_module, "reproduce", lambda **options: given.append(options))
    assert cli.main(["reproduce", "somewhere", "--quick", "--seeds", "3"]) == 0
    assert given == [{"out": Path("somewhere"), "quick": True, "num_seeds": 3}]


def test_the_demo_takes_a_seed(monkeypatch):
    given = []
    monkeypatch.setattr(demo_module, "demo", lambda **options: given.append(options))
    assert cli.main(["demo", "somewhere", "--seed", "3"]) == 0
    assert given == [{"out": Path("somewhere"), "quick": False, "seed": 3}]


def test_processes_that_have_no_coordinator_are_refused(tmp_path, capsys):
    words = ["train", "starcraft_units", "--out", str(tmp_path), "--num-processes", "2", "--process-id", "0"]
    assert cli.main(words) == 2
    assert "need `--coordinator`, or its address in the environment." in capsys.readouterr().err


def test_a_training_is_told_who_makes_its_data(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(fit, "train", lambda *words, **options: given.append(options) or {})
    words = ["train", "starcraft_units", "--data", "battles", "--out", str(tmp_path)]
    assert cli.main([*words, "--data-service", "there:5050"]) == cli.main(words) == 0
    assert [options["data_service"] for options in given] == ["there:5050", None]


@pytest.mark.tensorflow
def test_a_feeding_process_says_where_it_is_and_works_until_it_is_stopped(monkeypatch, capsys):
    from zorro_keras.applications.pipelines import data_worker

    def start(**options):
        assert options == {"port": 7, "join": None, "host": "here", "worker_port": 0}
        return "here:7", []

    def stopped(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(data_worker, "start_worker", start)
    monkeypatch.setattr(threading.Event, "wait", stopped)
    assert cli.main(["feed", "--port", "7", "--host", "here"]) == 130
    assert capsys.readouterr().out == "Data service: here:7\n"
