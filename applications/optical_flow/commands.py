"""`zorro-keras predict` and `evaluate` for optical flow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.text import Text

from zorro_keras.applications.optical_flow.answers import write_pair, write_video
from zorro_keras.applications.optical_flow.config import config_of_preset
from zorro_keras.applications.optical_flow.data import open_data
from zorro_keras.applications.optical_flow.evaluation import Evaluation
from zorro_keras.applications.optical_flow.optical_flow import OpticalFlow
from zorro_keras.applications.optical_flow.report import report_page
from zorro_keras.applications.optical_flow.tiled_flow import TiledFlow
from zorro_keras.applications.optical_flow.tiles import Grid
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.flow_pairs import is_picture
from zorro_keras.applications.pipelines.source_data import SourceData
from zorro_keras.applications.training.open_model import open_measured, open_model
from zorro_keras.applications.training.report_files import write_report
from zorro_keras.applications.training.run import Run


def predict(
    folder: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    second: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    max_megabytes: float | None = None,
    grid: Grid = "even",
    console: Console | None = None,
) -> int:
    """Writes the flow between two pictures, or from each frame of a video to the next.

    Of two pictures `a.png` and `b.png`: `a.flo`, its colours `a_colours.png`, and `a_side_by_side.png`. Of
    `clip.mp4`: `flow/000000.flo` and `colours/000000.png` for each frame but the last, and
    `clip_side_by_side.mp4`.

    Args:
        folder: of a run, or of a preset.
        source: picture, or video.
        second: picture that follows `source`; None for a video.
        out: folder to write. `flow_of_NAME` in the present folder by default. Made once there is flow.
        max_megabytes: optional float. The most memory of a batch of tiles beside the weights.
        grid: "even" or "released": how tiles are spread, see `tile_starts`.
        console: where the files are named. Standard output by default.

    Returns:
        0.

    Raises:
        ZorroError: if the model cannot be used, or a file cannot be read; for pictures of unequal sizes, or a
            single one; if the folder cannot be made.
    """
    source = Path(source)
    if second is None and is_picture(source):
        raise ConfigError(
            "A second picture is needed: `predict RUN a.png b.png`.",
            path=source, stage="predict", reason="bad_value",
            advice="Flow leads from one picture to another, or from each frame of a video to the next.",
        )  # fmt: skip
    flow = _tiled(open_model(folder, OpticalFlow), max_megabytes, grid)
    out = Path(f"flow_of_{source.stem}" if out is None else out)
    files = write_video(flow, source, out) if second is None else write_pair(flow, source, second, out)
    for path in files:
        # Names come from outside: as `Text` they are shown as they are, without markup.
        (console or Console()).print(Text(str(path)), soft_wrap=True)
    return 0


def evaluate(
    run_dir: str | os.PathLike[str],
    data_path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    max_megabytes: float | None = None,
    grid: Grid = "even",
    whole: bool = False,
) -> dict[str, Any]:
    """Measures a model on whole pairs and writes a report.

    Pairs are those of the split "test", or of "val" where there is no test split. Where the data name no
    splits, that is known of a run's own data alone: a scene more deals them anew. For a preset, which does
    not know what it was trained on, all pairs of such data are measured.

    Args:
        run_dir: folder of a run, or of a preset.
        data_path: pairs with flow, as for training.
        out: optional folder. `report/` in the run or the preset by default.
        max_megabytes: optional float. The most memory of a batch of tiles beside the weights.
        grid: "even" or "released": how tiles are spread, see `tile_starts`.
        whole: bool. All pairs are measured, as none of them was trained on: for data without splits, as
            Sintel and KITTI.

    Returns:
        Dict with `html` and `json`, the files written; `split`, or "all"; `num_pairs`, `end_point_error` in
        pixels, `mean_of_pairs`, that of the pairs' own end-point errors, `fl_all`, a share, and
        `zero_flow_error`, the end-point error of seeing no motion. The rest is in `report.json`: by pass, by
        region, the worst pairs, those not read.

    Raises:
        ZorroError: if the model or the data cannot be used.
    """
    run = open_measured(run_dir, OpticalFlow, config_of_preset)
    data = open_data(data_path, run.config)
    split = _split_of(run, data, data_path, whole)
    evaluation = Evaluation(_tiled(run.task, max_megabytes, grid))
    reading = run.config.data.reading(data.source.root, run.folder.faults_file)
    evaluation.add_all(data.source.split(split), reading)
    report = {
        "run": str(run.folder.path),
        "data": str(data_path),
        "layout": data.source.layout,
        "split": split or "all",
        "backend": keras.backend.backend(),
        **evaluation.figures(),
    }
    folder = run.folder.report if out is None else out
    files = write_report(folder, report, report_page(report, evaluation.pictures()))
    names = ("split", "num_pairs", "end_point_error", "mean_of_pairs", "fl_all", "zero_flow_error")
    return {**files, **{name: report[name] for name in names}}


def _split_of(run: Run, data: SourceData, path: str | os.PathLike[str], whole: bool) -> str | None:
    """The split to measure on; None for all pairs."""
    if whole:
        run.check_new(data, path)
        return None
    if not run.data_fingerprint:  # a preset
        return data.evaluation_split if data.source.names_splits else None
    if data.fingerprint != run.data_fingerprint and not data.source.names_splits:
        raise ConfigError(
            "These are not the data that the run was trained on, and they do not name what to measure on.",
            path=path, stage="evaluate", reason="bad_split",
            advice="Give `--whole` where no pair of them was trained on, as of Sintel or KITTI; else keep "
            "pairs to measure on in a folder `test`.",
        )  # fmt: skip
    return data.evaluation_split


def _tiled(task: OpticalFlow, max_megabytes: float | None, grid: Grid) -> TiledFlow:
    try:
        return TiledFlow(task, grid=grid, max_megabytes=max_megabytes)
    except ValueError as error:
        raise ConfigError(str(error), stage="command", reason="bad_value") from error
