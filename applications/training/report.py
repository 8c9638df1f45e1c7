"""Evaluates a run with every subset of its streams and writes the modality report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.host_errors import host_errors
from zorro_keras.applications.training.endpoints import subsets_of
from zorro_keras.applications.training.modality_figures import modality_figures
from zorro_keras.applications.training.report_files import write_report
from zorro_keras.applications.training.report_page import report_page
from zorro_keras.applications.training.run import Run, open_run
from zorro_keras.applications.training.subset_scores import Subset, SubsetScores, score_subsets
from zorro_keras.applications.training.task import task_module


def evaluate_run(
    run_dir: str | os.PathLike[str],
    data_path: str | os.PathLike[str],
    *,
    subsets: Sequence[Subset] | None = None,
    out: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Measures on the split that is held out what a run knows from each subset of its streams.

    "Audio only" takes the other streams out of the model's inputs. Logits are averaged over the configured
    windows of a clip. Every clip counts in every subset: one that lacks all streams of a subset is answered
    from nothing, as it would be in use; with balanced classes such answers are right by chance. The report
    also tells the clips apart by what they really have.

    Args:
        run_dir: folder of the run.
        data_path: shards or a source with a test split, or the one that `data.evaluation_split` names.
        subsets: optional sequence of tuples of streams. All non-empty subsets by default.
        out: optional folder. `report/` in the run by default; of some subsets only one named after them, such
            as `report_audio/`.

    Returns:
        Dict with `html` and `json`, the files written; `num_clips`; and `scores`, by subset and head. The
        rest is in `report.json`.

    Raises:
        ConfigError: if a subset names a stream the model lacks, or the model has no classes.
        ZorroError: if the run or the data cannot be used.
    """
    run = open_run(run_dir)
    subsets = _checked(run, subsets)
    folder = _report_folder(run, subsets) if out is None else out
    data = task_module(run.task_name, "data").open_data(data_path, run.config, label_names=run.label_names)
    scores = _score(run, data, subsets)
    report = {
        "run": str(run.folder.path),
        "data": str(data_path),
        "split": data.evaluation_split,
        "backend": keras.backend.backend(),
        "label_names": list(run.label_names),
        "multi_label": run.task.multi_label,
        "streams": list(run.task.backbone.streams),
        "num_clips": len(scores.ids),
        "unusable_clips": list(scores.unusable_ids),
        **modality_figures(scores, run.label_names, multi_label=run.task.multi_label),
    }
    files = write_report(folder, report, report_page(report))
    return {**files, "num_clips": report["num_clips"], "scores": report["scores"]}


def _checked(run: Run, subsets: Sequence[Subset] | None) -> list[Subset]:
    if not run.label_names:
        raise ConfigError("The run's task has no classes to report on.", stage="evaluate", reason="bad_value")
    known = subsets_of(run.task.backbone.streams)
    if subsets is None:
        return known
    by_content = {frozenset(subset): subset for subset in known}
    unknown = [subset for subset in subsets if frozenset(subset) not in by_content]
    if unknown or not subsets:
        raise ConfigError(
            f"`subsets` must be chosen from the streams {list(run.task.backbone.streams)}. "
            f"Received: subsets={list(subsets)}",
            stage="evaluate",
            reason="bad_value",
        )
    return list(dict.fromkeys(by_content[frozenset(subset)] for subset in subsets))


def _report_folder(run: Run, subsets: Sequence[Subset]) -> Path:
    """A report of some subsets is not put in the place of the whole one."""
    if len(subsets) == len(subsets_of(run.task.backbone.streams)):
        return run.folder.report
    return run.folder.path / "_".join(["report", *map("+".join, subsets)])


def _score(run: Run, data: Any, subsets: Sequence[Subset]) -> SubsetScores:
    batches, window_ids = task_module(run.task_name, "data").evaluation_dataset(
        data, run.config, run.task.preprocessor, faults_path=run.folder.faults_file
    )
    with host_errors(data.faults):
        return score_subsets(run.task, batches.as_numpy_iterator(), window_ids, subsets)
