"""What a caller hands to a model of streams, checked and sorted."""

import math
from dataclasses import dataclass, field

from keras import ops

from zorro_keras.models.unknown_names import check_names
from zorro_keras.streams import MARKS


@dataclass
class StreamInputs:
    """The streams of one call.

    Attributes:
        arrays: dict of stream to tensor `(B, *shape)`, in the model's order.
        presence: dict of stream to bool tensor `(B,)`, True where the example has the stream.
        padding_mask: dict of stream to bool tensor `(B, T)`, True where the token is real.
        positions: dict of stream to float tensor `(B, T, axes)`, where the tokens lie if not on the grid.
    """

    arrays: dict = field(default_factory=dict)
    presence: dict = field(default_factory=dict)
    padding_mask: dict = field(default_factory=dict)
    positions: dict = field(default_factory=dict)

    @classmethod
    def parse(cls, inputs, streams, resizable=False):
        """Returns the given inputs checked against `streams` (dict of name to description).

        Args:
            inputs: dict of stream to array; a missing key or `None` leaves the stream out. More keys may hold
                dicts by stream: `presence`, `padding_mask` and, if resizable, `positions`.
            streams: dict of name to `zorro_keras.streams` description.
            resizable: bool, whether the model itself checks the shapes, because it takes several, and its
                tokens may lie anywhere.

        Raises:
            ValueError: for anything but a dict, unknown names, wrong shapes, different batch sizes, or no
                stream at all.
        """
        if not isinstance(inputs, dict):
            raise ValueError(
                f"A model of streams takes a dict with some of {list(streams)}. Received: {type(inputs)}"
            )
        given = {name: value for name, value in inputs.items() if value is not None}
        by_stream = {key: given.pop(key, {}) for key in ("presence", "padding_mask")}
        by_stream["positions"] = given.pop("positions", {}) if resizable else {}
        for argument, values in {"inputs": given, **by_stream}.items():
            check_names(argument, values, streams)
        if not given:
            raise ValueError(f"At least one of the streams {list(streams)} is needed. Received: none")
        arrays = {name: ops.convert_to_tensor(given[name]) for name in streams if name in given}
        for name, array in () if resizable else arrays.items():
            _check_shape(name, array.shape, streams[name].shape)
        _check_batch(arrays)
        marks = {key: {n: v for n, v in by_stream[key].items() if n in arrays} for key in by_stream}
        parsed = cls(
            arrays,
            {name: _as_mask(mask, 1) for name, mask in marks["presence"].items()},
            {name: _as_mask(mask, 2) for name, mask in marks["padding_mask"].items()},
            {name: ops.convert_to_tensor(places) for name, places in marks["positions"].items()},
        )
        for name in () if resizable else parsed.padding_mask:
            parsed.check_length(name, streams[name].grid)
        return parsed

    def check_length(self, stream, grid):
        """Does nothing unless the padding mask of a stream is known to be of other than a grid's tokens."""
        mask = self.padding_mask.get(stream)
        if mask is None or not all(isinstance(size, int) for size in (mask.shape[1], *grid)):
            return
        if mask.shape[1] != math.prod(grid):
            raise ValueError(
                f"`padding_mask` of stream `{stream}` must have the shape (batch, {math.prod(grid)}). "
                f"Received: {tuple(mask.shape)}"
            )

    def keep(self, stream):
        """Returns what is real of a stream: bool `(B, T)` or `(B, 1)`, or `None` for everything."""
        presence, padding = self.presence.get(stream), self.padding_mask.get(stream)
        if presence is None:
            return padding
        return presence[:, None] if padding is None else ops.logical_and(presence[:, None], padding)


def check_stream_names(argument, names):
    """Does nothing if none of the names means something else in the inputs of a model.

    Raises:
        ValueError: naming those that do.
    """
    if taken := sorted(set(names) & set(MARKS)):
        raise ValueError(f"`{argument}` must name none of {list(MARKS)}. Received: {taken}")


def spread(keep, like, length):
    """Returns a mask `(B, length)` of `keep`, which is `None` or a mask `(B, 1)` or `(B, length)`."""
    shape = (ops.shape(like)[0], length)
    return ops.ones(shape, dtype="bool") if keep is None else ops.broadcast_to(keep, shape)


def _as_mask(mask, rank):
    mask = ops.cast(ops.convert_to_tensor(mask), "bool")
    if len(mask.shape) != rank:
        raise ValueError(f"Expected a mask of rank {rank}. Received: shape={tuple(mask.shape)}")
    return mask


def _check_batch(arrays):
    sizes = {name: x.shape[0] for name, x in arrays.items() if len(x.shape) and isinstance(x.shape[0], int)}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"`inputs` must hold equally many examples of each stream. Received: {sizes}")


def _check_shape(name, shape, expected):
    if len(shape) != len(expected) + 1 or any(
        size is not None and size != wanted for size, wanted in zip(shape[1:], expected, strict=True)
    ):
        raise ValueError(
            f"Stream `{name}` must have the shape (batch, {', '.join(map(str, expected))}). "
            f"Received: {tuple(shape)}"
        )
