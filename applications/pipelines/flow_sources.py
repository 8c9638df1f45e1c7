"""Lists of pairs of frames with flow: the public data sets in their own layouts, or a plain folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.flow_entry import FlowEntry
from zorro_keras.applications.pipelines.flow_layouts import (
    autoflow,
    flying_chairs,
    flying_things,
    kitti,
    sintel,
)
from zorro_keras.applications.pipelines.flow_triples import triples
from zorro_keras.applications.pipelines.held_out import held_out

Layout = Callable[[Path], Iterator[FlowEntry] | None]
# In the order in which they are tried: a plain folder is what is none of the others.
LAYOUTS: dict[str, Layout] = {
    "sintel": sintel,
    "flying_chairs": flying_chairs,
    "flying_things": flying_things,
    "kitti": kitti,
    "autoflow": autoflow,
    "triples": triples,
}


@dataclass(frozen=True)
class FlowSource:
    """A checked list of pairs.

    Attributes:
        layout: str. Key of `LAYOUTS`.
        entries: tuple of `FlowEntry`, in order of their ids, each with a split.
        root: str. Folder that holds all files.
        names_splits: bool. Whether the source says itself what is for training.
    """

    layout: str
    entries: tuple[FlowEntry, ...]
    root: str
    names_splits: bool

    def split(self, name: str | None) -> tuple[FlowEntry, ...]:
        """The pairs of a split; of all for `None`.

        Raises:
            SourceError: if there are none.
        """
        entries = tuple(entry for entry in self.entries if name in (None, entry.split))
        if not entries:
            filled = sorted({entry.split for entry in self.entries})
            raise SourceError(
                f"`split` must be one that holds pairs: {filled}. Received: split={name!r}",
                path=self.root, stage="open", reason="empty_source",
                advice="Set `data.test_fraction`, or use data with that split. `evaluate --whole` measures "
                "on all of pairs that the run was not trained on.",
            )  # fmt: skip
        return entries

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, splits and sizes of the files: the same data, wherever they lie."""
        digest = hashlib.sha256()
        for entry in self.entries:
            sizes = [os.path.getsize(path) for path in entry.files]
            digest.update(json.dumps([entry.id, entry.split, sizes]).encode())
        return digest.hexdigest()


def read_flow_source(
    path: str | os.PathLike[str], *, test_fraction: float = 0.1, seed: int = 0
) -> FlowSource:
    """Finds the pairs of a data set, whose layout is recognised.

    Args:
        path: str or path. The folder of Sintel, FlyingChairs, FlyingThings3D, KITTI 2015 or AutoFlow, or one
            with triples `NAME_1.png NAME_2.png NAME_flow.flo`; see `flow_layouts` and `flow_triples`.
        test_fraction: float in [0, 1]. Share of the scenes put into the split "test" where the source names
            no splits. Frames of one scene stay together.
        seed: int. Chooses that share.

    Raises:
        SourceError: if the folder has none of the layouts, is empty, lacks a file that belongs to a pair, or
            names the split of some pairs and not of others.
    """
    root = Path(path)
    if not root.is_dir():
        raise SourceError(
            "Pairs of frames are read from a folder.", path=path, stage="read_source", reason="missing_file"
        )
    tried = ((name, layout(root)) for name, layout in LAYOUTS.items())
    name, found = next((which for which in tried if which[1] is not None), ("", ()))
    entries = sorted(found, key=lambda entry: entry.id)
    if not entries:
        raise SourceError(
            f"The folder holds no pairs of frames with flow in a known layout: {', '.join(LAYOUTS)}.",
            path=path, stage="read_source", reason="empty_source",
            advice="Name the files NAME_1.png, NAME_2.png and NAME_flow.flo, or see the README of the task.",
        )  # fmt: skip
    _check(entries, path)
    names_splits = bool(entries[0].split)
    return FlowSource(
        name,
        tuple(entries if names_splits else _deal_splits(entries, test_fraction, seed)),
        os.path.realpath(root),
        names_splits,
    )


def _deal_splits(entries: list[FlowEntry], test_fraction: float, seed: int) -> list[FlowEntry]:
    """Puts a share of the scenes into `test`, at least one of several: the same for one seed."""
    scenes = {entry.scene for entry in entries}
    digests = {scene: hashlib.sha256(f"{seed} {scene}".encode()).digest() for scene in scenes}
    tested = held_out(digests, test_fraction)
    return [replace(entry, split="test" if entry.scene in tested else "train") for entry in entries]


def _check(entries: list[FlowEntry], path: str | os.PathLike[str]) -> None:
    twice = [one.id for one, other in pairwise(entries) if one.id == other.id]
    if twice:
        raise SourceError(
            f"{len(twice)} pairs are listed twice, the first: {twice[:5]}.",
            path=path, stage="read_source", reason="duplicate_id",
        )  # fmt: skip
    # Dealing out the others would train on pairs that a person put where they are measured, or the reverse.
    others = [entry.id for entry in entries if not entry.split]
    if 0 < len(others) < len(entries):
        raise SourceError(
            f"Some pairs lie in a folder of a split, and {len(others)} do not, the first: {others[:5]}.",
            path=path, stage="read_source", reason="bad_split",
            advice="Put every pair into a folder such as `train`, `val` or `test`, or none of them.",
        )  # fmt: skip
    missing = [file for entry in entries for file in entry.files if not os.path.isfile(file)]
    if missing:
        raise SourceError(
            f"{len(missing)} files that belong to pairs are missing, the first: {missing[:5]}.",
            path=path, stage="read_source", reason="missing_file",
            advice="Extract the data set again, or remove what is left of these pairs.",
        )  # fmt: skip
