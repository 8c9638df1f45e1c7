"""The main job from nothing: makes clips, trains on them, and serves the result beside the known ceilings."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.pipelines.generated_clips import CEILINGS, ClipPlan, generate_clips
from zorro_keras.applications.pipelines.media import decode_window, probe
from zorro_keras.applications.pipelines.packed_clips import PACKING
from zorro_keras.applications.pipelines.prepare import prepare

TASK = "audio_visual_classification"
# What a trained run must reach on the test split, by what it is given.
FLOORS = {"audio": 0.72, "video": 0.70, "audio+video": 0.88}
_PACKAGES = ("zorro-keras", "keras", "keras-hub", "tensorflow", "jax", "torch", "numpy", "av")


def demo(
    out: str | os.PathLike[str] = "runs/demo",
    quick: bool = False,
    seed: int = 0,
    *,
    console: Console | None = None,
) -> dict[str, Any]:
    """Makes clips, packs them, trains, evaluates, exports, serves, and compares with the known ceilings.

    A run that was stopped goes on where it was when called again with the same arguments.

    Args:
        out: folder for everything; `summary.json` is written there last.
        quick: bool. A few clips and steps, and no accuracy is required: shows that everything runs.
        seed: int >= 0. Decides clips, weights and order.
        console: where to report. Standard output by default.

    Returns:
        What `summary.json` holds: accuracy by subset of the inputs and head, ceilings and floors, seconds by
        phase, clips per second, backend and versions.

    Raises:
        TrainingError: if a full run stays below `FLOORS`, or the served model answers differently.
        ZorroError: if a phase fails.
    """
    out, console, phases = Path(out), console or Console(), _Phases()
    num_train, num_test = (96, 32) if quick else (960, 320)
    with phases.timed("clips", console, num_train + num_test):
        plans = generate_clips(str(out / "clips"), count=num_train, test_count=num_test, seed=seed)
    with phases.timed("prepare", console, num_train + num_test):
        prepare(out / "clips" / "clips.csv", out / "shards", **PACKING)
    run = _run_folder(out)
    trained = _train(run, out / "shards", quick, seed, num_train, phases, console)
    with phases.timed("evaluate", console, num_test):
        from zorro_keras.applications.training.report import evaluate_run

        report = evaluate_run(run, out / "shards")
    clip = out / "clips" / _clear_test_clip(plans).path
    with phases.timed("export", console):
        from zorro_keras.applications.training.export import export_run

        exported = export_run(run, out / "saved_model")
    with phases.timed("serve", console):
        served = _serve(out, clip)
    with phases.timed("predict", console):
        from zorro_keras.applications.training.predict import predict_file

        predicted = predict_file(run, clip, top=3, console=console)
    difference = _difference(served, predicted)
    summary = {
        **_about(quick, seed, num_train, num_test),
        **_accuracies(report["scores"]),
        "seconds": {**phases.seconds, "total": round(sum(phases.seconds.values()), 2)},
        "clips_per_second": phases.clips_per_second,
        "resumed_from_epoch": trained["resumed_from_epoch"],
        "export": {"worst": exported["parity"]["worst"], "served_difference": difference},
        "report": report["html"],
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    console.print(_table(summary), f"Report: {report['html']}", f"Summary: {out / 'summary.json'}", sep="\n")
    if not quick:
        _check_floors(summary["accuracy_by_inputs"])
    return summary


class _Phases:
    """Seconds of each phase, and clips per second where a phase goes through clips."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.clips_per_second: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str, console: Console, num_clips: int = 0) -> Iterator[None]:
        """Times one phase and says what it took."""
        started = time.perf_counter()
        with console.status(f"{name} ..."):
            yield
        seconds = time.perf_counter() - started
        self.seconds[name] = round(seconds, 2)
        rate = ""
        if num_clips:
            self.clips_per_second[name] = round(num_clips / seconds, 1)
            rate = f"{num_clips / seconds:8.1f} clips/s"
        console.print(f"{name:<10}{seconds:8.1f} s{rate}", highlight=False)


def _run_folder(out: Path) -> Path:
    """Where this backend trains: what another has begun in the same folder it could not go on with."""
    import keras

    return out / f"run_{keras.backend.backend()}"


def _train(
    run: Path, shards: Path, quick: bool, seed: int, num_train: int, phases: _Phases, console: Console
) -> dict[str, Any]:
    from zorro_keras.applications.training.config import apply_overrides
    from zorro_keras.applications.training.fit import train
    from zorro_keras.applications.training.task import named_config

    overrides = [f"training.seed={seed}", *(["training.epochs=2"] if quick else [])]
    config = apply_overrides(named_config(TASK, "tiny"), overrides)
    with phases.timed("train", console, num_train * config.training.epochs):
        return train(TASK, config, str(shards), str(run))


