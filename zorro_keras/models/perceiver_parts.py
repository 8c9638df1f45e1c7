"""The way through a Perceiver: inputs to latents, latents to outputs."""

import math
from dataclasses import dataclass

import keras
from keras import ops

from zorro_keras.layers import (
    ConvexUpsampling,
    InputAdapter,
    ModalityJoin,
    OutputAdapter,
    PerceiverDecoder,
    PerceiverEncoder,
    PictureHead,
    TiedEmbedding,
)
from zorro_keras.models.stream_inputs import StreamInputs, spread
from zorro_keras.models.unknown_names import check_names

HEADS_OF_PICTURES = (ConvexUpsampling, PictureHead)  # they are told the grid that asked


@dataclass
class PerceiverParts:
    """Input adapters, encoder, decoder and output adapters, and how they follow each other.

    It holds layers and says in which order arrays pass them. The functional model around it owns them.

    Attributes:
        input_adapters: dict of input to `InputAdapter`.
        encoder: `PerceiverEncoder`.
        output_adapters: dict of output to `OutputAdapter`.
        decoder: `PerceiverDecoder`.
        input_join: `ModalityJoin` of several inputs, or of one that is masked at random; `None` for one.
        query_join: `ModalityJoin` of the queries of several outputs, `None` for one.
    """

    input_adapters: dict[str, InputAdapter]
    encoder: PerceiverEncoder
    output_adapters: dict[str, OutputAdapter]
    decoder: PerceiverDecoder
    input_join: ModalityJoin | None
    query_join: ModalityJoin | None

    def answer(self, given: StreamInputs, training=None) -> dict:
        """Returns every output whose queries can be made from the given inputs."""
        outputs = [
            name
            for name, adapter in self.output_adapters.items()
            if not isinstance(adapter.queries, str) or adapter.queries in given.arrays
        ]
        if not outputs:
            asking = sorted({adapter.queries for adapter in self.output_adapters.values()})
            raise ValueError(
                f"`inputs` must hold one of {asking}, whose elements ask for outputs. "
                f"Received: {list(given.arrays)}"
            )
        elements = self.elements(given, training)
        latents = self.encode(given, elements, training)
        pictures = self.pictures(outputs, given)
        queries = self.queries(outputs, latents, elements, pictures=pictures)
        query_mask = self.query_mask(outputs, given, pictures=pictures)
        return self.decode(latents, queries, query_mask, pictures, training)

    def elements(self, given: StreamInputs, training=None) -> dict:
        """Returns the elements `(B, M, C)` of each input, positions included."""
        for name in given.padding_mask:
            given.check_length(name, self.input_adapters[name].known_grid(given.arrays[name]))
        return {
            name: self.input_adapters[name](
                array, keep=given.keep(name), coordinates=given.positions.get(name), training=training
            )
            for name, array in given.arrays.items()
        }

    def encode(self, given: StreamInputs, elements: dict, training=None):
        """Returns the latents `(B, L, D)`."""
        hidden = {name: given.keep(name) for name in elements if given.keep(name) is not None}
        if self.input_join is None:
            ((name, joined),) = elements.items()
            return self.encoder(joined, attention_mask=hidden.get(name), training=training)
        like = next(iter(elements.values()))
        elements, masked = dict(elements), {}
        for name in self.input_join.mask_rates:
            if name not in elements:
                elements[name], masked[name] = self._blank(name, like)
            elif name in given.presence:
                masked[name] = ops.logical_not(given.presence[name])[:, None]
                hidden.pop(name)
                if name in given.padding_mask:
                    hidden[name] = given.padding_mask[name]
        mask = None
        if hidden:
            mask = [spread(hidden.get(name), like, ops.shape(elements[name])[1]) for name in sorted(elements)]
            mask = ops.concatenate(mask, axis=1)
        joined = self.input_join(elements, masked=masked, training=training)
        return self.encoder(joined, attention_mask=mask, training=training)

    def queries(
        self, outputs, like, elements: dict, rows: dict | None = None, pictures: dict | None = None
    ) -> dict:
        """Returns the queries `(B, O, E)` of each of the outputs, or only some rows of them."""
        rows, queries = rows or {}, {}
        for name in outputs:
            source = self.output_adapters[name].queries
            if not isinstance(source, str):
                queries[name] = source(like, rows=rows.get(name))
                continue
            asking = elements[source]
            if self.output_adapters[name].leading is not None:
                asking = asking[:, : _product(pictures[name]["grid"])]
            queries[name] = _rows(asking, rows[name]) if name in rows else asking
        return queries

    def pictures(self, outputs, given: StreamInputs) -> dict:
        """Returns of outputs that the elements of an input ask for the `grid` that asks, and the `size`.

        The grid has as many places as there are queries; the size is that of the picture they were made of.
        Outputs are left out that need to know neither.
        """
        pictures = {}
        for name in outputs:
            adapter = self.output_adapters[name]
            source = adapter.queries
            if not isinstance(source, str):
                continue
            if adapter.leading is None and not isinstance(adapter.head, HEADS_OF_PICTURES):
                continue
            grid = self.input_adapters[source].grid_of(given.arrays[source])
            size = tuple(ops.shape(given.arrays[source])[len(grid) - 1 : len(grid) + 1])
            pictures[name] = {"grid": asking_grid(adapter, grid), "size": size}
        return pictures

    def query_mask(
        self, outputs, given: StreamInputs, rows: dict | None = None, pictures: dict | None = None
    ) -> dict:
        """Returns which queries read, bool `(B, O)` or `(B, 1)`, of outputs that elements of an input ask.

        An element that is not real asks for nothing, as it is not read; inputs without any are left out.
        """
        rows, masks = rows or {}, {}
        for name in outputs:
            source = self.output_adapters[name].queries
            keep = given.keep(source) if isinstance(source, str) else None
            if keep is None:
                continue
            masks[name] = keep
            if keep.shape[1] == 1:  # whole examples
                continue
            if self.output_adapters[name].leading is not None:
                masks[name] = keep[:, : _product(pictures[name]["grid"])]
            if name in rows:
                masks[name] = _rows(masks[name], rows[name])
        return masks

    def decode(
        self,
        latents,
        queries: dict,
        query_mask: dict | None = None,
        pictures: dict | None = None,
        training=None,
    ) -> dict:
        """Returns the outputs that the given queries ask for."""
        lengths = {name: ops.shape(array)[1] for name, array in queries.items()}
        mask = None
        if query_mask:
            masks = {name: _checked_mask(name, mask) for name, mask in query_mask.items()}
            mask = [spread(masks.get(name), latents, lengths[name]) for name in sorted(queries)]
            mask = mask[0] if len(mask) == 1 else ops.concatenate(mask, axis=1)
        if self.query_join is None:
            ((name, joined),) = queries.items()
            answers = {name: self.decoder(latents, joined, query_mask=mask, training=training)}
        else:
            joined = self.decoder(latents, self.query_join(queries), query_mask=mask, training=training)
            answers = self.query_join.split(joined, lengths)
        pictures = pictures or {}
        return {name: self._output(name, answers[name], pictures.get(name, {})) for name in queries}

    def _output(self, name, answers, picture):
        head = self.output_adapters[name].head
        if isinstance(head, HEADS_OF_PICTURES):
            return head(answers, **{name: _alike(sizes[-2:]) for name, sizes in picture.items()})
        if isinstance(head, TiedEmbedding):
            return head(answers, _table(self.input_adapters[head.stream].stem))
        return answers if head is None else head(answers)

    def _blank(self, name, like):
        """Returns elements for an input that is not given, and the mask that replaces them all."""
        adapter = self.input_adapters[name]
        batch, count = ops.shape(like)[0], adapter.num_elements
        mask = ops.ones((batch, 1), dtype="bool")
        return ops.zeros((batch, count, adapter.dim), dtype=like.dtype), mask


