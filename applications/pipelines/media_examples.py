"""Examples decoded from media files on the fly, by worker processes, with every clip accounted for.

A clip that cannot be used keeps its place in the order as a blank: zeros, absent in every stream, so no loss
and no metric counts it. Nothing takes its place, so batches keep their shape and resuming still needs one
integer.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.decode_task import DecodeTask, decode
from zorro_keras.applications.pipelines.faults import Ledger, ZorroError
from zorro_keras.applications.pipelines.host_errors import FaultSlot, watched_dataset
from zorro_keras.applications.pipelines.media import Window
from zorro_keras.applications.pipelines.media_reading import MediaReading
from zorro_keras.applications.pipelines.order import rest_of_pass
from zorro_keras.applications.pipelines.sources import Source
from zorro_keras.applications.pipelines.workers import DecodePool


def media_examples(
    source: Source,
    order_from: Callable[[int], tf.data.Dataset],
    reading: MediaReading,
    faults: FaultSlot,
    *,
    start_position: int = 0,
    windows_per_clip: int = 1,
) -> tf.data.Dataset:
    """Decodes examples in worker processes, in order.

    Args:
        source: `Source`. The clips of one split.
        order_from: function from a position to the order from there on: a dataset of dicts `position`,
            `index`, `fraction`, from `order.py`. An infinite one is accounted for pass by pass.
        reading: `MediaReading`.
        faults: `FaultSlot`. Receives the error that ends the data set, since TensorFlow only passes on its
            text.
        start_position: int. The first position to read.
        windows_per_clip: int. How often each clip stands in one pass.

    Returns:
        Dataset of raw examples as `shard_examples` gives them, frames at the size of `reading.geometry`.
    """
    decoded = partial(_decoded, source, order_from, reading, start_position, windows_per_clip)
    return watched_dataset(decoded, _signature(reading), faults)


def _decoded(
    source: Source,
    order_from: Callable[[int], tf.data.Dataset],
    reading: MediaReading,
    start_position: int,
    windows_per_clip: int,
) -> Iterator[dict[str, Any]]:
    order = order_from(start_position)
    pass_length = len(source.entries) * windows_per_clip
    last_pass = None if order.cardinality() == tf.data.INFINITE_CARDINALITY else start_position // pass_length
    tasks = (_task(source, place, reading, windows_per_clip) for place in order.as_numpy_iterator())
    position = start_position
    with DecodePool(
        reading.num_workers,
        deadline_seconds=reading.deadline_seconds,
        max_worker_bytes=reading.max_worker_bytes,
    ) as pool:
        results = pool.map_ordered(decode, tasks)
        while last_pass is None or position // pass_length <= last_pass:
            num_left = pass_length - position % pass_length
            rest = rest_of_pass(order_from(position), position + num_left)
            names = _each_once(_task(source, place, reading, windows_per_clip).id for place in rest)
            # The share allowed belongs to the whole pass: a restart near its end must not be stricter than no
            # restart.
            share = min(1.0, reading.max_bad_fraction * pass_length / num_left)
            with Ledger(
                names, max_bad_fraction=share, on_error=reading.on_error, log_path=reading.faults_path
            ) as ledger:
                for name, (task, result) in zip(names, itertools.islice(results, len(names)), strict=False):
                    window = _settled(ledger, name, result)
                    yield _example(task, window, source.entries[task.index].label_indices, reading)
            position += num_left


def _task(source: Source, place: dict[str, Any], reading: MediaReading, windows_per_clip: int) -> DecodeTask:
    entry = source.entries[int(place["index"])]
    window_name = f"#{int(place['position']) % windows_per_clip}" if windows_per_clip > 1 else ""
    return DecodeTask(
        id=entry.id + window_name,
        path=entry.path,
        root=source.root,
        start_seconds=entry.start_seconds,
        end_seconds=entry.end_seconds,
        fraction=float(place["fraction"]),
        geometry=reading.geometry,
        streams=reading.streams,
        on_error=reading.on_error,
        index=int(place["index"]),
        position=int(place["position"]),
        parts=entry.parts,
    )


def _each_once(ids: Iterable[str]) -> list[str]:
    """Names for the ids of a pass, in which a clip may come more than once: `a`, `b`, `a again 1`."""
    seen: Counter[str] = Counter()
    names = []
    for clip_id in ids:
        names.append(f"{clip_id} again {seen[clip_id]}" if seen[clip_id] else clip_id)
        seen[clip_id] += 1
    return names


def _settled(ledger: Ledger, name: str, result: Window | ZorroError) -> Window | None:
    """Accounts for one result. Returns what is left of it, or None."""
    if isinstance(result, ZorroError):
        ledger.skip(name, result)
        return None
    if not result.faults:
        ledger.use(name)
        return result
    if result.audio is None and result.video is None:
        ledger.skip(name, result.faults[0])
        return None
    stream = "audio" if result.audio is None else "video"
    outcome = ledger.drop_stream(name, stream, result.faults[0])
    return result if outcome == "dropped_stream" else None


def _example(
    task: DecodeTask, window: Window | None, label_indices: Sequence[int], reading: MediaReading
) -> dict[str, Any]:
    labels = np.zeros(reading.num_classes, np.float32)
    labels[list(label_indices)] = 1.0
    example, presence = {}, {}
    for stream, spec in _stream_specs(reading).items():
        value = None if window is None else getattr(window, stream)
        presence[stream] = value is not None
        example[stream] = np.zeros(spec.shape, spec.dtype.as_numpy_dtype) if value is None else value
    return {"id": task.id, "position": task.position, **example, "presence": presence, "labels": labels}


def _stream_specs(reading: MediaReading) -> dict[str, tf.TensorSpec]:
    clip = reading.geometry
    specs = {
        "audio": tf.TensorSpec([clip.num_samples], tf.float32),
        "video": tf.TensorSpec([clip.num_frames, clip.height_px, clip.width_px, 3], tf.uint8),
    }
    return {stream: specs[stream] for stream in reading.streams}


def _signature(reading: MediaReading) -> dict[str, Any]:
    return {
        "id": tf.TensorSpec([], tf.string),
        "position": tf.TensorSpec([], tf.int64),
        **_stream_specs(reading),
        "presence": {stream: tf.TensorSpec([], tf.bool) for stream in reading.streams},
        "labels": tf.TensorSpec([reading.num_classes], tf.float32),
    }
