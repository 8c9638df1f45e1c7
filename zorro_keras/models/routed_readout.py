"""From the final tokens of all streams to one output for each, and one for all."""

from dataclasses import dataclass

from keras import ops

from zorro_keras.layers import Readout
from zorro_keras.models.stream_inputs import spread
from zorro_keras.routing import ReadPlan, Routing, TokenLayout
from zorro_keras.streams import RESERVED_NAMES


@dataclass
class RoutedReadout:
    """The read-out of a backbone of streams.

    Attributes:
        readout: `Readout` with a query for each stream of the routing and one `global`.
        streams: `Routing` of the streams in the backbone.
    """

    readout: Readout
    streams: Routing

    @property
    def routing(self) -> Routing:
        """Who reads whom in the read-out: each output its own stream, `global` all of them."""
        reads = {**{stream: [stream] for stream in self.streams}, "global": list(self.streams)}
        return Routing(reads, sources=list(self.streams))

    def dependents(self, stream) -> frozenset[str]:
        """Returns the names of the outputs that can change when the values of `stream` change."""
        changing = self.streams.dependents(stream)
        reads = self.routing
        return frozenset(output for output in reads if not changing.isdisjoint(reads[output]))

    def answer(self, tokens, layout, hidden, padded) -> dict:
        """Returns the outputs `(B, D)` by name; one whose streams an example lacks is zero there.

        Args:
            tokens: float tensor `(B, S, D)`.
            layout: `TokenLayout` of the streams that are there.
            hidden: dict of stream to bool `(B, T)` or `(B, 1)`, True where it may be read.
            padded: names of the streams whose mask is by token.
        """
        routing = self.routing.restrict(layout)
        queries = TokenLayout(dict.fromkeys(routing, 1))
        plan, mask = masked_plan(routing, queries, layout, hidden, padded)
        outputs = self.readout(tokens, outputs=list(queries), plan=plan, attention_mask=mask)
        for name, sources in routing.items():
            if all(source in hidden for source in sources):
                seen = [ops.any(hidden[source], axis=1, keepdims=True) for source in sources]
                seen = ops.any(ops.concatenate(seen, axis=1), axis=1, keepdims=True)
                outputs[name] = ops.where(seen, outputs[name], ops.zeros_like(outputs[name]))
        return outputs


def masked_plan(routing, queries, keys, hidden, padded):
    """Returns the `ReadPlan` of a routing, and a mask `(B, 1, S)` of what is hidden or `None` for nothing."""
    plan = ReadPlan(routing, queries, keys, padded=padded, absent=set(hidden) - set(padded))
    if not hidden:
        return plan, None
    like = next(iter(hidden.values()))
    mask = ops.concatenate([spread(hidden.get(name), like, keys[name]) for name in keys], axis=1)
    return plan, mask[:, None]


def check_routed(streams, routing, num_fusion_tokens):
    """Raises `ValueError` where a backbone cannot have such streams, routing and learned tokens."""
    check_routing(routing)
    reserved = sorted(set(streams) & set(RESERVED_NAMES))
    if not streams or reserved:
        raise ValueError(
            f"`streams` must name at least one stream, none of them {list(RESERVED_NAMES)}. "
            f"Received: {list(streams)}"
        )
    if unrouted := sorted(set(streams) - set(routing)):
        raise ValueError(f"`routing` must have every stream. Received: no reads for {unrouted}")
    if "global" in routing:
        raise ValueError("`global` is the read-out that reads every stream; the routing cannot have it.")
    if num_fusion_tokens < 1:
        raise ValueError(
            f"`num_fusion_tokens` must be positive. Received: num_fusion_tokens={num_fusion_tokens}"
        )


def check_routing(routing):
    """Raises `ValueError` for anything but a `Routing`, such as the dict that one is made of."""
    if not isinstance(routing, Routing):
        raise ValueError(f"`routing` must be a `Routing`: call it with the mapping. Received: {routing!r}")
