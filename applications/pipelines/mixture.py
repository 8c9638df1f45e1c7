"""Several sources as one, to pre-train on: some of sound alone, some of pictures alone, some of both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.foreign_source import read_foreign_source
from zorro_keras.applications.pipelines.shards import is_shards
from zorro_keras.applications.pipelines.source_rows import ClipEntry
from zorro_keras.applications.pipelines.sources import Source, read_source


def read_sources(paths: Sequence[str | os.PathLike], *, test_fold: int | None = None) -> Source:
    """Reads what is to be packed: the source at a path, or several, joined by the names of their folders or
    files.

    Args:
        paths: sequence of str or path, at least one: shards of another library, or as for `read_source`.
        test_fold: optional int. For each path, as for `read_source`.

    Raises:
        ValueError: if there is no path.
        SourceError: if a source cannot be read or joined with the others.
    """
    if not paths:
        raise ValueError(f"`paths` must hold at least one path. Received: paths={paths}")
    if len(paths) == 1:
        return _read(paths[0], test_fold)
    path_of: dict[str, str] = {}
    for path in map(os.fspath, paths):
        name = os.path.basename(os.path.abspath(path))
        if name in path_of:
            raise SourceError(
                f"The sources must differ in their names. Received: {path_of[name]!r} and {path!r}",
                path=path, stage="read_source", reason="duplicate_id",
                advice="Rename one, or give a link to it that has another name.",
            )  # fmt: skip
        if is_shards(path):
            raise SourceError(
                "A mixture is made of sources, and these are packed already.",
                path=path, stage="read_source", reason="bad_schema",
                advice="Give the source that they were packed from.",
            )  # fmt: skip
        path_of[name] = path
    return joined({name: _read(path, test_fold) for name, path in path_of.items()})


def joined(sources: Mapping[str, Source]) -> Source:
    """Makes one source of several.

    Args:
        sources: dict from a name, without slashes, to a `Source`. Their order does not matter.

    Returns:
        A `Source` whose ids are `NAME/ID`. Every clip stays in its split. Data sets seldom have their classes
        in common, so that clips have labels only where all sources have the same `label_names`.

    Raises:
        ValueError: if there are no sources.
        SourceError: if a name cannot begin an id, or a clip is in two sources.
    """
    if not sources:
        raise ValueError(f"`sources` must hold at least one source. Received: sources={sources}")
    sources = dict(sorted(sources.items()))
    for name, source in sources.items():
        _check_name(name, source)
    _check_no_clip_is_shared(sources)
    label_names = _common_labels(sources)
    entries = (
        replace(entry, id=f"{name}/{entry.id}", label_indices=entry.label_indices if label_names else ())
        for name, source in sources.items()
        for entry in source.entries
    )
    return Source(
        entries=tuple(sorted(entries, key=lambda entry: entry.id)),
        label_names=label_names,
        multi_label=bool(label_names) and any(source.multi_label for source in sources.values()),
        root=os.path.commonpath([source.root for source in sources.values()]),
        ignored=tuple(f"{name}/{path}" for name, source in sources.items() for path in source.ignored),
        layout=f"mixture of {len(sources)}",
        official={f"{name}/{part}": n for name, s in sources.items() for part, n in s.official.items()},
        missing={f"{name}/{part}": ids for name, s in sources.items() for part, ids in s.missing.items()},
        sources=sources,
    )


def _read(path: str | os.PathLike, test_fold: int | None) -> Source:
    """The clips of a path. Shards of other libraries know no folds."""
    foreign = read_foreign_source(path) if test_fold is None else None
    return foreign or read_source(path, test_fold=test_fold)


def _common_labels(sources: Mapping[str, Source]) -> tuple[str, ...]:
    """The classes that all sources have, in one order; none where they differ."""
    found = {source.label_names for source in sources.values()}
    return found.pop() if len(found) == 1 else ()


def _check_name(name: str, source: Source) -> None:
    if not name or "/" in name or name != name.encode("utf-8", "ignore").decode():
        raise SourceError(
            f"The name of a source begins the ids of its clips, so it must be text without slashes. "
            f"Received: {name!r}",
            path=source.root, stage="read_source", reason="bad_encoding",
            advice="Rename it, or give a link to it that has another name.",
        )  # fmt: skip


def _check_no_clip_is_shared(sources: Mapping[str, Source]) -> None:
    """Refuses a clip given twice: it would be compared with itself, and might be tested after training."""
    first: dict[tuple[str, float | None, float | None], tuple[str, ClipEntry]] = {}
    for name, source in sources.items():
        for entry in source.entries:
            place = (entry.path, entry.start_seconds, entry.end_seconds)
            other, twin = first.setdefault(place, (name, entry))
            if twin is not entry:
                raise SourceError(
                    f"A clip must be in one source alone. Received: {other}/{twin.id} and {name}/{entry.id}",
                    path=entry.path, stage="read_source", reason="duplicate_id",
                    advice="Give sources of which none lies in another.",
                )  # fmt: skip
