"""What is held out where a source names no splits: a share that does not move when the source grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Name = TypeVar("Name")


def held_out(digests: Mapping[Name, bytes], fraction: float) -> set[Name]:
    """Returns the names that are held out: those in the first `fraction` of all digests.

    So a name stays on its side when others come or go, and what a model was trained on is not measured later.
    The exception is a group as small that no name would be held out, or all: then one of several is, or is
    not.

    Args:
        digests: dict of name to a hash of at least 8 bytes that decides its side.
        fraction: float in [0, 1]. With 0 nothing is held out, with 1 everything.
    """
    if fraction in (0.0, 1.0):
        return set(digests) if fraction else set()
    in_order = sorted(digests, key=digests.__getitem__)
    count = sum(is_held_out(digest, fraction) for digest in digests.values())
    return set(in_order[: min(max(count, 1), len(in_order) - 1)])


def is_held_out(digest: bytes, fraction: float) -> bool:
    """Whether a digest of at least 8 bytes lies in the first `fraction` of all."""
    return int.from_bytes(digest[:8], "big") < fraction * 2.0**64
