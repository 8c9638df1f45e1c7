"""Where each stream's tokens sit in the packed sequence."""

from collections.abc import Iterable, Iterator, Mapping
from numbers import Integral


class TokenLayout(Mapping):
    """Orders streams in one packed sequence and counts their tokens.

    A layout is a read-only mapping from stream name to number of tokens, in the order of the sequence.

    Args:
        counts: mapping from str to int, at least one stream, every count positive.

    Raises:
        ValueError: if there is no stream or a count is not a positive integer.

    Example:

    >>> layout = TokenLayout({"audio": 2, "video": 3})
    >>> layout.total, layout.slice("video")
    (5, slice(2, 5, None))
    """

    def __init__(self, counts: Mapping[str, int]):
        if not counts:
            raise ValueError("`counts` must name at least one stream. Received: counts={}")
        for stream, count in counts.items():
            if not isinstance(count, Integral) or count < 1:
                raise ValueError(f"Token counts must be positive integers. Received: {stream}={count!r}")
        self._counts = {stream: int(count) for stream, count in counts.items()}
        self._starts, start = {}, 0
        for stream, count in self._counts.items():
            self._starts[stream] = start
            start += count
        self.total = start

    def __getitem__(self, stream: str) -> int:
        return self._counts[stream]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return f"TokenLayout({self._counts})"

    def slice(self, stream: str) -> slice:
        """Returns the place of one stream in the packed sequence."""
        if stream not in self._counts:
            raise ValueError(f"`stream` must be one of {list(self._counts)}. Received: stream={stream!r}")
        return slice(self._starts[stream], self._starts[stream] + self._counts[stream])

    def restrict(self, streams: Iterable[str]) -> "TokenLayout":
        """Returns the layout of the given streams alone, in this layout's order."""
        wanted = set(streams)
        unknown = sorted(wanted - set(self))
        if unknown:
            raise ValueError(f"`streams` must be among {list(self)}. Received: unknown streams {unknown}")
        return TokenLayout({stream: count for stream, count in self.items() if stream in wanted})