def _clear_test_clip(plans: list[ClipPlan]) -> ClipPlan:
    return next(plan for plan in plans if plan.split == "test" and plan.audible and plan.visible)


def _serve(out: Path, clip: Path) -> dict[str, np.ndarray]:
    """Answers a clip in a process that has TensorFlow and neither Keras nor this library."""
    from zorro_keras.applications.pipelines.geometry import ClipGeometry
    from zorro_keras.applications.training import bare_saved_model

    saved_model = out / "saved_model"
    about = json.loads((saved_model / "assets" / "labels.json").read_text(encoding="utf-8"))
    geometry = ClipGeometry.from_config(about["clip"])
    start_seconds = max(probe(clip).duration_seconds - geometry.seconds, 0.0) / 2
    window = decode_window(clip, geometry, start_seconds=start_seconds)
    inputs, outputs = out / "served_inputs.npz", out / "served_outputs.npz"
    np.savez(inputs, audio=window.audio[None], video=window.video[None])
    script = bare_saved_model.__file__
    command = [sys.executable, "-P", script, str(saved_model), str(inputs), "serve_raw", str(outputs)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    child = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    if child.returncode:
        raise TrainingError(
            "The SavedModel does not run on its own:\n" + "\n".join(child.stderr.splitlines()[-15:]),
            path=saved_model,
            stage="serve",
            reason="unknown",
        )
    with np.load(outputs) as arrays:
        answers = {name: arrays[name][0] for name in arrays.files}
    return {**answers, "label_names": np.array(about["label_names"])}


def _difference(served: Mapping[str, np.ndarray], predicted: Mapping[str, list[dict[str, Any]]]) -> float:
    """Returns how far the served probabilities are from those predicted in this process.

    Raises:
        TrainingError: if it is more than rounding.
    """
    places = {str(name): index for index, name in enumerate(served["label_names"])}
    difference = max(
        abs(float(served[f"{head}_probabilities"][places[row["label"]]]) - row["probability"])
        for head, rows in predicted.items()
        for row in rows
    )
    if not difference < 1e-3:
        raise TrainingError(
            f"The served model answers differently, by {difference:.3g}.", stage="serve", reason="wrong_model"
        )
    return difference


def _accuracies(scores: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    from zorro_keras.applications.training.modality_figures import main_head

    accuracy = {
        subset: {head: figures["accuracy"] for head, figures in heads.items()}
        for subset, heads in scores.items()
    }
    return {
        "accuracy": accuracy,
        "accuracy_by_inputs": {
            subset: heads[main_head(tuple(subset.split("+")), list(heads))]
            for subset, heads in accuracy.items()
        },
        "ceilings": CEILINGS,
        "floors": FLOORS,
    }


def _check_floors(accuracy: Mapping[str, float]) -> None:
    below = [
        f"{subset} {accuracy[subset]:.1%} < {floor:.0%}"
        for subset, floor in FLOORS.items()
        if accuracy[subset] < floor
    ]
    if below:
        raise TrainingError(
            f"The run stays below what it must reach: {', '.join(below)}.",
            stage="demo",
            reason="unknown",
            advice="summary.json and the report say where. Another seed or backend should reach it too.",
        )


def _about(quick: bool, seed: int, num_train: int, num_test: int) -> dict[str, Any]:
    import keras

    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "quick": quick,
        "seed": seed,
        "clips": {"train": num_train, "test": num_test},
        "backend": keras.backend.backend(),
        "cores": os.cpu_count(),
        "versions": versions,
    }


def _table(summary: Mapping[str, Any]) -> Table:
    title = "Test accuracy" + (" (quick: means nothing)" if summary["quick"] else "")
    table = Table(title=title, title_justify="left")
    table.add_column("inputs")
    for column in ("measured", "required", "ceiling"):
        table.add_column(column, justify="right")
    for subset, floor in FLOORS.items():
        measured, ceiling = summary["accuracy_by_inputs"][subset], CEILINGS[subset]
        colour = "green" if measured >= floor else "red"
        name = subset.replace("+", " + ") + ("" if "+" in subset else " only")
        table.add_row(name, f"[{colour}]{measured:.1%}[/]", f"{floor:.0%}", f"{ceiling:.1%}")
    return table
