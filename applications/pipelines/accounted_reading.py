"""Files read in threads, in order, with every one accounted for.

What cannot be read keeps its place in the order, so that resuming needs one integer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

import tensorflow as tf

from zorro_keras.applications.pipelines.faults import Ledger, MediaError, ZorroError
from zorro_keras.applications.pipelines.image_decode import MAX_PIXELS
from zorro_keras.applications.pipelines.order import rest_of_pass

T = TypeVar("T")
Order = Callable[[int], tf.data.Dataset]
_AHEAD_PER_WORKER = 8


@dataclass(frozen=True)
class Reading:
    """How files are read, and what happens to those that cannot be.

    Args:
        root: str. Nothing outside this folder is opened.
        on_error: "raise" stops at the first bad file; "skip" leaves bad ones out.
        max_bad_fraction: float in [0, 1]. A larger share of bad files in one pass stops the run.
        num_workers: int >= 1. Threads that read and decode; decoding does not hold Python's lock.
        max_pixels: int. Larger pictures are refused before they are decoded.
        faults_path: optional path. Faults are appended here as JSON lines.
        num_ahead: optional int >= 1. What is read and waits to be used, at most; None for 8 for each worker.
    """

    root: str
    on_error: Literal["raise", "skip"] = "raise"
    max_bad_fraction: float = 0.01
    num_workers: int = 2
    max_pixels: int = MAX_PIXELS
    faults_path: str | Path | None = None
    num_ahead: int | None = None


def accounted(
    ids: Sequence[str], order_from: Order, read: Callable[[int], T], reading: Reading, start_position: int = 0
) -> Iterator[tuple[int, int, T | None]]:
    """Reads what stands in an order.

    Args:
        ids: sequence of str, unique. Index i is read by `read(i)`.
        order_from: function from a position to the order from there on: a dataset of dicts `position`,
            `index`, from `order.py`. An infinite one is accounted for pass by pass.
        read: function of an index, called in threads.
        reading: `Reading`.
        start_position: int. The first position to read.

    Yields:
        (position, index, what was read, or None where it is left out).

    Raises:
        ZorroError: as `reading.on_error` and `reading.max_bad_fraction` say.
    """
    order = order_from(start_position)
    is_endless = order.cardinality() == tf.data.INFINITE_CARDINALITY
    places = ((int(place["position"]), int(place["index"])) for place in order.as_numpy_iterator())
    position, num_all = start_position, len(ids)

    def guarded(index: int) -> T | ZorroError:
        return _guarded(read, index, ids[index])

    with ThreadPoolExecutor(reading.num_workers, thread_name_prefix="read") as pool:
        num_ahead = reading.num_ahead or _AHEAD_PER_WORKER * reading.num_workers
        results = _in_order(pool, places, guarded, num_ahead)
        while True:
            num_left = num_all - position % num_all
            rest = rest_of_pass(order_from(position), position + num_left)
            expected = [ids[int(place["index"])] for place in rest]
            # The share allowed belongs to the whole pass: a restart near its end must not be stricter.
            share = min(1.0, reading.max_bad_fraction * num_all / num_left)
            with Ledger(
                expected, max_bad_fraction=share, on_error=reading.on_error, log_path=reading.faults_path
            ) as ledger:
                for place, index, result in islice(results, len(expected)):
                    if isinstance(result, ZorroError):
                        ledger.skip(ids[index], result)
                        yield place, index, None
                    else:
                        ledger.use(ids[index])
                        yield place, index, result
            position += num_left
            if not is_endless:
                return


def _guarded(read: Callable[[int], T], index: int, name: str) -> T | ZorroError:
    try:
        return read(index)
    except ZorroError as error:
        return error
    except Exception as error:  # decoders fail in many ways; one file must not stop the others
        return MediaError(
            f"Reading failed with {type(error).__name__}: {error}", row=name, stage="decode", reason="unknown"
        )


def _in_order(
    pool: ThreadPoolExecutor, places: Iterator[tuple[int, int]], read: Callable[[int], Any], num_ahead: int
) -> Iterator[tuple[int, int, Any]]:
    """Reads ahead in threads and gives position, index and result in the order of `places`."""
    waiting: deque[tuple[int, int, Future]] = deque()
    try:
        for position, index in places:
            waiting.append((position, index, pool.submit(read, index)))
            if len(waiting) >= num_ahead:
                first = waiting.popleft()
                yield first[0], first[1], first[2].result()
        while waiting:
            first = waiting.popleft()
            yield first[0], first[1], first[2].result()
    finally:
        for _, _, future in waiting:
            future.cancel()
