"""`zorro-keras reproduce`: trains what the claims need, and reports what came out."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.table import Table

from zorro_keras.applications.pipelines.claimed_folder import claim_folder
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.reproduce.claims_page import claims_page
from zorro_keras.applications.reproduce.experiments import EXPERIMENTS, result_of
from zorro_keras.applications.reproduce.plan import FULL, QUICK
from zorro_keras.applications.reproduce.report import report_of
from zorro_keras.applications.reproduce.small_clips import small_clips
from zorro_keras.applications.training.report_files import write_report


def reproduce(
    out: str | os.PathLike[str],
    quick: bool = False,
    num_seeds: int = 2,
    *,
    console: Console | None = None,
) -> dict[str, Any]:
    """Trains small models for each claim of the Zorro paper, and writes what holds, with its uncertainty.

    Experiments that the folder holds are not run again: an interrupted call is finished by calling it again,
    and a call for more seeds adds to them.

    Args:
        out: folder for clips, results and the report, `report.html` and `report.json`.
        quick: bool. A few clips and steps: shows that everything runs; the figures mean nothing.
        num_seeds: int >= 1. Seeds of each experiment, from 0.
        console: where to report. Standard output by default.

    Returns:
        What `report.json` holds: see `report_of`; and `html`, `json`, the files written.

    Raises:
        ConfigError: if there is no seed, or the folder holds results of another size or backend.
    """
    if num_seeds < 1:
        raise ConfigError(
            f"`num_seeds` must be positive. Received: num_seeds={num_seeds}",
            stage="command",
            reason="bad_value",
        )
    out, console, plan = Path(out), console or Console(), QUICK if quick else FULL
    backend = keras.backend.backend()
    claim_folder(out / "reproduce.json", "results", {"backend": backend, **asdict(plan)})
    clips = small_clips(out, plan)
    seeds = list(range(num_seeds))
    results = {name: [] for name in EXPERIMENTS}
    for seed in seeds:  # a whole round first: whoever stops it has every row once
        for name, rows in results.items():
            rows.append(result_of(name, seed, clips, plan, out / "experiments"))
            console.print(f"{EXPERIMENTS[name].text}, seed {seed}: {rows[-1]['seconds']} s", highlight=False)
    report = {
        "backend": backend,
        "quick": quick,
        "seeds": seeds,
        "clips": {"train": len(clips[0]), "test": len(clips[1])},
        "minutes": round(sum(row["seconds"] for rows in results.values() for row in rows) / 60, 1),
        "chance_percent": 100.0 / (int(clips[0].labels.max()) + 1),
        "plan": asdict(plan),
        **report_of(results),
    }
    files = write_report(out, report, claims_page(report))
    console.print(_table(report), f"Report: {files['html']}", sep="\n")
    return {**report, **files}


def _table(report: dict[str, Any]) -> Table:
    title = "The claims, in small" + (" (quick: means nothing)" if report["quick"] else "")
    table = Table(title=title, title_justify="left")
    for column in ("", "compared", "effect, points", "verdict"):
        table.add_column(column)
    for letter, claim in report["claims"].items():
        for row in claim["comparisons"]:
            points = f"{row['effect']['points']:+.1f} \N{PLUS-MINUS SIGN} {row['effect']['margin']:.1f}"
            table.add_row(letter, row["text"], points, row["verdict"])
    return table
