"""Rates that shards leave unsaid, told by how much is stored for how many seconds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

USUAL_RATES_HZ = (
    *(1.0, 2.0, 4.0, 5.0, 8.0, 10.0, 12.5, 15.0, 20.0, 24.0, 25.0, 30.0, 50.0, 60.0),
    *(8_000.0, 11_025.0, 16_000.0, 22_050.0, 24_000.0, 32_000.0, 44_100.0, 48_000.0, 96_000.0),
)
_TOLERANCE = 0.02


def usual_rate(rates_hz: Sequence[float]) -> float | None:
    """The usual rate that the clips of a source have.

    One clip proves nothing, as it may end before the time its list says; so the median of all is looked at.

    Args:
        rates_hz: sequence of float. What is stored for each second of each clip; 0 for clips without.

    Returns:
        float, or None if there is no clip or the median is near no usual rate.
    """
    rates_hz = [rate for rate in rates_hz if rate > 0]
    if not rates_hz:
        return None
    middle = median(rates_hz)
    nearest = min(USUAL_RATES_HZ, key=lambda rate: abs(rate - middle))
    return nearest if abs(nearest - middle) <= _TOLERANCE * nearest else None
