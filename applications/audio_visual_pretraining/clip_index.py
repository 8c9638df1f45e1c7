"""The folder of an index: embeddings of clips, what the clips are, and the model that made them.

`index.json` says of what format it is and how many clips have what; `clips.json` has an entry for each clip;
`HEAD.npy`, float32 `(N, E)`, the embeddings of one head in the order of the clips; `faults.jsonl` what could
not be read; and `preset/` the model, so that the index can be searched where the run is gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zorro_keras.applications.pipelines.faults import ConfigError, SourceError
from zorro_keras.applications.training.replaced_folder import check_replaceable, replacing_folder
from zorro_keras.applications.training.run_folder import full_disk_named

_ANY_FORMAT = "zorro_keras clip index "
FORMAT = f"{_ANY_FORMAT}1"
ABOUT, CLIPS, PRESET, FAULTS = "index.json", "clips.json", "preset", "faults.jsonl"


@dataclass(frozen=True)
class ClipIndex:
    """An index that can be searched.

    Attributes:
        path: the folder.
        about: what `index.json` says.
        clips: list of N dicts: `id`; `labels`, names; `presence`, by stream; and either `path`,
            `start_seconds` and `end_seconds` of a media file, and of a clip of several files `parts`, those
            of its `pictures` and its `sound`; or `shard_path` and `offset_bytes`.
        embeddings: dict of head to float32 `(N, E)`, mapped from the disk; NaN where a clip lacks what the
            head is of.
    """

    path: Path
    about: dict[str, Any]
    clips: list[dict[str, Any]]
    embeddings: dict[str, np.ndarray]


def open_index(path: str | os.PathLike[str]) -> ClipIndex:
    """Opens an index, and checks that its parts belong together.

    Raises:
        ConfigError: if the folder holds no index, or one of another format.
        SourceError: if the index is damaged.
    """
    path = Path(path)
    about = _about(path)
    try:
        clips = json.loads((path / CLIPS).read_text(encoding="utf-8"))
        embeddings = {head: np.load(path / f"{head}.npy", mmap_mode="r") for head in about["heads"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"a part cannot be read: {error}") from error
    if wrong := [head for head, vectors in embeddings.items() if vectors.shape[:1] != (len(clips),)]:
        raise _damaged(path, f"{wrong[0]}.npy holds other than {len(clips)} clips")
    return ClipIndex(path, about, clips, embeddings)


class EmbeddingFiles:
    """Writes the embeddings of an index batch by batch, in constant memory.

    Args:
        folder: of the index.
        num_clips: int. N.
    """

    def __init__(self, folder: Path, num_clips: int) -> None:
        self.folder, self.num_clips = folder, num_clips

    def append(self, embeddings: Mapping[str, np.ndarray]) -> None:
        """Adds rows `(B, E)` to the file of each head.

        Raises:
            CheckpointError: if the disk is full.
        """
        for head, vectors in embeddings.items():
            path = self.folder / f"{head}.npy"
            with full_disk_named(path), open(path, "ab") as file:
                if not file.tell():
                    shape = (self.num_clips, vectors.shape[1])
                    about = {"descr": "<f4", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, about)
                file.write(np.ascontiguousarray(vectors, "<f4").tobytes())


@contextmanager
def writing_index(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a folder to write an index into, which takes its name once the block has ended well.

    An earlier index there is replaced.

    Raises:
        ConfigError: if something else is there, or the folder cannot be made.
        CheckpointError: if the index cannot take its name.
    """
    path = Path(os.path.abspath(path))
    check_replaceable(
        path, "`index` must be a new folder or hold an earlier index", earlier=_is_index(path),
        names=(ABOUT, CLIPS, PRESET, FAULTS, "*.npy"), stage="embed",
    )  # fmt: skip
    with replacing_folder(path) as new:
        new.mkdir()
        yield new


def _is_index(path: Path) -> bool:
    """Whether a folder holds an index, of any version: other folders have an `index.json`, too."""
    try:
        about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and str(about.get("format")).startswith(_ANY_FORMAT)


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(
            "This folder holds no index: it has no index.json.",
            path=path, stage="search", reason="missing_file",
            advice="Make one: `zorro-keras embed SOURCE INDEX --model RUN`.",
        ) from None  # fmt: skip
    except (OSError, ValueError) as error:
        raise _damaged(path, f"index.json cannot be read: {error}") from error
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT:
        raise ConfigError(
            f"The index must be of the format {FORMAT!r}. Received: {found!r}",
            path=path, stage="search", reason="bad_schema",
            advice="Make it again with this version: `zorro-keras embed`.",
        )  # fmt: skip
    return about


def _damaged(path: Path, what: str) -> SourceError:
    return SourceError(
        f"The index is damaged: {what}.", path=path, stage="search", reason="bad_schema",
        advice="Make it again: `zorro-keras embed`.",
    )  # fmt: skip
