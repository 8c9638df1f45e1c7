"""Writes shard files, each with a note of what it holds, so that work begun can be finished."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from zorro_keras.applications.pipelines.atomic_files import atomic_file
from zorro_keras.applications.pipelines.faults import Ledger, MediaError, ZorroError
from zorro_keras.applications.pipelines.pack_clip import PackedRecord, PackTask
from zorro_keras.applications.pipelines.shards import WORK_FOLDER, Shard, file_sha256
from zorro_keras.applications.pipelines.source_rows import ClipEntry


@dataclass(frozen=True)
class PlannedShard:
    """A shard file to write and the clips meant for it."""

    name: str
    split: str
    entries: tuple[ClipEntry, ...]


@dataclass
class ShardNote:
    """What became of a planned shard.

    Attributes:
        shard: `Shard`, the row of the index.
        records: list of dicts, one for each record, as in the list of records.
        faults: list of dicts with `id`, `stream` (`None` where the clip was skipped) and `error`.
        shortened: list of ids whose clips were longer than what was packed.
        remarks: list of dicts with `id` and `remark`: what is uncommon about clips that were used.
    """

    shard: Shard
    records: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    shortened: list[str] = field(default_factory=list)
    remarks: list[dict[str, str]] = field(default_factory=list)


def write_shard(
    out: str,
    plan: PlannedShard,
    results: Iterable[tuple[PackTask, PackedRecord | ZorroError]],
    ledger: Ledger,
) -> ShardNote:
    """Writes one shard from packed clips as they arrive, then its note.

    Args:
        out: str. Folder.
        plan: `PlannedShard`.
        results: pairs of task and result, one for each entry of the plan, in order.
        ledger: `Ledger`. Settles each clip; may raise to stop the run.

    Returns:
        `ShardNote`.

    Raises:
        ShardError: If the disk is full or the folder not writable. Shards finished before stay.
    """
    records, faults, shortened, remarks = [], [], [], []
    with atomic_file(os.path.join(out, plan.name)) as file:
        for task, result in results:
            fault = _settle(ledger, task.entry.id, result)
            if fault is not None:
                faults.append(fault)
            if isinstance(result, ZorroError):
                continue
            if result.is_shortened:
                shortened.append(task.entry.id)
            remarks.extend({"id": task.entry.id, "remark": remark} for remark in result.remarks)
            records.append(_record_row(task.entry, result, file.num_bytes))
            file.write(result.record)
    shard = Shard(plan.name, plan.split, len(records), file.num_bytes, file.sha256)
    note = ShardNote(shard, records, faults, shortened, remarks)
    with atomic_file(_note_path(out, plan)) as file:
        file.write(json.dumps(asdict(note)).encode())
    return note


def read_note(out: str, plan: PlannedShard) -> ShardNote | None:
    """The note of a shard that an earlier run finished, or `None` where there is none or the shard
    differs from it.
    """
    try:
        with open(_note_path(out, plan), encoding="utf-8") as file:
            fields = json.load(file)
        shard = Shard(**fields.pop("shard"))
        intact = file_sha256(os.path.join(out, plan.name)) == shard.sha256
    except FileNotFoundError:
        return None
    return ShardNote(shard, **fields) if intact else None


def settle_again(note: ShardNote, entries: Sequence[ClipEntry], ledger: Ledger) -> None:
    """Repeats in a new ledger what the note says about the clips of its shard."""
    faults = {fault["id"]: fault for fault in note.faults}
    for entry in entries:
        fault = faults.get(entry.id)
        if fault is None:
            ledger.use(entry.id)
            continue
        details = {name: value for name, value in fault["error"].items() if name != "error"}
        _enter(ledger, entry.id, fault["stream"], MediaError(details.pop("message"), **details))


def _settle(ledger: Ledger, clip_id: str, result: PackedRecord | ZorroError) -> dict[str, Any] | None:
    if isinstance(result, ZorroError):
        stream, error = None, result
    elif result.lost:
        stream, error = result.lost[0]
    else:
        ledger.use(clip_id)
        return None
    _enter(ledger, clip_id, stream, error)
    return {"id": clip_id, "stream": stream, "error": error.to_json()}


def _enter(ledger: Ledger, clip_id: str, stream: str | None, error: ZorroError) -> None:
    if stream is None:
        ledger.skip(clip_id, error)
    else:
        ledger.drop_stream(clip_id, stream, error)


def _record_row(entry: ClipEntry, packed: PackedRecord, offset_bytes: int) -> dict[str, Any]:
    return {
        "offset_bytes": offset_bytes,
        "length_bytes": len(packed.record),
        "id": entry.id,
        "duration_seconds": packed.duration_seconds,
        "has_audio": packed.has_audio,
        "has_video": packed.has_video,
        "label_indices": list(entry.label_indices),
    }


def _note_path(out: str, plan: PlannedShard) -> str:
    return os.path.join(out, WORK_FOLDER, f"{plan.name}.json")
