"""What the command line does with a trained model: fills texts, and measures how well."""

from __future__ import annotations

import os
from html import escape
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zorro_keras.applications.masked_language.config import config_of_preset
from zorro_keras.applications.masked_language.data import evaluation_dataset, open_data
from zorro_keras.applications.masked_language.fill import fill_in
from zorro_keras.applications.masked_language.masked_language_model import MaskedLanguageModel
from zorro_keras.applications.masked_language.masking import MARK
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.host_errors import host_errors
from zorro_keras.applications.pipelines.text_argument import texts_of_argument
from zorro_keras.applications.training.asking_batch import asking_batch_size
from zorro_keras.applications.training.open_model import open_measured, open_model
from zorro_keras.applications.training.report_files import write_report


def predict(
    folder: str | os.PathLike[str], source: str, *, top: int = 5, console: Console | None = None
) -> int:
    """Prints the best completions of texts with something hidden.

    Args:
        folder: of a run, or of a preset.
        source: as for `texts_of_argument`: a text, a file, a folder. `[MASK]` stands for one hidden byte (or
            SentencePiece piece), `[MASK*9]` for nine.
        top: int >= 1. Completions to print.
        console: where to print. Standard output by default.

    Returns:
        0.

    Raises:
        ConfigError: if there is no text, one has no mark, or one is longer than the model.
        SourceError: if a file cannot be read.
    """
    if top < 1:
        raise ValueError(f"`top` must be positive. Received: top={top}")
    texts = [text for (text,) in texts_of_argument(source)]
    for text in texts:
        if not MARK.search(text):
            raise ConfigError(
                f"Nothing is hidden in the text. Received: {text[:80]!r}",
                stage="predict", reason="bad_value",
                advice="Write [MASK*9] for nine hidden bytes; hide the space before a word with it.",
            )  # fmt: skip
    model, console = open_model(folder, MaskedLanguageModel), console or Console()
    for text in texts:
        try:
            completions = fill_in(model, text, top)
        except ValueError as error:
            raise ConfigError(str(error), stage="predict", reason="bad_value") from error
        # Texts come from outside: as `Text` they are shown as they are, without markup.
        table = Table("probability", "completion", title=Text(text))
        for completion in completions:
            filled = " ... ".join(repr(span)[1:-1] for span in completion.spans)
            table.add_row(f"{completion.probability:.1%}", Text(filled))
        console.print(table)
        console.print(Text(completions[0].text))
    return 0


def evaluate(
    run_dir: str | os.PathLike[str],
    data_path: str | os.PathLike[str],
    *,
    out: str | None = None,
    whole: bool = False,
    batch_size: int | None = None,
) -> dict[str, Any]:
    """Writes how well a model fills texts that it was not trained on.

    The first `data.max_test_rows` rows of held-out texts are looked at. A hash of a text holds it out, so
    those are held out of the training too where texts were added to the run's since, or taken away. For a
    preset, which does not know what it was trained on, all are looked at.

    Args:
        run_dir: folder of a run, or of a preset.
        data_path: texts.
        out: optional folder, `report/` in that of the model by default. Gets `report.json` and `report.html`.
        whole: bool. All texts are looked at, as none of them was trained on.
        batch_size: optional int >= 1. Rows at a time, at most 32 and fewer long ones by default.

    Returns:
        Dict with `json` and `html`, the files; `texts`, "held out" or "all"; and the figures: `loss` (nats
        per hidden id), `masked_accuracy`, `bits_per_byte`, `unigram_loss` (nats per hidden id that knowing
        nothing but the frequencies of the hidden ids would leave), `num_hidden` ids and `num_rows`.

    Raises:
        SourceError: if the data cannot be used.
        ConfigError: if the run was trained on what is to be looked at as a whole, or `batch_size` is not
            positive.
    """
    run = open_measured(run_dir, MaskedLanguageModel, config_of_preset)
    batch_size = asking_batch_size(run.config.data.length, batch_size)
    whole = whole or not run.data_fingerprint
    data = open_data(data_path, run.config, splits=() if whole else ("test",))
    if whole:
        run.check_new(data, data_path)
    batches, rows = evaluation_dataset(
        data, run.config, run.task.preprocessor, whole=whole, batch_size=batch_size
    )
    with host_errors(data.faults):
        counts = hidden_counts(batches, run.task.preprocessor.tokens.vocabulary_size)
        found = keras.Model.evaluate(run.task, batches, verbose=0, return_dict=True)
    # The `loss` that Keras reports is a mean of the means of batches, however much they hide.
    figures = {"loss": found["masked_loss"]}
    figures |= {name: found[name] for name in ("masked_accuracy", "bits_per_byte")}
    figures["unigram_loss"] = unigram_loss(counts)
    figures = {name: round(float(value), 6) for name, value in figures.items()}
    figures |= {"num_hidden": int(counts.sum()), "num_rows": len(rows)}
    report = {
        "run": str(run.folder.path),
        "data": str(data_path),
        "texts": "all" if whole else "held out",
        "backend": keras.backend.backend(),
        "figures": figures,
    }
    files = write_report(run.folder.report if out is None else out, report, _page(report))
    return {**files, "texts": report["texts"], **figures}


def hidden_counts(batches: Any, vocabulary_size: int) -> np.ndarray:
    """Returns how often each id is hidden in a dataset of `(x, y, sample_weight)`, int `(V,)`."""
    counts = np.zeros(vocabulary_size, np.int64)
    for _, labels, weight in batches.as_numpy_iterator():
        counts += np.bincount(labels[weight > 0], minlength=vocabulary_size)
    return counts


def unigram_loss(counts: np.ndarray) -> float:
    """Returns the entropy of a distribution given by counts, in nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _page(report: dict[str, Any]) -> str:
    rows = [
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>"
        for name, value in report["figures"].items()
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Masked language</title>'
        "<style>body{font-family:sans-serif;margin:2em}td{padding:.3em 1em}</style>"
        f"<h1>{escape(report['run'])}</h1>"
        f"<p>{escape(report['data'])}: {report['texts']}</p><table>{''.join(rows)}</table></html>\n"
    )
