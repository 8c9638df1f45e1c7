"""`zorro-keras predict` and `evaluate` for unit selection."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zorro_keras.applications.pipelines.host_errors import host_errors
from zorro_keras.applications.pipelines.unit_battle import checked_battle
from zorro_keras.applications.pipelines.unit_files import open_unit_file, unit_paths
from zorro_keras.applications.starcraft_units.data import evaluation_dataset, open_data
from zorro_keras.applications.starcraft_units.flops import encoder_flops
from zorro_keras.applications.starcraft_units.preprocessor import pad_battles
from zorro_keras.applications.starcraft_units.report import report_page
from zorro_keras.applications.starcraft_units.scores import chance_scores, rounded, selection_scores
from zorro_keras.applications.starcraft_units.unit_selector import UnitSelector
from zorro_keras.applications.training.finite import check_finite
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.training.probabilities import to_probabilities
from zorro_keras.applications.training.report_files import write_report
from zorro_keras.applications.training.run import Run, open_run

MOST_BATTLES = 20  # that `predict` prints


def predict(
    folder: str | os.PathLike[str], source: str, *, top: int = 5, console: Console | None = None
) -> int:
    """Prints which units of battles are selected: the first battles of each file.

    A unit is named by its slot in the file, from 0, as in errors; masked slots count.

    Args:
        folder: of a run, or of a preset.
        source: npz or TFRecord file of battles, or a folder of them; `selected` need not be there.
        top: int >= 1. Units to print of each battle, the most probable first.
        console: where to print. Standard output by default.

    Returns:
        0.

    Raises:
        ValueError: if `top` is not positive.
        SourceError: if a file or a battle cannot be used.
    """
    if top < 1:
        raise ValueError(f"`top` must be positive. Received: top={top}")
    paths, console = unit_paths(source), console or Console()
    model = open_model(folder, None)
    features, most = model.preprocessor.features, model.preprocessor.num_units
    for path in paths:
        file = open_unit_file(path, len(features))
        shown = range(min(len(file), MOST_BATTLES))
        battles = [checked_battle(file[row], features, most, path=path, row=row) for row in shown]
        table = Table(
            "battle", "units", "selected", f"the {top} most probable, by slot", title=Text(str(path))
        )
        answers = _answers(model, [battle.units for battle in battles])
        for row, (battle, probabilities) in enumerate(zip(battles, answers, strict=True)):
            best = np.argsort(-probabilities, kind="stable")[:top]
            listed = ", ".join(f"{battle.slots[unit]} {probabilities[unit]:.0%}" for unit in best)
            selected = int((probabilities > 0.5).sum())
            table.add_row(str(row), str(len(battle.units)), str(selected), Text(listed))
        console.print(table)
        if len(file) > MOST_BATTLES:
            console.print(f"The first {MOST_BATTLES} of {len(file)} battles.")
    return 0


def evaluate(
    run_dir: str | os.PathLike[str],
    data_path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    whole: bool = False,
) -> dict[str, Any]:
    """Measures a run on battles that it was not trained on.

    The test split is looked at. Where no file says its split, a hash of a battle does, so those are held out
    of the training too where battles were added to the run's since, or taken away.

    Args:
        run_dir: folder of the run.
        data_path: battles, as for training.
        out: optional folder, `report/` in the run by default. Gets `report.json` and `report.html`.
        whole: bool. All battles are looked at, as none of them was trained on.

    Returns:
        Dict with `json` and `html`, the files; `battles`, "held out" or "all"; the figures of
        `selection_scores`, `num_battles`, `num_units` and `gflops` of the entity encoder for a battle of as
        many slots as in training. The report has those of `chance_scores`, too, and the FLOPs by part.

    Raises:
        ZorroError: if the run or the data cannot be used.
    """
    run = open_run(run_dir)
    data = open_data(data_path, run.config, splits=() if whole else ("test",))
    if whole:
        run.check_new(data, data_path)
    with host_errors(data.faults):
        logits, selected, real = _outcomes(run, data, whole=whole)
    slots = 1 if run.config.data.alone else run.config.data.num_units
    flops = encoder_flops(run.task.backbone, slots)
    figures = rounded(selection_scores(logits, selected, real))
    figures |= {"num_battles": int(real.any(axis=1).sum()), "num_units": int(real.sum())}
    figures["gflops"] = round(flops["total"] / 1e9, 6)
    chance = {name: rounded(scores) for name, scores in chance_scores(selected, real).items()}
    report = {
        "run": str(run.folder.path),
        "data": str(data_path),
        "battles": "all" if whole else "held out",
        "backend": keras.backend.backend(),
        "encoder": run.config.model.encoder,
        "figures": figures,
        "chance": chance,
        "flops": flops,
    }
    files = write_report(run.folder.report if out is None else out, report, report_page(report))
    return {**files, "battles": report["battles"], **figures}


def _outcomes(run: Run, data: Any, *, whole: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, selections and masks of all battles, `(N, M)`, also where each unit was shown alone."""
    slots = run.config.data.num_units
    batches, _ = evaluation_dataset(data, run.config, run.task.preprocessor, whole=whole)
    found: tuple[list[np.ndarray], ...] = ([], [], [])
    for x, y, _ in batches.as_numpy_iterator():
        logits = np.asarray(keras.Model.predict_on_batch(run.task, x)["selection"])
        for kept, array in zip(found, (logits, y > 0, x["padding_mask"]["units"]), strict=True):
            kept.append(array.reshape(-1, slots))
    logits, selected, real = map(np.concatenate, found)
    check_finite(logits[real], "evaluate")
    return logits, selected, real


def _answers(model: UnitSelector, battles: list[np.ndarray]) -> list[np.ndarray]:
    """Returns each unit's probability to be selected, `(M_i,)` of each battle.

    A model that was trained on battles of one unit is asked about each unit alone.
    """
    batch = pad_battles(battles, model.preprocessor.num_units)
    if model.preprocessor.alone:
        logits = np.stack([_alone(model, batch, row) for row in range(len(battles))])
    else:
        logits = np.asarray(keras.Model.predict_on_batch(model, batch)["selection"])
    probabilities = to_probabilities(logits, multi_label=True)
    return [row[: len(units)] for row, units in zip(probabilities, battles, strict=True)]


def _alone(model: UnitSelector, batch: dict[str, Any], row: int) -> np.ndarray:
    """The logits `(M,)` of a battle's slots, each in a battle of its own."""
    apart = keras.tree.map_structure(lambda values: values[row][:, None], batch)
    return np.asarray(keras.Model.predict_on_batch(model, apart)["selection"])[:, 0]
