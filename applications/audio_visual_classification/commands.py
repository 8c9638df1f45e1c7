"""`zorro-keras prepare`, `predict` and `evaluate` for audio-visual classification."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich import print_json


def prepare(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    on_progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Packs media files into shards: see `pipelines.prepare.prepare`, whose arguments `settings` are."""
    from zorro_keras.applications.pipelines.prepare import prepare as pack

    return pack(source, out, **settings, on_progress=on_progress)


def predict(
    folder: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    top: int = 5,
    streams: Sequence[str] | None = None,
    timeline: str | os.PathLike[str] | None = None,
) -> int:
    """Prints the most probable classes of one clip, or writes a timeline of a long video.

    Args:
        folder: of a run, or of a preset.
        source: video or sound file.
        top: int >= 1. Classes per head.
        streams: optional names of the streams to look at. By default all that the file and the model have.
        timeline: optional folder, for what each second shows, as CSV and plot.

    Returns:
        0.

    Raises:
        ZorroError: if the model or the file cannot be used, or the model has no such stream.
    """
    if timeline is not None:
        from zorro_keras.applications.training.timeline import timeline as write_timeline

        print_json(data=write_timeline(folder, source, timeline, streams=streams), default=str)
        return 0
    from zorro_keras.applications.training.predict import predict_file

    predict_file(folder, source, streams=streams, top=top)
    return 0


def evaluate(
    run_dir: str | os.PathLike[str],
    data_path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    streams: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Writes what each head of a run knows from each subset of the streams.

    Args:
        run_dir: folder of the run.
        data_path: shards or a source with a test split.
        out: optional folder. `report/` in the run by default, with `streams` such as `report_audio/`.
        streams: optional names: this subset alone. All subsets by default.

    Returns:
        Dict as `evaluate_run` gives it.

    Raises:
        ZorroError: if the run or the data cannot be used, or the model has no such stream.
    """
    from zorro_keras.applications.training.report import evaluate_run

    subsets = None if streams is None else [tuple(streams)]
    return evaluate_run(run_dir, Path(data_path), subsets=subsets, out=out)
