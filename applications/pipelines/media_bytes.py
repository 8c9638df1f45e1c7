"""A media file inside another file, as bytes that are opened like a file of their own."""

from __future__ import annotations

import io
from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class MediaBytes:
    """A whole media file in memory. Stands wherever the path of one does; every rule for files holds for it.

    Attributes:
        name: str. What errors call it.
        data: bytes.
    """

    name: str
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.name

    def open(self) -> io.BytesIO:
        """The bytes as a binary file."""
        return io.BytesIO(self.data)
