"""What must hold of a battle before a model sees it."""

import numpy as np
import pytest

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.unit_battle import checked_battle
from zorro_keras.streams import EntityFeature

FEATURES = (
    EntityFeature("kind", "categorical", num_values=3),
    EntityFeature("x", "scaled", scale=64.0),
    EntityFeature("tag", "ignored"),
    EntityFeature("is_near", "binary"),
)
UNITS = np.array([[2, 7.5, 1e9, 1], [0, -3, np.nan, 0], [1, 5, 4, 1]], "float32")


def check(most=5, **arrays):
    return checked_battle({"units": UNITS, **arrays}, FEATURES, most, path="battles.npz", row=3)


def spoilt(slot, column, value):
    units = UNITS.copy()
    units[slot, column] = value
    return units


def far(slot, column, value):
    """Units in float64, which holds what float32 does not."""
    units = UNITS.astype("float64")
    units[slot, column] = value
    return units


def test_a_good_battle_is_given_back():
    battle = check(selected=np.array([1, 0, 0]))
    np.testing.assert_array_equal(battle.units, UNITS)
    assert battle.selected.tolist() == [True, False, False] and check().selected is None


def test_masked_slots_are_left_out_whatever_they_hold():
    mask = np.array([True, False, True])
    battle = check(units=spoilt(1, 0, np.nan), padding_mask=mask, selected=np.array([0, 0, 1]), most=2)
    np.testing.assert_array_equal(battle.units, UNITS[[0, 2]])
    assert battle.selected.tolist() == [False, True] and battle.slots.tolist() == [0, 2]


@pytest.mark.parametrize("units, message, reason", [
    (spoilt(2, 1, np.nan), "`x` of the unit in slot 2 must be finite in float32. Received: nan",
     "non_finite"),
    (spoilt(0, 0, np.inf), "`kind` of the unit in slot 0 must be finite in float32. Received: inf",
     "non_finite"),
    (far(1, 1, -1e39), "`x` of the unit in slot 1 must be finite in float32. Received: -1e\\+39",
     "non_finite"),
    (spoilt(1, 0, 3), r"`kind` of the unit in slot 1 must be a whole number within \[0, 3\)", "bad_row"),
    (spoilt(1, 0, -1), "Received: -1", "bad_row"),
    (spoilt(1, 0, 1.5), "Received: 1.5", "bad_row"),
    (spoilt(1, 3, 2), r"`is_near` of the unit in slot 1 must be a whole number within \[0, 2\)", "bad_row"),
    (UNITS[:, :3], r"shape \(units, 4\). Received: float32 \(3, 3\)", "bad_schema"),
    (UNITS[0], r"Received: float32 \(4,\)", "bad_schema"),
    (UNITS.astype(complex), "Received: complex128", "bad_schema"),
    (np.zeros((0, 4)), "between 1 and 5 real units. Received: 0 in 0 slots", "bad_row"),
    (np.zeros((6, 4)), "between 1 and 5 real units. Received: 6 in 6 slots", "too_large"),
])  # fmt: skip
def test_what_is_wrong_with_the_units_is_named(units, message, reason):
    with pytest.raises(SourceError, match=message) as error:
        check(units=units)
    assert (error.value.reason, error.value.row, error.value.path) == (reason, "battle 3", "battles.npz")


@pytest.mark.parametrize("arrays, message", [
    ({"padding_mask": np.zeros(3)}, "between 1 and 5 real units. Received: 0 in 3 slots"),
    ({"padding_mask": np.ones(4)}, "`padding_mask` of a battle must be 3 times true or false"),
    ({"padding_mask": np.array([1, 0, 2])}, "`padding_mask` of a battle"),
    ({"selected": np.ones((3, 1))}, r"`selected` of a battle must be 3 times .* Received: float64 \(3, 1\)"),
    ({"selected": np.array([0.5, 0, 1])}, "`selected` of a battle"),
    ({"selected": np.array(["a", "b", "c"])}, "`selected` of a battle"),
    ({"padding_mask": np.array([1, 0, 1]), "selected": np.array([0, 1, 0])}, "Slot 1 is selected and masked"),
])  # fmt: skip
def test_what_is_wrong_with_masks_and_labels_is_named(arrays, message):
    with pytest.raises(SourceError, match=message):
        check(**arrays)


def test_the_largest_float32_is_kept_and_columns_that_are_not_shown_may_overflow():
    largest = np.finfo("float32").max
    battle = check(units=far(0, 1, largest))
    assert battle.units.dtype == np.float32 and battle.units[0, 1] == largest
    assert check(units=far(0, 2, 1e39)).units[0, 1] == 7.5


@pytest.mark.parametrize("arrays, advice", [
    ({"padding_mask": np.array([1, 0, 1]), "selected": np.array([0, 1, 0])},
     "Unselect the slot, or unmask it."),
    ({"units": np.zeros((6, 4))}, "Leave units out, or train a model with a larger `data.num_units`."),
])  # fmt: skip
def test_what_is_advised_can_be_done(arrays, advice):
    with pytest.raises(SourceError) as error:
        check(**arrays)
    assert error.value.advice == advice
