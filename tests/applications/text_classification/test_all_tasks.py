"""The eight tasks of the paper's multitask model in one: figures, their average, and answers for GLUE."""

import dataclasses
import json

import keras
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.applications.text_classification.sizes import SIZES
from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.text_classification.commands import evaluate
from zorro_keras.applications.text_classification.config import TINY
from zorro_keras.applications.text_classification.data import open_data
from zorro_keras.applications.text_classification.glue_tasks import GLUE_TASKS, MULTITASK
from zorro_keras.applications.text_classification.model import build_model
from zorro_keras.applications.training import checkpoint
from zorro_keras.applications.training.optimizer import build_optimizer
from zorro_keras.applications.training.run_identity import identity

NUM_DEV, NUM_TEST = 6, 3


def write_task(root, name):
    """Writes the official files of a task, with the columns that are read: texts such as `MRPC val 3`."""
    task = GLUE_TASKS[name]
    words = task.written or task.label_names
    texts, label = [names[0] for names in task.texts], task.label[0]
    for split, files in task.files:
        is_test, count = split.startswith("test"), NUM_TEST if split.startswith("test") else NUM_DEV
        header = [*texts, *([] if is_test else [label])]
        rows = []
        for row in range(count):
            word = f"{row * 0.9:.2f}" if len(words) == 1 else words[row % len(words)]
            rows.append([f"{name} {split} {row}"] * len(texts) + ([] if is_test else [word]))
        if task.header and not is_test:  # CoLA: without a header, in four columns
            header, rows = None, [["made", word, "", text] for text, word in rows]
        folder = root / name
        folder.mkdir(exist_ok=True)
        lines = ["\t".join(cells) for cells in ([header] if header else []) + rows]
        (folder / files[0]).write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("glue")
    for name in (*MULTITASK, "AX"):
        write_task(root, name)
    with open(root / "RTE" / "test.tsv", "a") as file:  # a row that cannot be read, then one that can
        file.write("no pair\nthe last\tone\n")
    return root


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A run as training leaves it, with a model that was never trained but answers in every class."""
    config = dataclasses.replace(
        TINY,
        data=dataclasses.replace(
            TINY.data, tasks=MULTITASK, length=24, on_error="skip", max_bad_fraction=0.02
        ),
        model=dataclasses.replace(TINY.model, num_positions=24, **SIZES),
        training=dataclasses.replace(TINY.training, batch_size=6),
    )
    keras.utils.set_random_seed(2)
    data, run = open_data(folder, config), tmp_path_factory.mktemp("runs")
    model = build_model(config, data.label_names)
    model.compile(optimizer=build_optimizer(model, config.training, 1))
    texts = [text for part in data.split("val") if part.task == "CoLA" for text in part.texts]
    bias = model.heads["CoLA"].layers[-1].bias
    bias.assign(-np.median(model.predict(texts, verbose=0)["CoLA"], axis=0))
    (run / "config.json").write_text(json.dumps(identity("text_classification", config, data)))
    checkpoint.save(run / "checkpoints", model, step=1, state={"epoch": 1, "history": []})
    return run


@pytest.fixture(scope="module")
def evaluated(run, folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    return evaluate(run, folder, out=out), out


@pytest.mark.slow
def test_every_task_has_its_figures_and_the_eight_an_average(evaluated):
    figures, out = evaluated
    assert set(figures["scores"]) == {*MULTITASK, "MNLI mismatched"}
    for name, found in figures["scores"].items():
        assert tuple(found) == GLUE_TASKS[name.split(" ")[0]].metrics
    firsts = {name: next(iter(found.values())) for name, found in figures["scores"].items()}
    firsts["MNLI"] = (firsts["MNLI"] + firsts.pop("MNLI mismatched")) / 2
    assert figures["glue_average"] == pytest.approx(np.mean(list(firsts.values())), abs=1e-6)
    assert "GLUE average of the eight tasks" in (out / "report.html").read_text()


def test_every_test_set_is_answered_for_the_server(evaluated):
    figures, out = evaluated
    files = {path.name: path.read_text().splitlines() for path in (out / "answers").iterdir()}
    named = {"MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv", *(f"{name}.tsv" for name in MULTITASK if name != "MNLI")}
    assert set(files) == named
    for name, (header, *rows) in files.items():
        assert header == "index\tprediction"
        count = NUM_TEST + 2 if name == "RTE.tsv" else NUM_TEST  # the row that was left out, too
        assert [row.split("\t")[0] for row in rows] == [str(index) for index in range(count)]
    report = json.loads((out / "report.json").read_text())
    assert len(report["rows_left_out"]) == 1 and "RTE/test.tsv line 5" in report["rows_left_out"][0]
    assert sorted(report["answers"]) == sorted(named)


def test_answers_that_are_not_finite_are_refused(run, folder, tmp_path, monkeypatch):
    import shutil

    from zorro_keras.applications.text_classification import commands

    broken = shutil.copytree(run, tmp_path / "run")
    opened = commands.open_run(broken)
    opened.task.heads["QQP"].layers[-1].bias.assign([np.nan, 0.0])
    monkeypatch.setattr(commands, "open_run", lambda _: opened)
    with pytest.raises(TrainingError, match="not finite") as refused:
        evaluate(broken, folder, out=tmp_path / "report")
    assert refused.value.row == "QQP/dev.tsv line 2"
