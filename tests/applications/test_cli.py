import json
import os
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from zorro_keras.applications import cli, doctor
from zorro_keras.applications.pipelines.faults import ConfigError, MediaError, TrainingError

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
