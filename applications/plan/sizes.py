"""Amounts of memory and of arithmetic, as people write them."""

from __future__ import annotations

import re

from zorro_keras.applications.pipelines.faults import ConfigError

# As the makers of devices and `free` count: thousands, and powers of two with an i.
UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join(UNITS)})", re.IGNORECASE)


def bytes_of(text: str) -> int:
    """Returns the bytes of a size such as "16GB" or "80GiB".

    Raises:
        ConfigError: unless it is a positive number and a unit of `UNITS`, in letters of any case.
    """
    found = _SIZE.fullmatch(text.strip())
    units = {unit.lower(): factor for unit, factor in UNITS.items()}
    size = int(float(found[1]) * units[found[2].lower()]) if found else 0
    if size <= 0:
        raise ConfigError(
            f"`--device` must be the memory of a device, such as 16GB or 80GiB. Received: {text}",
            stage="command", reason="bad_value",
        )  # fmt: skip
    return size


def in_bytes(size: float) -> str:
    """Returns a size in the largest unit of thousands that leaves a number of at least 1."""
    return _with_prefix(size, ("B", "kB", "MB", "GB", "TB"))


def in_flops(count: float) -> str:
    """Returns a count of floating-point operations."""
    return _with_prefix(count, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"))


def _with_prefix(value: float, units: tuple[str, ...]) -> str:
    place = 0
    while value >= 999.5 and place + 1 < len(units):
        value, place = value / 1000.0, place + 1
    digits = 0 if place == 0 or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {units[place]}"
