"""How much better one model is than another on the same clips, how surely, and what that says of a claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Expectation = Literal["higher", "near", "either"]
NEAR_POINTS = 5.0  # "comes near" means: not further below than this
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class Effect:
    """A difference of two accuracies, in points of 100.

    Attributes:
        points: float. The mean over clips and seeds.
        margin: float. Half the width of its 95 % interval over clips, for these seeds.
        by_seed: list of floats. The difference of each seed.
        spread: float or `None`. Their standard deviation; none of one seed.
    """

    points: float
    margin: float
    by_seed: list[float]
    spread: float | None


def effect_of(first: Sequence[Sequence[int]], second: Sequence[Sequence[int]]) -> Effect:
    """Returns how much oftener the first model is right than the second.

    The interval is the normal one of the mean over held-out clips, paired clip by clip, of what these seeds
    say on average. It holds no other seeds: a few cannot tell how far others would lie. So each seed's effect
    is given beside it, and a verdict needs all of them.

    Args:
        first, second: by seed, a 1 for each clip that is right and a 0 for each that is not.

    Raises:
        ValueError: unless both have the same seeds and clips.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape != second.shape or first.ndim != 2 or 0 in first.shape:
        raise ValueError(
            "`first` and `second` must hold the same seeds and clips. "
            f"Received: shapes {first.shape} and {second.shape}"
        )
    differences = 100.0 * (first - second)
    by_seed, by_clip = differences.mean(axis=1), differences.mean(axis=0)
    spread = by_seed.std(ddof=1) if len(by_seed) > 1 else None
    return Effect(
        points=float(differences.mean()),
        margin=float(_NORMAL_95 * by_clip.std() / np.sqrt(len(by_clip))),
        by_seed=[float(points) for points in by_seed],
        spread=None if spread is None else float(spread),
    )


def verdict(effect: Effect, expects: Expectation) -> str:
    """Returns what an effect says of a claim: something only where the interval and every seed agree.

    Args:
        effect: `Effect`.
        expects: "higher", "near" for no more than `NEAR_POINTS` below, or "either" where nothing is claimed.

    Returns:
        "comes out", "does not come out" or "within the spread"; "a difference" where nothing is claimed.
    """
    bound = -NEAR_POINTS if expects == "near" else 0.0
    is_above = min(effect.points - effect.margin, *effect.by_seed) > bound
    is_below = max(effect.points + effect.margin, *effect.by_seed) < bound
    if not (is_above or is_below):
        return "within the spread"
    if expects == "either":
        return "a difference"
    return "comes out" if is_above else "does not come out"
