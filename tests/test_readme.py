"""What a README shows works: its Python runs, its commands are understood, and those of a task run, too."""

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.foreign_maker import write_features
from tests.media_maker import write_clip
from zorro_keras.applications import cli
from zorro_keras.applications.audio_visual_pretraining import data as pair_data
from zorro_keras.applications.image_classification import data as image_data
from zorro_keras.applications.masked_autoencoding import data as hidden_data
from zorro_keras.applications.optical_flow import data as flow_data
from zorro_keras.applications.pipelines.battle_generated import generate_battles
from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4
from zorro_keras.applications.pipelines.flow_generated import generate_flow
from zorro_keras.applications.pipelines.image_generated import generate_images
from zorro_keras.applications.starcraft_units import data as unit_data
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.task import named_config
from zorro_keras.applications.video_autoencoding import data as clip_data

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "applications").glob("*/README.md"))]
FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON, SHELL = {"python", "py"}, {"", "bash", "console", "sh", "shell"}
TASK_README = ROOT / "applications" / "audio_visual_classification" / "README.md"
SETTING = re.compile(r"`--set ([\w.]+=[\w.]+)`")  # as a README shows one in a sentence
# Added to the training that a README shows, so that it takes seconds.
LIGHTER = (
    "training.epochs=1",
    "training.batch_size=8",
    "data.geometry.num_frames=8",
    "model.num_layers=1",
    "model.hidden_dim=16",
    "model.mlp_dim=16",
)


def blocks(text: str, languages: set[str]) -> list[tuple[int, str]]:
    """Line number of its first line, and text, of every fenced block in one of `languages`."""
    found = [match for match in FENCE.finditer(text) if match["language"] in languages]
    return [(text.count("\n", 0, match.start("text")) + 1, match["text"]) for match in found]


def python_program(text: str) -> str:
    """All Python blocks as one program whose line numbers are the README's, for readable tracebacks."""
    program = [""] * text.count("\n")
    for line, block in blocks(text, PYTHON):
        program[line - 1 : line - 1 + block.count("\n")] = block.splitlines()
    return "\n".join(program)


def commands(text: str) -> list[list[str]]:
    """The words of every shell command, without prompts, comments and variables set in front."""
    found = []
    for _, block in blocks(text, SHELL):
        for line in block.replace("\\\n", " ").splitlines():
            for command in re.split(r"&&|;", line.strip().removeprefix("$ ")):
                words = shlex.split(command, comments=True)
                while words and re.fullmatch(r"\w+=.*", words[0]):
                    words.pop(0)
                found += [words] if words else []
    return found


def documented(program: str) -> list:
    """Every use of `program` in a README, as test parameters that say where it stands."""
    found = {
        shlex.join(words): words
        for path in READMES
        if path.is_file()
        for words in commands(path.read_text(encoding="utf-8"))
        if Path(words[0]).name == program
    }
    return [pytest.param(words[1:], id=text) for text, words in found.items()]


