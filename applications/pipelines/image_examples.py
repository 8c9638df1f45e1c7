"""Pictures decoded on the fly, in order, with every one accounted for.

A picture that cannot be used keeps its place in the order as a blank that no loss and no metric counts, so
batches keep their shape and resuming needs one integer.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.faults import Ledger, MediaError, ZorroError
from zorro_keras.applications.pipelines.host_errors import FaultSlot
from zorro_keras.applications.pipelines.image_decode import (
    MAX_PIXELS,
    DecodedImage,
    decode_image,
    read_bytes,
)
from zorro_keras.applications.pipelines.image_sources import ImageEntry

_AHEAD_PER_WORKER = 8


@dataclass(frozen=True)
class ImageReading:
    """How pictures are read, and what happens to those that cannot be.

    Args:
        root: str. Nothing outside this folder is opened.
        num_classes: int. K.
        on_error: "raise" stops at the first bad picture; "skip" leaves bad ones out.
        max_bad_fraction: float in [0, 1]. A larger share of bad pictures in one pass stops the run.
        num_workers: int >= 1. Threads that read and decode; decoding does not hold Python's lock.
        max_pixels: int. Larger pictures are refused before they are decoded.
        faults_path: optional path. Faults are appended here as JSON lines, and once per picture what is
            uncommon about one that is used all the same, such as "cmyk".
    """

    root: str
    num_classes: int
    on_error: Literal["raise", "skip"] = "raise"
    max_bad_fraction: float = 0.01
    num_workers: int = 2
    max_pixels: int = MAX_PIXELS
    faults_path: str | Path | None = None


def image_examples(
    entries: Sequence[ImageEntry],
    order_from: Callable[[int], tf.data.Dataset],
    reading: ImageReading,
    faults: FaultSlot,
    *,
    start_position: int = 0,
) -> tf.data.Dataset:
    """Reads the pictures of an order.

    Args:
        entries: sequence of `ImageEntry`. The pictures of one split.
        order_from: function from a position to the order from there on: a dataset of dicts `position`,
            `index`, from `order.py`. An infinite one is accounted for pass by pass.
        reading: `ImageReading`.
        faults: `FaultSlot`. Receives the error that ends the data set, since TensorFlow only passes on its
            text.
        start_position: int. The first position to read.

    Returns:
        Dataset of dicts: `image` uint8 `(Y, X, 3)` of any size, `position` int64, `presence` a dict with
        `image`, bool, and `labels` float32 `(K,)`. A blank is 2 x 2 px of zeros, without labels.
    """

    def generate() -> Iterator[dict[str, Any]]:
        try:
            yield from _accounted(entries, order_from, reading, start_position)
        except ZorroError as error:
            faults.put(error)
            raise

    signature = {
        "image": tf.TensorSpec([None, None, 3], tf.uint8),
        "position": tf.TensorSpec([], tf.int64),
        "presence": {"image": tf.TensorSpec([], tf.bool)},
        "labels": tf.TensorSpec([reading.num_classes], tf.float32),
    }
    return tf.data.Dataset.from_generator(generate, output_signature=signature)


def _accounted(
    entries: Sequence[ImageEntry],
    order_from: Callable[[int], tf.data.Dataset],
    reading: ImageReading,
    start_position: int,
) -> Iterator[dict[str, Any]]:
    order = order_from(start_position)
    is_endless = order.cardinality() == tf.data.INFINITE_CARDINALITY
    places = ((int(place["position"]), int(place["index"])) for place in order.as_numpy_iterator())
    notes, position, num_all = _Notes(reading.faults_path), start_position, len(entries)
    with ThreadPoolExecutor(reading.num_workers, thread_name_prefix="read_image") as pool:
        results = _in_order(pool, places, lambda index: _read(entries[index], reading), reading.num_workers)
        while True:
            num_left = num_all - position % num_all
            rest = order_from(position).take(num_left).as_numpy_iterator()
            ids = [entries[int(place["index"])].id for place in rest]
            # The share allowed belongs to the whole pass: a restart near its end must not be stricter.
            share = min(1.0, reading.max_bad_fraction * num_all / num_left)
            with Ledger(
                ids, max_bad_fraction=share, on_error=reading.on_error, log_path=reading.faults_path
            ) as ledger:
                for place, index, result in islice(results, num_left):
                    image = _settled(ledger, notes, entries[index], result)
                    yield _example(place, image, entries[index], reading)
            position += num_left
            if not is_endless:
                return


def _in_order(
    pool: ThreadPoolExecutor,
    places: Iterator[tuple[int, int]],
    read: Callable[[int], DecodedImage | ZorroError],
    num_workers: int,
) -> Iterator[tuple[int, int, DecodedImage | ZorroError]]:
    """Reads ahead in threads and gives position, index and result in the order of `places`."""
    waiting: deque[tuple[int, int, Future]] = deque()
    try:
        for position, index in places:
            waiting.append((position, index, pool.submit(read, index)))
            if len(waiting) >= _AHEAD_PER_WORKER * num_workers:
                first = waiting.popleft()
                yield first[0], first[1], first[2].result()
        while waiting:
            first = waiting.popleft()
            yield first[0], first[1], first[2].result()
    finally:
        for _, _, future in waiting:
            future.cancel()


def _read(entry: ImageEntry, reading: ImageReading) -> DecodedImage | ZorroError:
    try:
        num_bytes = None if entry.offset is None else entry.num_bytes
        data = read_bytes(entry.path, root=reading.root, offset=entry.offset or 0, num_bytes=num_bytes)
        name = entry.path if entry.offset is None else entry.id
        return decode_image(data, name, max_pixels=reading.max_pixels)
    except ZorroError as error:
        return error
    except Exception as error:  # decoders fail in many ways; one picture must not stop the others
        return MediaError(
            f"Reading failed with {type(error).__name__}: {error}",
            path=entry.path, row=entry.id, stage="decode", reason="unknown",
        )  # fmt: skip


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


def _settled(
    ledger: Ledger, notes: _Notes, entry: ImageEntry, result: DecodedImage | ZorroError
) -> DecodedImage | None:
    """Accounts for one result. Returns the picture, or None where it is left out."""
    if isinstance(result, ZorroError):
        ledger.skip(entry.id, result)
        return None
    notes.write(entry.id, result.notes)
    ledger.use(entry.id)
    return result


def _example(
    position: int, image: DecodedImage | None, entry: ImageEntry, reading: ImageReading
) -> dict[str, Any]:
    labels = np.zeros(reading.num_classes, np.float32)
    if image is not None:
        labels[entry.label_index] = 1.0
    return {
        "image": np.zeros((2, 2, 3), np.uint8) if image is None else image.pixels,
        "position": position,
        "presence": {"image": image is not None},
        "labels": labels,
    }
