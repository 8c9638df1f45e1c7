"""How well the clips of a run find one another, and how well the sound of one file goes with its picture."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np

from zorro_keras.applications.audio_visual_pretraining.clip_embedder import ClipEmbedder, check_heads
from zorro_keras.applications.audio_visual_pretraining.data import evaluation_dataset, open_data
from zorro_keras.applications.audio_visual_pretraining.pretrainer import AudioVisualPretrainer
from zorro_keras.applications.audio_visual_pretraining.report import report_page
from zorro_keras.applications.audio_visual_pretraining.scores import (
    class_likeness,
    neighbour_chance,
    scores_of,
)
from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.pipelines.host_errors import host_errors
from zorro_keras.applications.pipelines.media import iterate_windows, probe
from zorro_keras.applications.training.finite import check_finite
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.training.report_files import write_report
from zorro_keras.applications.training.run import Run, open_run
from zorro_keras.applications.training.window_classifier import streams_of_file


def evaluate_run(
    run_dir: str | os.PathLike[str],
    data_path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Measures how well the centre windows of the test clips find one another, and writes the report.

    Args:
        run_dir: folder of the run.
        data_path: shards or a source, as for training. `val` is taken where there is no test split. Labels,
            if there are any, are for the probe and the picture of the classes.
        out: optional folder. `report/` in the run by default.

    Returns:
        Dict with `html` and `json`, the files written; `num_clips`, those that could be read; and `scores`,
        see `scores_of`.

    Raises:
        ZorroError: if the run or the data cannot be used, or the model gives a number that is not finite.
    """
    run = open_run(run_dir)
    data = open_data(data_path, run.config)
    with host_errors(data.faults):
        embeddings, presence, labels, usable, ids = _embedded(run, data)
    if not usable.any():
        raise TrainingError(
            "Not one clip could be used.", stage="evaluate", reason="empty_source",
            advice="Mend the files that `faults.jsonl` in the folder of the run names.",
        )  # fmt: skip
    names = data.origin.label_names
    report = {
        "run": str(run.folder.path),
        "data": str(data_path),
        "split": data.evaluation_split,
        "backend": keras.backend.backend(),
        "num_clips": int(usable.sum()),
        "num_with": {name: int((flags & usable).sum()) for name, flags in presence.items()},
        "num_with_both": int((np.all([*presence.values()], axis=0) & usable).sum()),
        "label_names": list(names),
        "unusable_clips": [name for name, fine in zip(ids, usable, strict=True) if not fine],
        "scores": scores_of(embeddings, presence, labels, usable),
        "neighbour_chance": neighbour_chance(labels[usable]) if usable.sum() > 1 else None,
        "class_likeness": class_likeness(embeddings, presence, labels, usable),
    }
    files = write_report(run.folder.report if out is None else out, report, report_page(report))
    return {**files, "num_clips": report["num_clips"], "scores": report["scores"]}


def likeness_of_file(
    folder: str | os.PathLike[str], source: str | os.PathLike[str], *, batch_size: int = 8
) -> dict[str, Any]:
    """Says how well the sound and the picture of a clip of any length go together, in constant memory.

    Args:
        folder: of a run, or of a preset.
        source: video file with sound.
        batch_size: int >= 1. Windows that are asked together.

    Returns:
        Dict with `source`; `windows`, dicts of `start_seconds`, `end_seconds` and `likeness`, the cosine of
        the embeddings of sound and picture in [-1, 1], or None where a window lacks one; and `mean_likeness`.

    Raises:
        ZorroError: if the model or the file cannot be used, or the file has no sound or no picture.
    """
    info = probe(source)
    task = open_model(folder, AudioVisualPretrainer)
    for name in ("audio", "video"):
        streams_of_file(task, info, [name])  # there is nothing to compare in a file without one of them
    embedder = ClipEmbedder(task, batch_size)
    clip, pair = embedder.geometry, ("audio_to_video", "video_to_audio")
    check_heads(embedder.heads, *pair)
    windows = []
    for window, vectors in embedder.of_windows(iterate_windows(source, clip, hop_seconds=clip.seconds)):
        likeness = float(vectors[pair[0]] @ vectors[pair[1]])
        start = window.start_seconds
        windows.append(
            {
                "start_seconds": round(start, 6),
                "end_seconds": round(start + clip.seconds, 6),
                "likeness": None if np.isnan(likeness) else round(likeness, 6),
            }
        )
    known = [row["likeness"] for row in windows if row["likeness"] is not None]
    mean = round(float(np.mean(known)), 6) if known else None
    return {"source": os.fspath(source), "windows": windows, "mean_likeness": mean}


def _embedded(run: Run, data: Any) -> tuple[Any, ...]:
    """The embeddings of the split, presence, labels, which clips could be read, and ids, without padding."""
    given = (data, run.config, run.task.preprocessor)
    batches, ids = evaluation_dataset(*given, faults_path=run.folder.faults_file)
    found = []
    for x, y, weight in batches.as_numpy_iterator():
        answers = keras.Model.predict_on_batch(run.task, x)
        for head, vectors in answers.items():
            check_finite(np.asarray(vectors)[weight > 0], "evaluate", where=f", by the head {head}")
        found.append((answers, y["presence"], y["labels"], weight > 0))
    rows = keras.tree.map_structure(lambda *parts: np.concatenate(parts)[: len(ids)], *found)
    return (*rows, ids)
