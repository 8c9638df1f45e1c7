"""An order of clips that mixes classes and folders, and depends on the ids alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any


def in_mixed_order(clips: Iterable[Any]) -> list[Any]:
    """Sorts clips, which have an `id` each, by the SHA-256 of their ids: the first ones are a fair draw."""
    return sorted(clips, key=lambda clip: hashlib.sha256(clip.id.encode()).digest())
