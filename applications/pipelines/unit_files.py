"""Battles in files: npz arrays and TFRecord examples, indexed once and then read one by one.

npz: `units` `(B, M, F)` or, of one battle, `(M, F)`; `padding_mask` and `selected` `(B, M)` or `(M,)`.
TFRecord, one `tf.train.Example` a battle: `units`, floats, M x F, unit after unit; `padding_mask` and
`selected`, ints, M. Of both only `units` must be there; a mask that is not says that every slot is real.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zorro_keras.applications.pipelines.atomic_files import atomic_file
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.tfrecord import FRAME_BYTES, frame_record, unframe_record
from zorro_keras.applications.pipelines.unit_battle import Battle

SUFFIXES = (".npz", ".tfrecord")
KEYS = ("units", "padding_mask", "selected")
MAX_RECORD_BYTES = 1 << 26


def unit_paths(source: str | os.PathLike[str]) -> list[Path]:
    """The file `source`, or all files of battles in the folder `source` and below it, sorted.

    Raises:
        SourceError: if there is no such file, or none in the folder.
    """
    source = Path(source)
    if not source.exists():
        raise SourceError(
            "There is no such file or folder.", path=source, stage="read_units", reason="missing_file"
        )
    paths = [source] if source.is_file() else sorted(source.rglob("*"))
    paths = [path for path in paths if path.is_file() and path.suffix in SUFFIXES]
    if not paths:
        raise SourceError(
            f"There are no battles: files must end in {' or '.join(SUFFIXES)}.",
            path=source, stage="read_units", reason="empty_source", advice="See the README of the task.",
        )  # fmt: skip
    return paths


class NpzFile:
    """The battles of an npz file, held in memory.

    Args:
        path: of the file.

    Raises:
        SourceError: if it is no npz file, `units` is missing or of another rank, the arrays do not go
            together, or there is no battle.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Opened here: `numpy` leaves a damaged file open.
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in KEYS if name in arrays.files}
        except Exception as error:  # of numpy, zipfile and zlib: a dozen classes
            raise _unreadable(path, f"The file is not a readable npz file: {error}") from error
        if "units" not in found:
            raise _unreadable(path, "The file holds no array `units`.", "missing_column")
        if found["units"].ndim not in (2, 3):
            raise _unreadable(
                path,
                f"`units` must have the shape (B, M, F) or (M, F). Received: {found['units'].shape}",
                "bad_schema",
            )
        if found["units"].ndim == 2:
            found = {name: values[None] for name, values in found.items()}
        lengths = {name: len(values) if values.ndim else 0 for name, values in found.items()}
        if len(set(lengths.values())) > 1:
            raise _unreadable(
                path, f"All arrays must hold as many battles. Received: {lengths}", "bad_schema"
            )
        if not lengths["units"]:
            raise _unreadable(path, "The file holds no battle.", "empty_source")
        self.arrays = found

    def __len__(self) -> int:
        return len(self.arrays["units"])

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        return {name: values[row] for name, values in self.arrays.items()}


class TFRecordFile:
    """The battles of a TFRecord file, read from the disk each time; both checksums are verified.

    Args:
        path: of the file.
        num_features: int. F.

    Raises:
        SourceError: if the file is cut, or holds no record.
    """

    def __init__(self, path: Path, num_features: int) -> None:
        self.path, self.num_features = path, num_features
        self._offsets = list(self._walk())  # and the end of the file
        if not len(self):
            raise _unreadable(path, "The file holds no battle.", "zero_length")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        begin, end = self._offsets[row : row + 2]
        with open(self.path, "rb") as file:
            file.seek(begin)
            payload = unframe_record(file.read(end - begin))
        if payload is None:
            raise _unreadable(self.path, "A record is damaged.", "checksum", row)
        return _arrays_of(payload, self.num_features, self.path, row)

    def _walk(self) -> Iterator[int]:
        size, offset = self.path.stat().st_size, 0
        with open(self.path, "rb") as file:
            while offset < size:
                yield offset
                head = file.read(8)
                length = struct.unpack("<Q", head)[0] if len(head) == 8 else MAX_RECORD_BYTES + 1
                offset += FRAME_BYTES + length
                if length > MAX_RECORD_BYTES or offset > size:
                    raise _unreadable(self.path, "The file is cut, or not a TFRecord file.", "truncated")
                file.seek(offset)
        yield size


