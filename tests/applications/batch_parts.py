"""Checks that several hosts, each of which reads its own rows, give the batches of one host."""

from collections.abc import Callable
from itertools import islice

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.batch_rows import BatchPart


def check_parts(training_dataset: Callable[..., tf.data.Dataset], *, count: int = 2, steps: int = 5) -> None:
    """Compares bytes.

    Args:
        training_dataset: takes `start_step` and `part`.
        count: parts of a batch.
        steps: batches to compare. Those from the third on are also read by the last host after a restart.
    """
    whole = _batches(training_dataset(), steps)
    parts = [_batches(training_dataset(part=BatchPart(index, count)), steps) for index in range(count)]
    for expected, *rows in zip(whole, *parts, strict=True):
        joined = tf.nest.map_structure(lambda *values: np.concatenate(values), *rows)
        tf.nest.map_structure(np.testing.assert_array_equal, joined, expected)
    again = _batches(training_dataset(start_step=2, part=BatchPart(count - 1, count)), steps - 2)
    tf.nest.map_structure(np.testing.assert_array_equal, again, parts[-1][2:])


def check_steps(training_dataset: Callable[..., tf.data.Dataset]) -> None:
    """Compares bytes of the batches of steps that are asked for, in any order, with those of training."""
    whole, wanted = _batches(training_dataset(), 4), [3, 1, 2]
    found = _batches(training_dataset(steps=tf.data.Dataset.from_tensor_slices(np.int64(wanted))), 4)
    assert [step for step, _ in found] == wanted
    for step, batch in found:
        tf.nest.map_structure(np.testing.assert_array_equal, batch, whole[step])


def positions_read(monkeypatch, module, training_dataset, num_batches: int) -> list[int]:
    """The positions of the examples that are read and decoded for the first batches of a dataset.

    Args:
        module: where `training_batches` makes batches of examples.
        training_dataset: function without arguments.
    """
    seen, batch = [], module.training_batches

    def watched(examples, size):
        seen.append((examples, size))
        return batch(examples, size)

    with monkeypatch.context() as patched:
        patched.setattr(module, "training_batches", watched)
        training_dataset()
    (examples, size), *_ = seen
    examples = examples.map(lambda example: example["position"]).as_numpy_iterator()
    return [int(position) for position in islice(examples, size * num_batches)]


def _batches(dataset, count):
    return list(dataset.take(count).as_numpy_iterator())
