"""What became of the clips of a source: used, shortened, without a stream, skipped, and why."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group
from rich.table import Table

from zorro_keras.applications.pipelines.shard_writer import ShardNote
from zorro_keras.applications.pipelines.sources import Source

FAULTS_SHOWN = 20
# Of each source of a mixture; the rest of the report is told of all of them together.
SOURCE_SECTIONS = ("layout", "official", "clips", "reasons", "streams", "seconds", "splits")


def coverage_of(source: Source, notes: Sequence[ShardNote], summary: dict[str, Any]) -> dict[str, Any]:
    """Puts the coverage report together.

    Args:
        source: `Source`.
        notes: the notes of all shards.
        summary: dict. What the ledger says.

    Returns:
        dict, ready for JSON: `layout` of the source and `official`, by list how many of its ids were `found`
        and how many are `listed`; `clips` (how many became what), `reasons` and `remarks` (how often each),
        `streams`, `seconds`, `splits` and `classes` (clips used in each), `ignored_files` and `faults` (every
        clip that was not used whole), and `sources`: by the name of each source of a mixture, its
        `SOURCE_SECTIONS`.
    """
    rows = [(note.shard.split, record) for note in notes for record in note.records]
    classes = Counter(label for _, record in rows for label in record["label_indices"])
    splits = Counter(split for split, _ in rows)
    remarks = Counter(row["remark"] for note in notes for row in note.remarks)
    return {
        "layout": source.layout,
        "official": {
            part: {"found": listed - len(source.missing.get(part, ())), "listed": listed}
            for part, listed in sorted(source.official.items())
        },
        "clips": {
            "listed": summary["expected"],
            "used_whole": summary["used"],
            "used_without_a_stream": summary["dropped_stream"],
            "skipped": summary["skipped"],
            "shortened": sum(len(note.shortened) for note in notes),
        },
        "reasons": summary["reasons"],
        "remarks": dict(sorted(remarks.items())),
        "streams": {
            "audio": sum(record["has_audio"] for _, record in rows),
            "video": sum(record["has_video"] for _, record in rows),
            "both": sum(record["has_audio"] and record["has_video"] for _, record in rows),
        },
        "seconds": round(sum(record["duration_seconds"] for _, record in rows), 3),
        "splits": dict(sorted(splits.items())),
        "classes": {name: classes[index] for index, name in enumerate(source.label_names)},
        "ignored_files": list(source.ignored),
        "faults": [fault for note in notes for fault in note.faults],
        "sources": {name: _of_one(name, part, notes) for name, part in sorted(source.sources.items())},
    }


def _of_one(name: str, source: Source, notes: Sequence[ShardNote]) -> dict[str, Any]:
    """The report on one source of a mixture: of the clips whose ids begin with its name."""
    own = [_of_ids_below(f"{name}/", note) for note in notes]
    faults = [fault for note in own for fault in note.faults]
    dropped = sum(fault["stream"] is not None for fault in faults)
    summary = {
        "expected": len(source.entries),
        "used": len(source.entries) - len(faults),
        "dropped_stream": dropped,
        "skipped": len(faults) - dropped,
        "reasons": dict(sorted(Counter(fault["error"]["reason"] for fault in faults).items())),
    }
    coverage = coverage_of(source, own, summary)
    return {section: coverage[section] for section in SOURCE_SECTIONS}


def _of_ids_below(prefix: str, note: ShardNote) -> ShardNote:
    rows = (
        [row for row in rows if row["id"].startswith(prefix)]
        for rows in (note.records, note.faults, note.remarks)
    )
    records, faults, remarks = rows
    shortened = [clip_id for clip_id in note.shortened if clip_id.startswith(prefix)]
    return ShardNote(note.shard, records, faults, shortened, remarks)


def coverage_view(coverage: dict[str, Any]) -> Group:
    """The report as something `rich` can print: counts, those of each source, the first faults."""
    table = Table("clips", coverage["layout"], title="Coverage", title_justify="left")
    for line in _official_lines(coverage):
        table.add_row("official ids", line)
    for section in ("clips", "reasons", "remarks", "streams", "splits", "classes"):
        for name, count in coverage[section].items():
            table.add_row(f"{section}: {name.replace('_', ' ')}", str(count))
    table.add_row("hours", f"{coverage['seconds'] / 3600:.2f}")
    table.add_row("files ignored", str(len(coverage["ignored_files"])))
    faults = Table("clip", "stream", "reason", title="Not used whole", title_justify="left")
    for fault in coverage["faults"][:FAULTS_SHOWN]:
        faults.add_row(fault["id"], fault["stream"] or "all", fault["error"]["reason"])
    if len(coverage["faults"]) > FAULTS_SHOWN:
        faults.add_row(f"... and {len(coverage['faults']) - FAULTS_SHOWN} more", "", "")
    tables = [table]
    if coverage["sources"]:
        tables.append(_sources_view(coverage["sources"]))
    return Group(*tables, faults) if coverage["faults"] else Group(*tables)


def _sources_view(sources: dict[str, Any]) -> Table:
    """A row for each source of a mixture."""
    heads = ("listed", "whole", "in part", "skipped", "audio", "video", "both", "hours")
    table = Table("source", "layout", *heads, title="Sources", title_justify="left")
    for name, section in sources.items():
        clips, streams = section["clips"], section["streams"]
        counts = (clips["listed"], clips["used_whole"], clips["used_without_a_stream"], clips["skipped"])
        hours = f"{section['seconds'] / 3600:.2f}"
        table.add_row(name, section["layout"], *map(str, (*counts, *streams.values())), hours)
    return table


def _official_lines(coverage: dict[str, Any]) -> list[str]:
    """How many ids of the official lists were found: of all, then of each, if they are several."""
    lists = coverage["official"]
    if not lists:
        return []
    whole = {key: sum(counts[key] for counts in lists.values()) for key in ("found", "listed")}
    named = {coverage["layout"]: whole, **(lists if len(lists) > 1 else {})}
    return [
        f"{name}: found {counts['found']:,} of {counts['listed']:,} official ids"
        for name, counts in named.items()
    ]


def coverage_text(coverage: dict[str, Any]) -> str:
    """The report as plain text."""
    page = io.StringIO()
    Console(file=page, width=100, color_system=None).print(coverage_view(coverage))
    return page.getvalue()