def open_unit_file(path: Path, num_features: int) -> NpzFile | TFRecordFile:
    """Opens a file of battles: a sequence of dicts of arrays, not checked yet."""
    return NpzFile(path) if path.suffix == ".npz" else TFRecordFile(path, num_features)


def write_battles(path: str | os.PathLike[str], battles: Sequence[Battle]) -> None:
    """Writes battles as npz or TFRecord, by the suffix: whole or not at all, the same bytes each time.

    Raises:
        ValueError: if there is no battle, the suffix is another, or some battles have labels and some not.
    """
    path, labelled = Path(path), {battle.selected is not None for battle in battles}
    if len(labelled) != 1 or path.suffix not in SUFFIXES:
        raise ValueError(
            f"Give at least one battle, labels for all or for none, and a suffix of {list(SUFFIXES)}. "
            f"Received: {len(battles)} battles, path={str(path)!r}"
        )
    with atomic_file(str(path)) as file:
        if path.suffix == ".npz":
            file.write(_npz_bytes(_padded(battles)))
        else:
            for battle in battles:
                file.write(frame_record(_example(battle)))


def battle_digest(battle: Battle) -> bytes:
    """Returns a hash of a battle's values and labels."""
    digest = hashlib.sha256(struct.pack("<QQ", *battle.units.shape))
    digest.update(np.ascontiguousarray(battle.units, "<f4").tobytes())
    digest.update(b"-" if battle.selected is None else battle.selected.tobytes())
    return digest.digest()


def _padded(battles: Sequence[Battle]) -> dict[str, np.ndarray]:
    most, (_, num_features) = max(len(battle.units) for battle in battles), battles[0].units.shape
    arrays: dict[str, np.ndarray] = {
        "units": np.zeros((len(battles), most, num_features), np.float32),
        "padding_mask": np.zeros((len(battles), most), bool),
    }
    if battles[0].selected is not None:
        arrays["selected"] = np.zeros((len(battles), most), bool)
    for row, battle in enumerate(battles):
        arrays["units"][row, : len(battle.units)] = battle.units
        arrays["padding_mask"][row, : len(battle.units)] = True
        if battle.selected is not None:
            arrays["selected"][row, : len(battle.units)] = battle.selected
    return arrays


def _npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()  # `numpy` puts a fixed date on what is inside, so equal arrays are equal bytes
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _example(battle: Battle) -> bytes:
    import tensorflow as tf

    def ints(values: np.ndarray) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values.astype(int).tolist()))

    feature = {
        "units": tf.train.Feature(float_list=tf.train.FloatList(value=battle.units.ravel().tolist())),
        "padding_mask": ints(np.ones(len(battle.units), bool)),
    }
    if battle.selected is not None:
        feature["selected"] = ints(battle.selected)
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def _arrays_of(payload: bytes, num_features: int, path: Path, row: int) -> dict[str, np.ndarray]:
    import tensorflow as tf

    try:
        found = tf.train.Example.FromString(payload).features.feature
    except Exception as error:  # of protobuf, which says it in a class of its own
        raise _unreadable(path, "A record is no tf.train.Example.", "bad_record", row) from error
    if "units" not in found:
        raise _unreadable(path, "A record holds no `units`.", "missing_column", row)
    values = np.array(found["units"].float_list.value, np.float32)
    if len(values) % num_features or not len(values):
        raise _unreadable(
            path,
            f"`units` of a record must be {num_features} floats a unit. Received: {len(values)} floats",
            "bad_schema", row,
        )  # fmt: skip
    arrays = {"units": values.reshape(-1, num_features)}
    marks = {name: found[name].int64_list.value for name in KEYS[1:] if name in found}
    return {**arrays, **{name: np.array(values, np.int64) for name, values in marks.items()}}


def _unreadable(path: Path, message: str, reason: str = "corrupt", row: int | None = None) -> SourceError:
    return SourceError(
        message, path=path, row=None if row is None else f"battle {row}", stage="read_units", reason=reason,
        advice="See the README of starcraft_units for what such a file holds.",
    )  # fmt: skip
