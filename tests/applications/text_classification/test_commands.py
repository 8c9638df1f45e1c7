"""A run from data to answers: trained for two steps, then asked, evaluated and gone on with."""

import dataclasses
import io
import json

import pytest

pytest.importorskip("tensorflow")

from rich.console import Console

from tests.applications.text_classification.sizes import SIZES
from tests.applications.training.resume import assert_resumes_exactly
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.text_classification.commands import evaluate, predict
from zorro_keras.applications.text_classification.config import TINY
from zorro_keras.applications.training.fit import train
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.models import PerceiverIOBackbone

pytestmark = pytest.mark.slow

TEXTS = {
    "RTE/train.tsv": [
        "index\tsentence1\tsentence2\tlabel",
        *(f"{n}\ta {n}\tb\tentailment" for n in range(5)),
    ],
    "RTE/dev.tsv": [
        "index\tsentence1\tsentence2\tlabel",
        "0\tc\td\tentailment",
        "1\tc\tlonger than the model\tnot_entailment",
        "2\tc\te\tentailment",
    ],
    "RTE/test.tsv": ["index\tsentence1\tsentence2", "0\tf\tg"],
    "STS-B/train.tsv": ["sentence1\tsentence2\tscore", *(f"p{n}\tq\t{n / 2}" for n in range(5))],
    "STS-B/dev.tsv": ["sentence1\tsentence2\tscore", *(f"e{n}\tq\t{n}" for n in range(5))],
    "STS-B/test.tsv": ["sentence1\tsentence2", "x\ty", "z\ty"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("glue")
    for name, lines in TEXTS.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    preset = str(tmp_path_factory.mktemp("language") / "preset")
    PerceiverIOBackbone.from_variant("language", length=13, **SIZES).save_to_preset(preset)
    return dataclasses.replace(
        TINY,
        data=dataclasses.replace(TINY.data, length=11),
        model=dataclasses.replace(TINY.model, num_positions=13, **SIZES, pretrained=preset),
        training=dataclasses.replace(TINY.training, epochs=2, steps_per_epoch=1, batch_size=4),
    )


@pytest.fixture(scope="module")
def run(folder, config, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "first"
    result = train("text_classification", config, str(folder), str(out))
    assert {"val_RTE_accuracy", "val_STS-B_pearson", "val_STS-B_spearman"} <= set(result["metrics"])
    return out


def test_evaluation_writes_the_official_figures_of_each_task(run, folder, tmp_path):
    figures = evaluate(run, folder, out=tmp_path)
    assert set(figures["scores"]) == {"RTE", "STS-B"} and figures["glue_average"] is None
    assert set(figures["scores"]["STS-B"]) == {"pearson", "spearman"}
    texts = [("c", "d"), ("c", "longer than the model"), ("c", "e")]
    answered = open_model(run).predict(texts, verbose=0)["RTE"].argmax(axis=1)
    right = (answered == [0, 1, 0]).mean()  # 0 is entailment
    assert figures["scores"]["RTE"]["accuracy"] == pytest.approx(right, abs=1e-4)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["sets"]["RTE"] == {"split": "val", "num_examples": 3, "num_cut": 1}
    assert report["answers"] == ["RTE.tsv", "STS-B.tsv"]
    assert "<td>pearson</td>" in (tmp_path / "report.html").read_text()
    header, *rows = (tmp_path / "answers" / "STS-B.tsv").read_text().splitlines()
    assert header == "index\tprediction" and [row.split("\t")[0] for row in rows] == ["0", "1"]
    assert all(0.0 <= float(row.split("\t")[1]) <= 5.0 for row in rows)
    assert (tmp_path / "answers" / "RTE.tsv").read_text().splitlines()[1].split("\t")[1] in (
        "entailment",
        "not_entailment",
    )


def test_prediction_prints_the_classes_of_a_text_a_pair_and_a_file(run, tmp_path):
    def printed(source, **options):
        console = Console(file=io.StringIO(), width=100)
        assert predict(run, str(source), console=console, **options) == 0
        return console.file.getvalue()

    text = printed("a cat ||| [b]")
    assert "a cat ||| [b]" in text and text.count("entailment") == 2 and "STS-B" in text
    assert printed("a cat\tb").count("a cat ||| b") == 1
    assert printed("a cat", top=1).count("entailment") == 1
    (tmp_path / "texts.txt").write_text("one\n\ntwo ||| three\n")
    assert printed(tmp_path) == printed(tmp_path / "texts.txt")
    assert "two ||| three" in printed(tmp_path / "texts.txt")
    with pytest.raises(ConfigError, match="There is no text"):
        predict(run, " ")


def test_a_preset_answers_like_its_run(run, tmp_path):
    (tmp_path / "texts.jsonl").write_text('{"text": "a cat", "text2": "b"}\n{"text": "one"}\n')
    printed = []
    for folder in (run, run / "preset"):
        console = Console(file=io.StringIO(), width=100)
        assert predict(folder, str(tmp_path / "texts.jsonl"), console=console) == 0
        printed.append(console.file.getvalue())
    assert printed[0] == printed[1] and "a cat ||| b" in printed[0]


def test_a_killed_run_ends_like_one_never_killed(folder, config, tmp_path):
    without = dataclasses.replace(config, model=dataclasses.replace(config.model, pretrained=None))
    assert_resumes_exactly("text_classification", without, folder, tmp_path)


def test_the_run_does_not_need_the_language_model_it_started_from(run, folder, config, tmp_path):
    import shutil

    moved = shutil.copytree(run, tmp_path / "run")
    about = json.loads((moved / "config.json").read_text())
    about["config"]["model"]["pretrained"] = "/nowhere"
    (moved / "config.json").write_text(json.dumps(about))
    assert evaluate(moved, folder)["scores"] == evaluate(run, folder)["scores"]
