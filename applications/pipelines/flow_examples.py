"""Pairs of frames with flow decoded on the fly, in order, with every one accounted for.

A pair that cannot be used keeps its place in the order as a blank of which no pixel is valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.accounted_reading import Order, Reading, accounted
from zorro_keras.applications.pipelines.flow_entry import FlowEntry
from zorro_keras.applications.pipelines.flow_pairs import FlowPair, read_pair
from zorro_keras.applications.pipelines.host_errors import FaultSlot, watched_dataset

_BLANK_PX = 2


def flow_examples(
    entries: Sequence[FlowEntry],
    order_from: Order,
    reading: Reading,
    faults: FaultSlot,
    *,
    start_position: int = 0,
) -> tf.data.Dataset:
    """Reads the pairs of an order.

    Args:
        entries: sequence of `FlowEntry`. The pairs of one split.
        order_from: function from a position to the order from there on: see `accounted`.
        reading: `Reading`.
        faults: `FaultSlot`. Receives the error that ends the data set, since TensorFlow only passes on its
            text.
        start_position: int. The first position to read.

    Returns:
        Dataset of dicts: `frames` uint8 `(2, Y, X, 3)` of any size, `flow` float32 `(Y, X, 2)` in pixels,
        `valid` bool `(Y, X)`, `position` int64, and `presence`, a dict with `frames`, bool. A blank is 2 x 2
        px of zeros, without a valid one.
    """
    ids = [entry.id for entry in entries]

    def read(index: int) -> FlowPair:
        return read_pair(entries[index], root=reading.root, max_pixels=reading.max_pixels)

    def generate() -> Iterator[dict[str, Any]]:
        for position, _, pair in accounted(ids, order_from, read, reading, start_position):
            yield _example(position, pair)

    signature = {
        "frames": tf.TensorSpec([2, None, None, 3], tf.uint8),
        "flow": tf.TensorSpec([None, None, 2], tf.float32),
        "valid": tf.TensorSpec([None, None], tf.bool),
        "position": tf.TensorSpec([], tf.int64),
        "presence": {"frames": tf.TensorSpec([], tf.bool)},
    }
    return watched_dataset(generate, signature, faults)


def _example(position: int, pair: FlowPair | None) -> dict[str, Any]:
    size = (_BLANK_PX, _BLANK_PX) if pair is None else pair.valid.shape
    return {
        "frames": np.zeros((2, *size, 3), np.uint8) if pair is None else pair.frames,
        "flow": np.zeros((*size, 2), np.float32) if pair is None else pair.flow,
        "valid": np.zeros(size, bool) if pair is None else pair.valid,
        "position": position,
        "presence": {"frames": pair is not None},
    }