def run(words: list[str], cwd: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_python_of_a_readme_runs(path: Path, tmp_path: Path):
    program = python_program(path.read_text(encoding="utf-8"))
    if not program.strip():
        return
    if "audioset_features" in program:
        write_features(tmp_path / "audioset_v1_embeddings/bal_train/0.tfrecord")
    script = tmp_path / path.name
    script.write_text(program, encoding="utf-8")
    result = run([sys.executable, script.name], tmp_path)
    assert result.returncode == 0, result.stderr[-4000:]


@pytest.mark.parametrize("words", documented("zorro-keras"))
def test_a_documented_command_is_understood(words: list[str], monkeypatch: pytest.MonkeyPatch):
    understood = []
    for kind in cli.COMMANDS:
        monkeypatch.setattr(kind, "run", lambda command: understood.append(command) or 0)
    monkeypatch.setattr(cli, "set_backend", lambda backend: None)
    assert cli.main(words) == 0
    (command,) = understood
    if isinstance(command, cli.Train):
        apply_overrides(named_config(command.task, command.config), command.overrides)


@pytest.mark.long
@pytest.mark.tensorflow
def test_the_commands_of_a_task_run_one_after_another(tmp_path: Path):
    text = TASK_README.read_text(encoding="utf-8")
    shown = [words[1:] for words in commands(text) if words[0] == "zorro-keras"]
    assert [words[0] for words in shown] == ["clips", "prepare", "train", "evaluate", "export"]
    settings = [word for setting in (*LIGHTER, *SETTING.findall(text)) for word in ("--set", setting)]
    lighter = {"clips": ["--count", "16"], "train": settings}
    for name, *words in shown:
        result = run([sys.executable, "-m", cli.__name__, name, *words, *lighter.get(name, [])], tmp_path)
        assert result.returncode == 0, f"{name}: {result.stderr[-4000:]}"
    assert (tmp_path / "runs" / "first" / "report").is_dir()


# What makes a training that a README shows last seconds, by task.
_FEW_STEPS = ("training.epochs=1", "training.steps_per_epoch=2", "training.batch_size=8")
_LITTLE_MODEL = ("model.num_layers=1", "model.num_latents=4", "model.latent_dim=16")
LIGHTER_BY_TASK = {
    "audio_visual_pretraining": (*_FEW_STEPS, "model.num_layers=1", "model.hidden_dim=16"),
    "image_classification": (*_FEW_STEPS, *_LITTLE_MODEL, "data.size_px=16", "model.num_repeats=1"),
    "masked_autoencoding": (*_FEW_STEPS, "model.num_layers=1,1,1", "model.hidden_dim=8,8,8"),
    "masked_language": (*_FEW_STEPS, *_LITTLE_MODEL),
    "optical_flow": (*_FEW_STEPS, *_LITTLE_MODEL, "data.size_px=16,20"),
    "starcraft_units": (*_FEW_STEPS, "model.num_layers=1"),
    "text_classification": (*_FEW_STEPS, *_LITTLE_MODEL),
    "video_autoencoding": (*_FEW_STEPS, *_LITTLE_MODEL),
}


@pytest.mark.long
@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:The `native_serialization` parameter:DeprecationWarning")
@pytest.mark.parametrize("task", LIGHTER_BY_TASK)
def test_the_commands_of_a_perceiver_task_run_one_after_another(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    """In this process: six of their own would take a minute to start."""
    monkeypatch.chdir(tmp_path)
    few = functools.partial(generate_images, count=40, test_count=10)
    monkeypatch.setattr(image_data, "generate_images", few)
    for data in (clip_data, hidden_data, pair_data):
        monkeypatch.setattr(data, "DEFAULT_COUNTS", {"count": 16, "test_count": 8})
    few = functools.partial(generate_flow, count=8, test_count=2, size_px=(16, 20))
    monkeypatch.setattr(flow_data, "generate_flow", few)
    encode_mp4(str(tmp_path / "clip.mp4"), np.zeros((3, 22, 26, 3), np.uint8), 10, None, None)
    few = functools.partial(generate_battles, count=40, test_count=10)
    monkeypatch.setattr(unit_data, "generate_battles", few)
    write_mixture(tmp_path)
    rows = [f"text number {number},{'even' if number % 2 == 0 else 'odd'}" for number in range(40)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (tmp_path / "questions.txt").write_text("Two dogs[MASK*5] in the yard.\n")
    text = (ROOT / "applications" / task / "README.md").read_text(encoding="utf-8")
    shown = [words[1:] for words in commands(text) if words[0] == "zorro-keras"]
    assert {"train", "evaluate", "predict"} <= {words[0] for words in shown}
    apply_overrides(named_config(task, "tiny"), SETTING.findall(text))  # those shown in sentences
    settings = LIGHTER_BY_TASK[task]
    lighter = {
        "train": [word for setting in settings for word in ("--set", setting)],
        "export": ["--native"],  # without a process that starts TensorFlow
    }
    for name, *words in shown:
        assert cli.main([name, *words, *lighter.get(name, [])]) == 0, capfd.readouterr().err
        assert capfd.readouterr().out.strip()


def write_mixture(root: Path) -> None:
    """Three data sets of ten clips: of sound alone, of pictures alone, and of both."""
    kinds = {"sounds": {"has_video": False}, "silent_films": {"has_audio": False}, "films": {}}
    for folder, streams in kinds.items():
        (root / folder).mkdir()
        suffix = ".m4a" if folder == "sounds" else ".mp4"
        first = write_clip(root / folder / f"0{suffix}", **streams)
        for number in range(1, 10):
            shutil.copy(first, first.with_name(f"{number}{suffix}"))


def test_every_readme_that_shows_a_command_is_looked_at():
    shown = {path for path in READMES if "\nzorro-keras " in path.read_text(encoding="utf-8")}
    understood = {
        path for path in shown if any(words[0] == "zorro-keras" for words in commands(path.read_text()))
    }
    assert TASK_README in shown and shown == understood


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("words", documented("make"))
def test_a_documented_make_target_exists(words: list[str]):
    result = run(["make", "--dry-run", *words], ROOT)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("words", documented("pip"))
def test_a_documented_extra_exists(words: list[str]):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for wanted in re.findall(r"(?:\.|zorro-keras)\[([\w,-]+)\]", " ".join(words)):
        assert set(wanted.split(",")) <= set(project["optional-dependencies"])


SAMPLE = """
Text.

```python
x = 1
```

```bash
$ KERAS_BACKEND=tensorflow make demo   # eight minutes
zorro-keras train task \\
    --config tiny && zorro-keras evaluate runs/first
```

```python
raise ValueError(x)
```
"""


def test_blocks_keep_their_place_and_commands_lose_their_decoration(tmp_path: Path):
    assert commands(SAMPLE) == [
        ["make", "demo"],
        ["zorro-keras", "train", "task", "--config", "tiny"],
        ["zorro-keras", "evaluate", "runs/first"],
    ]
    script = tmp_path / "README.md"
    script.write_text(python_program(SAMPLE), encoding="utf-8")
    result = run([sys.executable, script.name], tmp_path)
    assert result.returncode == 1
    line = SAMPLE.splitlines().index("raise ValueError(x)") + 1
    assert f"line {line}" in result.stderr and "ValueError: 1" in result.stderr
