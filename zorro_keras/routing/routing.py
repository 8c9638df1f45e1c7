"""The rule of fusion as data: each reader mapped to the streams it reads."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from zorro_keras.routing.token_layout import TokenLayout


class Routing(Mapping):
    """Says which stream may read which, in every layer.

    A routing is a read-only mapping from a reader to the streams it reads. A stack of layers follows the same
    routing in each, so what a stream knows at the end is everything it can reach by following reads:
    `dependencies` answers that question, `dependents` the opposite one.

    Args:
        reads: mapping from reader (str) to the names of the streams it reads (at least one).
        pure: names of readers that promise to depend on no stream but themselves. The promise is checked
            here, so a cycle such as audio -> fusion -> video cannot slip in.
        sources: names that may be read although they read nothing themselves, or `None` for the readers.
            The read-out queries of a model, for instance, read the model's streams and nobody reads them.

    Raises:
        ValueError: for an unknown stream, a reader that reads nothing, or a broken promise of purity.

    Example:

    >>> routing = Routing.zorro(["audio", "video"])
    >>> print(routing.picture(TokenLayout({"audio": 2, "video": 2, "fusion": 1})))
    audio   ##...
            ##...
    video   ..##.
            ..##.
    fusion  #####
    >>> sorted(routing.dependents("video"))
    ['fusion', 'video']

    Reference:
        Zorro, arXiv 2301.09595, Figure 2: the mask of the fusion transformer.
    """

    def __init__(
        self,
        reads: Mapping[str, Iterable[str]],
        *,
        pure: Iterable[str] = (),
        sources: Iterable[str] | None = None,
    ):
        self._reads = {reader: tuple(dict.fromkeys(_names(reader, read))) for reader, read in reads.items()}
        self.sources = tuple(self._reads if sources is None else sources)
        self.pure = tuple(pure)
        self._check()

    @classmethod
    def zorro(cls, streams: Iterable[str], *, fusion: str = "fusion") -> "Routing":
        """Each modality reads itself; the fusion stream reads everything."""
        modalities = _modalities(streams, fusion)
        return cls({**{m: [m] for m in modalities}, fusion: [*modalities, fusion]}, pure=modalities)

    @classmethod
    def early(cls, streams: Iterable[str]) -> "Routing":
        """Everyone reads everyone: the vanilla transformer over the joined tokens."""
        streams = list(streams)
        return cls(dict.fromkeys(streams, streams))

    @classmethod
    def late(cls, streams: Iterable[str]) -> "Routing":
        """No one reads another: separate transformers with shared weights, joined by the read-out alone."""
        streams = list(streams)
        return cls({stream: [stream] for stream in streams}, pure=streams)

    @classmethod
    def bottleneck(cls, streams: Iterable[str], *, fusion: str = "fusion") -> "Routing":
        """Each modality reads itself and the fusion stream, which reads everything (arXiv 2107.00135)."""
        modalities = _modalities(streams, fusion)
        return cls({**{m: [m, fusion] for m in modalities}, fusion: [*modalities, fusion]})

    def __getitem__(self, reader: str) -> tuple[str, ...]:
        return self._reads[reader]

    def __iter__(self) -> Iterator[str]:
        return iter(self._reads)

    def __len__(self) -> int:
        return len(self._reads)

    def __repr__(self) -> str:
        return f"Routing({ {reader: list(read) for reader, read in self.items()} })"

    def dependencies(self, reader: str) -> frozenset[str]:
        """Returns the streams whose values can change what `reader` ends up with."""
        self._known(reader, self)
        reached, frontier = set(), [reader]
        while frontier:
            unseen = [read for read in self._reads.get(frontier.pop(), ()) if read not in reached]
            reached.update(unseen)
            frontier.extend(unseen)
        return frozenset(reached)

    def dependents(self, stream: str) -> frozenset[str]:
        """Returns the readers that can change when the values of `stream` change."""
        self._known(stream, self.sources)
        return frozenset(reader for reader in self if stream in self.dependencies(reader) | {reader})

    def is_pure(self, reader: str) -> bool:
        """Returns whether `reader` depends on no stream but itself."""
        return self.dependencies(reader) <= {reader}

    def restrict(self, streams: Iterable[str]) -> "Routing":
        """Returns the routing where only the given streams exist, and readers that still read something."""
        present = set(streams)
        reads = {
            reader: [read for read in reads if read in present]
            for reader, reads in self.items()
            if reader in present or reader not in self.sources
        }
        kept = {reader: read for reader, read in reads.items() if read}
        return Routing(
            kept,
            pure=[reader for reader in self.pure if reader in kept],
            sources=[source for source in self.sources if source in present],
        )

    def truth_table(self, layout: TokenLayout, key_layout: TokenLayout | None = None) -> np.ndarray:
        """Returns the dense mask `(T, S)` of booleans, True where query token t may read key token s."""
        key_layout = layout if key_layout is None else key_layout
        table = np.zeros((layout.total, key_layout.total), dtype=bool)
        for reader in layout:
            self._known(reader, self)
            for read in self[reader]:
                table[layout.slice(reader), key_layout.slice(read)] = True
        return table

    def picture(self, layout: TokenLayout, key_layout: TokenLayout | None = None) -> str:
        """Returns the truth table as text, one row a query token: `#` may read, `.` may not."""
        width = max(map(len, layout)) + 2
        table = self.truth_table(layout, key_layout)
        rows = []
        for reader in layout:
            for offset, row in enumerate(table[layout.slice(reader)]):
                label = reader if offset == 0 else ""
                rows.append(label.ljust(width) + "".join("#" if seen else "." for seen in row))
        return "\n".join(rows)

    def get_config(self) -> dict:
        """Returns plain data from which `from_config` builds an equal routing."""
        return {
            "reads": {reader: list(read) for reader, read in self.items()},
            "pure": list(self.pure),
            "sources": list(self.sources),
        }

    @classmethod
    def from_config(cls, config: dict) -> "Routing":
        """Builds the routing that `get_config` described."""
        return cls(**config)

    def _check(self):
        if not self._reads:
            raise ValueError("`reads` must name at least one reader. Received: reads={}")
        for reader, read in self.items():
            if not read:
                raise ValueError(
                    f"Every reader must read at least one stream; let it read itself. Received: {reader}=[]"
                )
            for stream in read:
                self._known(stream, self.sources)
        for reader in self.pure:
            self._known(reader, self)
            if not self.is_pure(reader):
                raise ValueError(
                    f"`{reader}` is promised to be pure but can learn of "
                    f"{sorted(self.dependencies(reader) - {reader})} through {self._path_out(reader)}. "
                    f"Remove that read, or the promise. Received: pure={list(self.pure)}"
                )

    def _path_out(self, reader: str) -> str:
        return " -> ".join([reader, next(read for read in self[reader] if read != reader)])

    @staticmethod
    def _known(stream: str, streams: Iterable[str]):
        if stream not in streams:
            raise ValueError(f"Streams must be among {list(streams)}. Received: unknown stream {stream!r}")


def _names(reader: str, read: Iterable[str]) -> Iterable[str]:
    if isinstance(read, str):
        raise ValueError(f"A reader maps to a list of stream names. Received: {reader}={read!r}")
    return read


def _modalities(streams: Iterable[str], fusion: str) -> Sequence[str]:
    modalities = list(streams)
    if fusion in modalities:
        raise ValueError(
            f"The preset adds the fusion stream; name the modalities alone. Received: streams={modalities}"
        )
    return modalities