def check_parts(input_adapters, output_adapters):
    """Does nothing if every input that an output needs exists, and is what it needs.

    Raises:
        ValueError: naming the output and what it asks for.
    """
    for name, adapter in output_adapters.items():
        if isinstance(adapter.queries, str):
            check_names(f"output_adapters['{name}'].queries", [adapter.queries], input_adapters)
            if isinstance(adapter.head, HEADS_OF_PICTURES):
                _check_picture(name, adapter, input_adapters[adapter.queries].grid)
        if not isinstance(adapter.head, TiedEmbedding):
            continue
        check_names(f"output_adapters['{name}'].head.stream", [adapter.head.stream], input_adapters)
        stem = input_adapters[adapter.head.stream].stem
        if not isinstance(stem, keras.layers.Embedding):
            raise ValueError(
                f"`output_adapters['{name}'].head` shares the table of an input of ids. "
                f"Received: input `{adapter.head.stream}` with {stem}"
            )


def check_joins(parts):
    """Does nothing if the joins are of just the inputs and outputs that there are.

    Raises:
        ValueError: for one that comes from a model of others.
    """
    joins = {"input_join": parts.input_adapters, "query_join": parts.output_adapters}
    for argument, adapters in joins.items():
        join = getattr(parts, argument)
        if join is not None and set(join.channels) != set(adapters):
            raise ValueError(
                f"`{argument}` must be of a model with just {sorted(adapters)}. "
                f"Received: one of {sorted(join.channels)}"
            )


def _check_picture(name, adapter, grid):
    front = asking_grid(adapter, grid)[:-2]
    if len(grid) < 2 or math.prod(front) > 1 or (adapter.leading or 1) > grid[0]:
        raise ValueError(
            f"`output_adapters['{name}'].head` lays out one picture: the elements of one must ask, as with "
            f"`leading=1` the first of several. Received: leading={adapter.leading}, a grid of {tuple(grid)}"
        )


def asking_grid(adapter, grid):
    """Returns the sizes of the part of an input's grid whose elements ask for an output."""
    return tuple(grid) if adapter.leading is None else (adapter.leading, *grid[1:])


def _rows(x, rows):
    """Returns some elements of `(B, T, ...)`: those `(R,)` of every example, or `(B, R)`, of each its own."""
    if len(rows.shape) == 1:
        return ops.take(x, rows, axis=1)
    for _ in x.shape[2:]:
        rows = ops.expand_dims(rows, -1)
    return ops.take_along_axis(x, rows, axis=1)


def _table(stem):
    """Returns the vectors `(V, E)` of an embedding; of a quantized one, what look-ups give."""
    return stem.embeddings if stem.quantization_mode is None else stem(ops.arange(stem.input_dim))


def _alike(sizes):
    """Returns sizes as Keras lets them into a call: all of them numbers, or all tensors."""
    if all(size is None or isinstance(size, int) for size in sizes):
        return tuple(sizes)
    return tuple(ops.convert_to_tensor(size, "int32") for size in sizes)


def _product(grid):
    """Returns the number of places; `None` where a symbolic call does not know a size."""
    return None if any(size is None for size in grid) else math.prod(grid)


def _checked_mask(name, mask):
    mask = ops.convert_to_tensor(mask)
    if keras.backend.standardize_dtype(mask.dtype) != "bool" or len(mask.shape) != 2:
        raise ValueError(
            f"`query_mask['{name}']` must be bool (B, O), True = may read. "
            f"Received: {keras.backend.standardize_dtype(mask.dtype)} {tuple(mask.shape)}"
        )
    return mask
