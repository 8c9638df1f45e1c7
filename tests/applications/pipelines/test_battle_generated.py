"""The generated battles: who is to strike, and that no unit knows it by itself."""

import numpy as np

from zorro_keras.applications.pipelines.battle_generated import (
    BATTLE_FEATURES,
    ENEMY,
    OWN,
    REACH,
    battle,
    generate_battles,
    strikers,
)
from zorro_keras.applications.pipelines.unit_battle import checked_battle

NAMES = [feature.name for feature in BATTLE_FEATURES]


def army(*rows):
    """Units of (unit_type, alliance, health_ratio, x, y)."""
    units = np.zeros((len(rows), len(NAMES)), "float32")
    units[:, : len(rows[0])] = rows
    return units


def test_own_units_strike_the_most_wounded_enemy_that_they_reach():
    assert NAMES[:5] == ["unit_type", "alliance", "health_ratio", "x", "y"] and REACH[0] == 12
    units = army(
        (0, ENEMY, 90, 30, 30),  # the target
        (0, ENEMY, 200, 0, 0),
        (0, OWN, 255, 42, 30),  # just reaches
        (0, OWN, 255, 42, 31),  # just does not
        (1, OWN, 10, 42, 31),  # another type does, and wounds of one's own do not matter
        (4, ENEMY, 255, 31, 31),  # enemies strike not
        (4, OWN, 255, 0, 0),  # near another enemy only
    )
    assert strikers(units).tolist() == [False, False, True, False, True, False, False]


def test_another_wound_is_another_order():
    units = army((0, ENEMY, 90, 30, 30), (0, ENEMY, 200, 0, 0), (0, OWN, 255, 1, 1))
    assert not strikers(units).any()
    units[1, 2] = 80
    assert strikers(units).tolist() == [False, False, True]


def test_every_battle_is_good_and_has_one_most_wounded_enemy():
    shares = []
    for seed in range(200):
        found = battle(np.random.default_rng(seed))
        checked_battle({"units": found.units}, BATTLE_FEATURES, 24, path="battle", row=seed)
        wounds = np.sort(found.units[found.units[:, 1] == ENEMY, 2])
        assert len(wounds) >= 4 and wounds[1] - wounds[0] >= 13 and wounds[0] >= 1
        shares.append(found.selected[found.units[:, 1] == OWN].mean())
        np.testing.assert_array_equal(found.selected, strikers(found.units))
    assert 0.3 < np.mean(shares) < 0.6


def test_the_same_seed_writes_the_same_files(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        generate_battles(tmp_path / name, count=7, test_count=3, seed=seed)
    for split in ("train", "test"):
        one, same, other = ((tmp_path / name / f"{split}.npz").read_bytes() for name in "abc")
        assert one == same != other
