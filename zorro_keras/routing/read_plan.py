"""A routing over two layouts, worked out as slices: what structured attention executes."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zorro_keras.routing.routing import Routing
from zorro_keras.routing.token_layout import TokenLayout


@dataclass(frozen=True)
class Read:
    """One attention: the queries in one slice over the keys in some slices.

    Attributes:
        queries: slice of the packed queries.
        keys: tuple of slices of the packed keys, in order, none touching the next.
        masked: bool, whether some of these keys may be hidden from some examples.
    """

    queries: slice
    keys: tuple[slice, ...]
    masked: bool


class ReadPlan:
    """The attentions that a routing asks for, computed once in Python.

    Neighbouring queries that read the same keys share one attention, and neighbouring keys are one slice. So
    "everyone reads everyone" is a single plain attention and nothing is ever computed to be masked away.

    Args:
        routing: `Routing` of every stream in `query_layout`.
        query_layout: `TokenLayout` of the T packed queries.
        key_layout: `TokenLayout` of the S packed keys.
        padded: names of key streams of which single tokens may be hidden.
        absent: names of key streams that may be hidden whole from single examples. A stream that reads itself
            alone needs no mask for that: where it is absent, nobody uses what it computes.
    """

    def __init__(
        self,
        routing: Routing,
        query_layout: TokenLayout,
        key_layout: TokenLayout,
        *,
        padded: Collection[str] = (),
        absent: Collection[str] = (),
    ):
        self.routing, self.query_layout, self.key_layout = routing, query_layout, key_layout
        self.padded, self.absent = frozenset(padded), frozenset(absent)
        self.reads = tuple(self._plan())

    @cached_property
    def mask(self) -> np.ndarray:
        """The same routing as a dense mask `(T, S)` of booleans, True where the query may read the key."""
        return self.routing.truth_table(self.query_layout, self.key_layout)

    def get_config(self) -> dict:
        """Returns plain data from which `from_config` builds an equal plan."""
        return {
            "routing": self.routing.get_config(),
            "query_layout": dict(self.query_layout),
            "key_layout": dict(self.key_layout),
            "padded": sorted(self.padded),
            "absent": sorted(self.absent),
        }

    @classmethod
    def from_config(cls, config: dict) -> "ReadPlan":
        """Builds the plan that `get_config` described."""
        layouts = (TokenLayout(config["query_layout"]), TokenLayout(config["key_layout"]))
        hidden = {"padded": config["padded"], "absent": config["absent"]}
        return cls(Routing.from_config(config["routing"]), *layouts, **hidden)

    def _plan(self):
        readers_of: dict[tuple[str, ...], list[str]] = {}
        for reader in self.query_layout:
            keys = tuple(stream for stream in self.key_layout if stream in self.routing[reader])
            readers_of.setdefault(keys, []).append(reader)
        for keys, readers in readers_of.items():
            alone = readers == list(keys) and len(keys) == 1
            hidden = self.padded if alone else self.padded | self.absent
            for queries in _join(self.query_layout, readers):
                yield Read(queries, _join(self.key_layout, keys), not hidden.isdisjoint(keys))


def _join(layout: TokenLayout, streams: Iterable[str]) -> tuple[slice, ...]:
    """Returns the places of the streams, those that touch merged."""
    joined: list[slice] = []
    for part in sorted((layout.slice(stream) for stream in streams), key=lambda part: part.start):
        if joined and joined[-1].stop == part.start:
            joined[-1] = slice(joined[-1].start, part.stop)
        else:
            joined.append(part)
    return tuple(joined)
