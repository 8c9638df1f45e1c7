"""Packs a source into checked shards, in parallel; what is interrupted can be finished, byte for byte the
same.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any, TypeVar

from zorro_keras.applications.pipelines.atomic_files import (
    TEMPORARY_SUFFIX,
    atomic_file,
    clear_write_errors,
    one_writer,
)
from zorro_keras.applications.pipelines.coverage import coverage_of, coverage_text
from zorro_keras.applications.pipelines.faults import Ledger, OnError, ShardError
from zorro_keras.applications.pipelines.mixed_order import in_mixed_order
from zorro_keras.applications.pipelines.mixture import read_sources
from zorro_keras.applications.pipelines.pack_clip import PackSettings, PackTask
from zorro_keras.applications.pipelines.pack_foreign import pack_any_clip
from zorro_keras.applications.pipelines.shard_writer import (
    PlannedShard,
    ShardNote,
    read_note,
    settle_again,
    write_shard,
)
from zorro_keras.applications.pipelines.shards import (
    COMPLETE,
    COVERAGE,
    FORMAT,
    INDEX,
    LABELS,
    RECORDS,
    SHARD_SUFFIX,
    WORK_FOLDER,
    open_shards,
)
from zorro_keras.applications.pipelines.source_rows import SPLITS
from zorro_keras.applications.pipelines.sources import Source
from zorro_keras.applications.pipelines.workers import MAX_WORKER_BYTES, DecodePool

COVERAGE_TEXT, FAULTS, JOB, MISSING = "coverage.txt", "faults.jsonl", "job.json", "missing_ids.txt"
Result = TypeVar("Result")


def prepare(
    source: str | os.PathLike | Source | Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    sample_rate_hz: int = 16_000,
    frame_rate_hz: float = 25.0,
    shorter_side_px: int = 256,
    max_seconds: float = 10.0,
    clips_per_shard: int = 128,
    num_workers: int = 2,
    on_error: OnError = "skip",
    max_bad_fraction: float = 0.01,
    deadline_seconds: float = 60.0,
    max_worker_bytes: int | None = MAX_WORKER_BYTES,
    test_fold: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Packs a source into shards under `out`.

    Shards are `{split}-00000-of-000NN.tfrecord` of SequenceExamples; beside them lie `labels.json`,
    `index.json`, `records.jsonl` (where each clip is), `coverage.json` and `coverage.txt`, `faults.jsonl`,
    `missing_ids.txt` (for each id of an official list that was not found, the list and the id) and, written
    last, `COMPLETE`. Calling again with the same arguments finishes an interrupted run; the
    bytes are those of a run that was never interrupted. A finished folder is checked and left alone.

    Args:
        source: path of shards of another library, or as for `read_source`; several of these, which are joined
            as by `mixture.joined`; or a `Source` already read.
        out: str or path. A folder that is new, empty, or of an earlier call with the same arguments.
        sample_rate_hz: int. Rate the sound is resampled to.
        frame_rate_hz: float. Rate the picture is sampled at.
        shorter_side_px: int. Larger pictures are scaled down to this shorter side.
        max_seconds: float. Only the beginning of a longer clip is packed; the report counts them.
        clips_per_shard: int. Clips of the source for each shard. A run that stops loses at most one shard's
            work.
        num_workers: int. Decoding processes.
        on_error: `"raise"`, `"skip"` or `"drop_modality"`. What to do with a damaged clip.
        max_bad_fraction: float in [0, 1]. The run stops when more clips are bad.
        deadline_seconds: float. A clip that takes longer is given up.
        max_worker_bytes: optional int. Memory each process may use, where the system can limit it.
        test_fold: optional int. For each path, as for `read_source`.
        on_progress: callable or `None`. Called with the number of clips ready and of all clips.

    Returns:
        The coverage report, see `coverage_of`.

    Raises:
        ValueError: If an argument is out of its range.
        SourceError: If the source has bad rows, or too many clips are bad.
        ShardError: If `out` is in use, full, not writable or holds something else.
        MediaError: With `on_error="raise"`, what is wrong with the first damaged clip.
    """
    settings = PackSettings(sample_rate_hz, frame_rate_hz, shorter_side_px, max_seconds, clips_per_shard)
    if not isinstance(source, Source):
        paths = (source,) if isinstance(source, (str, os.PathLike)) else source
        source = read_sources(paths, test_fold=test_fold)
    out = os.path.realpath(out)
    job = {"format": FORMAT, "source": source.fingerprint, "on_error": on_error, "settings": asdict(settings)}
    with one_writer(out):
        if os.path.exists(os.path.join(out, COMPLETE)):
            return _coverage_of_finished(out, job)
        _begin(out, job)
        plans = plan_shards(source, clips_per_shard)
        ids = [entry.id for plan in plans for entry in plan.entries]
        log_path = os.path.join(out, FAULTS)
        ledger = Ledger(ids, max_bad_fraction=max_bad_fraction, on_error=on_error, log_path=log_path)
        pool = DecodePool(num_workers, deadline_seconds=deadline_seconds, max_worker_bytes=max_worker_bytes)
        with ledger, pool:
            notes = list(_write_missing(out, source, plans, settings, ledger, pool, on_progress))
        coverage = coverage_of(source, notes, ledger.summary())
        _finish(out, job, source, notes, coverage)
    return coverage


