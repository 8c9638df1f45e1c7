"""Pictures decoded on the fly, in order, with every one accounted for.

A picture that cannot be used keeps its place in the order as a blank that no loss and no metric counts, so
batches keep their shape and resuming needs one integer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.accounted_reading import Order, Reading, accounted
from zorro_keras.applications.pipelines.host_errors import FaultSlot, watched_dataset
from zorro_keras.applications.pipelines.image_decode import DecodedImage, decode_image, read_bytes
from zorro_keras.applications.pipelines.image_sources import ImageEntry


def image_examples(
    entries: Sequence[ImageEntry],
    order_from: Order,
    reading: Reading,
    faults: FaultSlot,
    *,
    num_classes: int,
    start_position: int = 0,
) -> tf.data.Dataset:
    """Reads the pictures of an order.

    Args:
        entries: sequence of `ImageEntry`. The pictures of one split.
        order_from: function from a position to the order from there on: see `accounted`.
        reading: `Reading`. Its `faults_path` also gets, once per picture, what is uncommon about one that is
            used all the same, such as "cmyk".
        faults: `FaultSlot`. Receives the error that ends the data set, since TensorFlow only passes on its
            text.
        num_classes: int. K.
        start_position: int. The first position to read.

    Returns:
        Dataset of dicts: `image` uint8 `(Y, X, 3)` of any size, `position` int64, `presence` a dict with
        `image`, bool, and `labels` float32 `(K,)`. A blank is 2 x 2 px of zeros, without labels.
    """
    ids = [entry.id for entry in entries]

    def generate() -> Iterator[dict[str, Any]]:
        notes = _Notes(reading.faults_path)
        read = accounted(
            ids, order_from, lambda index: _read(entries[index], reading), reading, start_position
        )
        for position, index, image in read:
            if image is not None:
                notes.write(ids[index], image.notes)
            yield _example(position, image, entries[index], num_classes)

    signature = {
        "image": tf.TensorSpec([None, None, 3], tf.uint8),
        "position": tf.TensorSpec([], tf.int64),
        "presence": {"image": tf.TensorSpec([], tf.bool)},
        "labels": tf.TensorSpec([num_classes], tf.float32),
    }
    return watched_dataset(generate, signature, faults)


def _read(entry: ImageEntry, reading: Reading) -> DecodedImage:
    num_bytes = None if entry.offset is None else entry.num_bytes
    data = read_bytes(entry.path, root=reading.root, offset=entry.offset or 0, num_bytes=num_bytes)
    name = entry.path if entry.offset is None else entry.id
    return decode_image(data, name, max_pixels=reading.max_pixels)


@dataclass
class _Notes:
    """What is uncommon about pictures that are used, written down once per picture."""

    path: str | Path | None
    seen: set[str] = field(default_factory=set)

    def write(self, image_id: str, notes: Sequence[str]) -> None:
        if self.path is None or not notes or image_id in self.seen:
            return
        self.seen.add(image_id)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"id": image_id, "outcome": "used", "notes": list(notes)}) + "\n")


def _example(
    position: int, image: DecodedImage | None, entry: ImageEntry, num_classes: int
) -> dict[str, Any]:
    labels = np.zeros(num_classes, np.float32)
    if image is not None:
        labels[entry.label_index] = 1.0
    return {
        "image": np.zeros((2, 2, 3), np.uint8) if image is None else image.pixels,
        "position": position,
        "presence": {"image": image is not None},
        "labels": labels,
    }
