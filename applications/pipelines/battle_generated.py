"""Battles whose orders no unit knows by itself: own units strike the most wounded enemy in their reach."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zorro_keras.applications.pipelines.unit_battle import Battle
from zorro_keras.applications.pipelines.unit_files import write_battles
from zorro_keras.streams import EntityFeature

MAP_SIZE = 64
REACH = (12, 18, 25, 32, 40)  # of each type, in cells of the map
OWN, ENEMY = 1, 4  # as PySC2 counts alliances
_MOST_PER_SIDE, _FEWEST_PER_SIDE = 12, 4
_HEALTH_GAP = 13  # of 255, between the most wounded enemy and the next: no tie, and no hair's breadth

# PySC2's names and ranges. The last three say nothing about the order.
BATTLE_FEATURES = (
    EntityFeature("unit_type", "categorical", num_values=len(REACH)),
    EntityFeature("alliance", "categorical", num_values=5),
    EntityFeature("health_ratio", "scaled", scale=255.0),
    EntityFeature("x", "scaled", scale=float(MAP_SIZE)),
    EntityFeature("y", "scaled", scale=float(MAP_SIZE)),
    EntityFeature("weapon_cooldown", "scaled", scale=32.0),
    EntityFeature("is_on_screen", "binary"),
    EntityFeature("tag", "ignored"),
)
_COLUMNS = {feature.name: column for column, feature in enumerate(BATTLE_FEATURES)}


def generate_battles(out: str | Path, *, count: int = 20_000, test_count: int = 2_000, seed: int = 0) -> Path:
    """Writes `train.npz` and `test.npz` into a folder.

    Args:
        out: folder, made where it does not exist.
        count, test_count: ints >= 1. Battles to train and to test.
        seed: int. Decides every battle.

    Returns:
        The folder.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for split, number in (("train", count), ("test", test_count)):
        draw = (seed, 0 if split == "train" else 1)
        write_battles(
            out / f"{split}.npz", [battle(np.random.default_rng([*draw, n])) for n in range(number)]
        )
    return out


def battle(rng: np.random.Generator) -> Battle:
    """Returns two armies of 4 to 12 units, in random order, and which own units are to strike.

    Args:
        rng: decides everything.
    """
    sides = rng.integers(_FEWEST_PER_SIDE, _MOST_PER_SIDE + 1, 2)
    number = int(sides.sum())
    units = np.zeros((number, len(BATTLE_FEATURES)), np.float32)
    alliance = np.repeat([OWN, ENEMY], sides)
    columns = {
        "unit_type": rng.integers(len(REACH), size=number),
        "alliance": alliance,
        "health_ratio": _health(rng, alliance == ENEMY),
        "x": rng.integers(MAP_SIZE, size=number),
        "y": rng.integers(MAP_SIZE, size=number),
        "weapon_cooldown": rng.integers(33, size=number),
        "is_on_screen": rng.integers(2, size=number),
        "tag": rng.integers(1, 1 << 20, size=number),
    }
    for name, values in columns.items():
        units[:, _COLUMNS[name]] = values
    units = rng.permutation(units)
    return Battle(units, strikers(units))


def strikers(units: np.ndarray) -> np.ndarray:
    """Returns which units are to strike, bool `(M,)`: the own ones that reach the most wounded enemy.

    Args:
        units: float `(M, F)`, with the columns of `BATTLE_FEATURES`.
    """
    column = {name: units[:, place] for name, place in _COLUMNS.items()}
    is_enemy = column["alliance"] == ENEMY
    target = np.argmin(np.where(is_enemy, column["health_ratio"], np.inf))
    distance = np.hypot(column["x"] - column["x"][target], column["y"] - column["y"][target])
    reach = np.asarray(REACH)[column["unit_type"].astype(int)]
    return (column["alliance"] == OWN) & (distance <= reach)


def _health(rng: np.random.Generator, is_enemy: np.ndarray) -> np.ndarray:
    health = rng.integers(1 + _HEALTH_GAP, 256, len(is_enemy))
    enemies = np.flatnonzero(is_enemy)
    weakest = enemies[np.argmin(health[enemies])]
    health[weakest] -= _HEALTH_GAP
    return health