def plan_shards(source: Source, clips_per_shard: int) -> list[PlannedShard]:
    """Deals the clips of each split to shards: in an order that mixes the classes and depends on the ids
    alone.
    """
    plans = []
    for split in SPLITS:
        entries = in_mixed_order(source.split(split).entries)
        groups = [
            tuple(entries[start : start + clips_per_shard])
            for start in range(0, len(entries), clips_per_shard)
        ]
        for number, group in enumerate(groups):
            plans.append(
                PlannedShard(f"{split}-{number:05d}-of-{len(groups):05d}{SHARD_SUFFIX}", split, group)
            )
    return plans


def _write_missing(
    out: str,
    source: Source,
    plans: Sequence[PlannedShard],
    settings: PackSettings,
    ledger: Ledger,
    pool: DecodePool,
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[ShardNote]:
    """Writes the shards that are not there yet; yields the notes of all, in order."""
    found = {plan.name: note for plan in plans if (note := read_note(out, plan)) is not None}
    tasks = (
        PackTask(entry, source.label_names, source.root_of(entry), settings, ledger.on_error)
        for plan in plans
        if plan.name not in found
        for entry in plan.entries
    )
    results = pool.map_ordered(pack_any_clip, tasks)
    ready, total = 0, sum(len(plan.entries) for plan in plans)
    with contextlib.closing(results):
        for plan in plans:
            note = found.get(plan.name)
            if note is None:
                arriving = _counted(islice(results, len(plan.entries)), ready, total, on_progress)
                note = write_shard(out, plan, arriving, ledger)
            else:
                settle_again(note, plan.entries, ledger)
            ready += len(plan.entries)
            yield note


def _counted(
    results: Iterable[Result], ready: int, total: int, on_progress: Callable[[int, int], None] | None
) -> Iterator[Result]:
    for count, result in enumerate(results, start=ready + 1):
        if on_progress is not None:
            on_progress(count, total)
        yield result


def _begin(out: str, job: dict[str, Any]) -> None:
    """Claims the folder for this job, or goes on with it, and removes what an interrupted run left half
    written.
    """
    work = os.path.join(out, WORK_FOLDER)
    job_path = os.path.join(work, JOB)
    present = sorted(name for name in os.listdir(out) if name != ".lock")
    if os.path.exists(job_path):
        _check_same_job(out, _read_json(job_path), job)
    elif set(present) - {WORK_FOLDER}:
        raise _refusal(
            out, f"`out` must be a new or empty folder. Received: a folder with {present[:5]}", "bad_schema"
        )
    else:
        with clear_write_errors(out):
            os.makedirs(work, exist_ok=True)
        with atomic_file(job_path) as file:
            file.write(json.dumps(job).encode())
    with clear_write_errors(out):
        for folder in (out, work):
            for name in os.listdir(folder):
                if name.endswith(TEMPORARY_SUFFIX) or name == FAULTS:
                    os.remove(os.path.join(folder, name))


def _finish(
    out: str, job: dict[str, Any], source: Source, notes: Sequence[ShardNote], coverage: dict[str, Any]
) -> None:
    """Writes the files beside the shards, and `COMPLETE` last."""
    index = {
        "format": FORMAT,
        "job": job,
        "settings": job["settings"],
        "multi_label": source.multi_label,
        "shards": [asdict(note.shard) for note in notes],
    }
    missing = (f"{part}\t{name}" for part, names in source.missing.items() for name in names)
    hashes = {}
    for name, lines in (
        (LABELS, [json.dumps(source.label_names, indent=1)]),
        (RECORDS, (json.dumps({"shard": n, **row}) for n, note in enumerate(notes) for row in note.records)),
        (INDEX, [json.dumps(index, indent=1)]),
        (COVERAGE, [json.dumps(coverage, indent=1)]),
        (COVERAGE_TEXT, coverage_text(coverage).splitlines()),
        *([(MISSING, missing)] if source.official else []),
    ):
        with atomic_file(os.path.join(out, name)) as file:
            for line in lines:
                file.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        hashes[name] = file.sha256
    with atomic_file(os.path.join(out, COMPLETE)) as file:
        file.write(json.dumps(hashes, indent=1).encode())
    shutil.rmtree(os.path.join(out, WORK_FOLDER), ignore_errors=True)


def _coverage_of_finished(out: str, job: dict[str, Any]) -> dict[str, Any]:
    open_shards(out)
    _check_same_job(out, _read_json(os.path.join(out, INDEX))["job"], job)
    shutil.rmtree(os.path.join(out, WORK_FOLDER), ignore_errors=True)  # stopped between the last two steps
    return _read_json(os.path.join(out, COVERAGE))


def _check_same_job(out: str, found: dict[str, Any], job: dict[str, Any]) -> None:
    if found != job:
        differing = sorted(key for key in job if found.get(key) != job[key])
        raise _refusal(
            out,
            f"`out` must be new or hold shards of the same job. Received: another {differing}",
            "bad_schema",
        )


def _refusal(out: str, message: str, reason: str) -> ShardError:
    return ShardError(
        message,
        path=out,
        stage="prepare",
        reason=reason,
        advice="Choose another folder, or delete this one first.",
    )


def _read_json(path: str) -> Any:
    with open(path, encoding="utf-8") as file:
        return json.load(file)
