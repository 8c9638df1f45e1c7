"""The units of one battle, and what must hold of them before a model sees them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.streams import EntityFeature


@dataclass(frozen=True)
class Battle:
    """The real units of a battle; slots that were masked are gone.

    Attributes:
        units: float32 `(M, F)`, one row a unit, one column a feature.
        selected: bool `(M,)`, which units are selected; `None` where nobody said.
        slots: int `(M,)`, where each unit stood among all slots; `None` for a battle that was not read.
    """

    units: np.ndarray
    selected: np.ndarray | None = None
    slots: np.ndarray | None = None


def checked_battle(
    arrays: dict[str, np.ndarray], features: Sequence[EntityFeature], most: int, *, path: object, row: int
) -> Battle:
    """Returns the battle that arrays hold, its masked slots left out.

    Args:
        arrays: dict with `units` `(M, F)`, and optionally `padding_mask` `(M,)`, True or 1 = real, and
            `selected` `(M,)`, True or 1 = selected. Masked slots may hold anything.
        features: what the F columns hold.
        most: int. The most real units that a model takes.
        path, row: where the battle stands, for errors.

    Raises:
        SourceError: for other shapes, no real unit or too many, values that are not finite in float32,
            categories out of range, binary values that are neither 0 nor 1, or a selected slot that is
            masked.
    """
    units = np.asarray(arrays["units"])
    if units.ndim != 2 or units.shape[1] != len(features) or units.dtype.kind not in "fiub":
        raise _fault(
            f"`units` of a battle must be numbers of shape (units, {len(features)}). "
            f"Received: {units.dtype} {units.shape}",
            path, row, "bad_schema", "Give one column for each feature of `data.features`.",
        )  # fmt: skip
    real = _marks(arrays.get("padding_mask", np.ones(len(units), bool)), "padding_mask", units, path, row)
    selected = None
    if "selected" in arrays:
        selected = _marks(arrays["selected"], "selected", units, path, row)
        if (selected & ~real).any():
            slot = int(np.flatnonzero(selected & ~real)[0])
            raise _fault(
                f"Slot {slot} is selected and masked.",
                path, row, "bad_label", "Unselect the slot, or unmask it.",
            )  # fmt: skip
        selected = selected[real]
    if not 1 <= real.sum() <= most:
        raise _fault(
            f"A battle must have between 1 and {most} real units. Received: {int(real.sum())} in "
            f"{len(units)} slots",
            path, row, "too_large" if real.sum() else "bad_row",
            "Leave units out, or train a model with a larger `data.num_units`."
            if real.sum() else "Leave the battle out.",
        )  # fmt: skip
    slots = np.flatnonzero(real)
    _check_values(units[real], slots, features, path, row)
    with np.errstate(over="ignore"):  # in columns that no model is shown
        return Battle(units[real].astype(np.float32), selected, slots)


def _check_values(
    units: np.ndarray, slots: np.ndarray, features: Sequence[EntityFeature], path: object, row: int
) -> None:
    """Refuses the first value that its feature cannot have; columns that no model is shown may hold any."""
    columns, limits = _shown(tuple(features))
    values = units[:, columns].astype(np.float64)
    finite = np.abs(values) <= np.finfo(np.float32).max  # false for NaN
    with np.errstate(invalid="ignore"):
        known = (values == np.floor(values)) & (values >= 0) & (values < limits)
    good = finite & (known | np.isinf(limits))
    if good.all():
        return
    unit, place = np.argwhere(~good)[0]
    is_finite = finite[unit, place]
    expected = f"a whole number within [0, {limits[place]:.0f})" if is_finite else "finite in float32"
    raise _fault(
        f"`{features[columns[place]].name}` of the unit in slot {slots[unit]} must be {expected}. "
        f"Received: {values[unit, place]:g}",
        path, row, "bad_row" if is_finite else "non_finite",
        "Correct the value, mask the slot, or change the table of features.",
    )  # fmt: skip


@functools.lru_cache(maxsize=8)
def _shown(features: tuple[EntityFeature, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the columns that a model is shown, and how many values each has: inf if it is scaled."""
    columns = [column for column, feature in enumerate(features) if feature.kind != "ignored"]
    limits = {"binary": 2.0, "scaled": np.inf}
    kinds = [features[column] for column in columns]
    return np.array(columns), np.array([limits.get(feature.kind, feature.num_values) for feature in kinds])


def _marks(values: np.ndarray, name: str, units: np.ndarray, path: object, row: int) -> np.ndarray:
    """Returns bool `(M,)` of what must be True or False, 1 or 0, for each slot."""
    values = np.asarray(values)
    good = values.shape == (len(units),) and values.dtype.kind in "buif"
    if not good or not np.isin(values, (0, 1)).all():
        raise _fault(
            f"`{name}` of a battle must be {len(units)} times true or false, one for each slot. "
            f"Received: {values.dtype} {values.shape}",
            path, row, "bad_schema", "Store bool, or 0 and 1.",
        )  # fmt: skip
    return values.astype(bool)


def _fault(message: str, path: object, row: int, reason: str, advice: str = "") -> SourceError:
    return SourceError(
        message, path=str(path), row=f"battle {row}", stage="read_units", reason=reason, advice=advice
    )
