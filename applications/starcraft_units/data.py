"""Batches of battles, and which units of each are selected.

Everything is a function of (seed, step): a data set built at `start_step=k` gives, byte for byte, what
another gives after k batches.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.batch_rows import WHOLE, BatchPart
from zorro_keras.applications.pipelines.batches import counted
from zorro_keras.applications.pipelines.battle_generated import generate_battles
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.held_out import is_held_out
from zorro_keras.applications.pipelines.host_errors import FaultSlot, watched_dataset
from zorro_keras.applications.pipelines.unit_battle import Battle, checked_battle
from zorro_keras.applications.pipelines.unit_files import battle_digest, open_unit_file, unit_paths
from zorro_keras.applications.starcraft_units.config import Config
from zorro_keras.applications.starcraft_units.feature_tables import feature_table
from zorro_keras.applications.starcraft_units.preprocessor import UnitPreprocessor, pad_battles
from zorro_keras.streams import EntityFeature

SPLITS = ("train", "test")


@dataclass(frozen=True)
class UnitData:
    """Opened battles.

    Attributes:
        files: the opened files.
        features: what the columns of `units` hold.
        num_units: int. The most real units of a battle.
        places: dict of split to int `(N, 2)`: file and row of each battle.
        fingerprint: str. Hash of the battles, their order and split, and of the features.
        faults: holds an error that ended a reading.
    """

    files: tuple[Any, ...]
    features: tuple[EntityFeature, ...]
    num_units: int
    places: dict[str, np.ndarray]
    fingerprint: str
    faults: FaultSlot = field(default_factory=FaultSlot, compare=False)

    @property
    def num_train(self) -> int:
        """Battles of one pass of training."""
        return len(self.places["train"])

    def battle(self, place: Sequence[int]) -> Battle:
        """Returns the battle in a row of a file.

        Raises:
            SourceError: if it is not what it was when the data were opened: damaged, or wrong.
        """
        file, row = self.files[place[0]], int(place[1])
        return checked_battle(file[row], self.features, self.num_units, path=file.path, row=row)


def default_data(out_dir: str | Path) -> Path:
    """Writes the battles that `tiny` learns: 20,000 to train and 2,000 to test."""
    return generate_battles(out_dir)


def open_data(path: str | Path, config: Config, *, splits: Sequence[str] = SPLITS) -> UnitData:
    """Opens an npz or TFRecord file of battles, or a folder of them, and checks every battle first.

    A file belongs to the split that its name or its folder begins with, `train` or `test`. Where no file says
    so, a battle is held out by a hash of its values: equal battles are never on both sides.

    Args:
        path: see `unit_files` for what such files hold.
        config: `Config`.
        splits: those that may not be empty.

    Raises:
        SourceError: if a file cannot be read, a battle is not as `checked_battle` wants it or has no
            `selected`, or a split is empty.
        ConfigError: if there is no such table of features.
    """
    features, most = feature_table(config.data.features), config.data.num_units
    paths = unit_paths(path)
    named = [split_of(file.relative_to(path) if file != Path(path) else Path(file.name)) for file in paths]
    if any(named) and not all(named):
        bad = paths[named.index(None)]
        raise SourceError(
            "Some files say their split by their names, and this one does not.",
            path=bad, stage="open", reason="bad_split", advice="Begin its name with `train` or `test`.",
        )  # fmt: skip
    files = tuple(open_unit_file(file, len(features)) for file in paths)
    places: dict[str, list[tuple[int, int]]] = {split: [] for split in SPLITS}
    digest = hashlib.sha256(json.dumps([feature.get_config() for feature in features]).encode())
    for number, (file, split) in enumerate(zip(files, named, strict=True)):
        for row in range(len(file)):
            battle = checked_battle(file[row], features, most, path=file.path, row=row)
            if battle.selected is None:
                raise SourceError(
                    "The battle does not say which units are selected.", path=file.path, row=f"battle {row}",
                    stage="open", reason="missing_column", advice="Give an array `selected`.",
                )  # fmt: skip
            code = battle_digest(battle)
            side = split or ("test" if is_held_out(code, config.data.test_fraction) else "train")
            places[side].append((number, row))
            digest.update(code + side.encode())
    for side in splits:
        if not places[side]:
            raise SourceError(
                f"No battle is in the {side} split, of {sum(map(len, places.values()))}.",
                path=path, stage="open", reason="empty_source",
                advice="Give more battles, name files `train...` and `test...`, or change "
                "`data.test_fraction`. `evaluate --whole` measures on all of battles that the run was not "
                "trained on.",
            )  # fmt: skip
    arrays = {side: np.array(found, np.int64).reshape(-1, 2) for side, found in places.items()}
    return UnitData(files, features, most, arrays, digest.hexdigest())


def split_of(path: Path) -> str | None:
    """The split that the name of a file, or of one of its folders, begins with; `None` for neither."""
    for part in path.parts:
        if found := re.match(r"(train|test)(?![a-z])", part.lower()):
            return found[1]
    return None


def training_dataset(
    data: UnitData,
    config: Config,
    preprocessor: UnitPreprocessor,
    *,
    start_step: int = 0,
    part: BatchPart = WHOLE,
) -> tf.data.Dataset:
    """The endless batches of training, all of one shape.

    Args:
        data: `UnitData`.
        config: `Config`.
        preprocessor: `UnitPreprocessor`, which has the features of the data.
        start_step: int. The first step to give: 0, or the number of steps already done.
        part: `BatchPart`. The part of each batch to read and give.

    Returns:
        Infinite dataset of `(x, y, sample_weight)`: `x["units"]` float32 `(B, M, F)`,
        `x["padding_mask"]["units"]` bool `(B, M)`, `y` float32 `(B, M)`, and `sample_weight` float32
        `(B, M)`, 1 for real units. With `data.alone`, `(B * M, 1, F)` and so on.

    Raises:
        ValueError: if `start_step` is negative.
    """
    if start_step < 0:
        raise ValueError(f"`start_step` must not be negative. Received: start_step={start_step}")
    seed, batch_size, places = config.training.seed, config.training.batch_size, data.places["train"]
    rows = part.rows(batch_size)

    def batches() -> Iterator[Any]:
        position = start_step * batch_size
        order = _order(len(places), seed, position)
        while True:
            numbers = [next(order) for _ in range(batch_size)]
            battles = [data.battle(places[numbers[row]]) for row in rows.numbers]
            yield _batch(battles, len(rows), data, config)

    return _dataset(batches, len(rows), data, config)


def evaluation_dataset(
    data: UnitData, config: Config, preprocessor: UnitPreprocessor, *, whole: bool = False
) -> tuple[tf.data.Dataset, range]:
    """The battles of the test split once, in their order.

    Args:
        data, config, preprocessor: as for `training_dataset`.
        whole: bool. All battles of both splits, for data that no one was trained on.

    Returns:
        A dataset of `(x, y, sample_weight)`, and the numbers of its battles. The last batch is filled up with
        battles without a real unit, whose weights are 0.
    """
    places = np.concatenate([data.places[side] for side in SPLITS]) if whole else data.places["test"]
    batch_size = config.training.batch_size

    def batches() -> Iterator[Any]:
        for start in range(0, len(places), batch_size):
            battles = [data.battle(place) for place in places[start : start + batch_size]]
            yield _batch(battles, batch_size, data, config)

    dataset = _dataset(batches, batch_size, data, config)
    return counted(dataset, batch_size, len(places)), range(len(places))


def _order(num_battles: int, seed: int, position: int) -> Iterator[int]:
    """Yields numbers of battles without end; each pass is another shuffle, a function of (seed, pass)."""
    epoch, place = divmod(position, num_battles)
    while True:
        order = np.random.default_rng([seed, epoch]).permutation(num_battles)
        yield from order[place:].tolist()
        epoch, place = epoch + 1, 0


def _batch(
    battles: Sequence[Battle], batch_size: int, data: UnitData, config: Config
) -> tuple[Any, Any, Any]:
    blank = np.zeros((0, len(data.features)), np.float32)
    missing = batch_size - len(battles)
    x = pad_battles([battle.units for battle in battles] + [blank] * missing, data.num_units, data.num_units)
    units, real = x["units"], x["padding_mask"]["units"]
    selected = np.zeros(real.shape, np.float32)
    for row, battle in enumerate(battles):
        selected[row, : len(battle.units)] = battle.selected
    if config.data.alone:
        units, real, selected = (a.reshape(-1, 1, *a.shape[2:]) for a in (units, real, selected))
    return {"units": units, "padding_mask": {"units": real}}, selected, real.astype(np.float32)


def _dataset(
    batches: Callable[[], Iterator[Any]], batch_size: int, data: UnitData, config: Config
) -> tf.data.Dataset:
    shape = (batch_size, data.num_units)
    shape = (shape[0] * shape[1], 1) if config.data.alone else shape
    x = {
        "units": tf.TensorSpec((*shape, len(data.features)), tf.float32),
        "padding_mask": {"units": tf.TensorSpec(shape, tf.bool)},
    }
    signature = (x, tf.TensorSpec(shape, tf.float32), tf.TensorSpec(shape, tf.float32))
    return watched_dataset(batches, signature, data.faults).prefetch(tf.data.AUTOTUNE)
