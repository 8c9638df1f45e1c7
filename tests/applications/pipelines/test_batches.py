"""Batches of one shape: whole ones for training, blanks at the end for evaluation."""

from functools import partial

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.batches import evaluation_batches, training_batches  # noqa: E402


def _examples(count):
    def example(position):
        return {
            "id": tf.strings.as_string(position),
            "audio": tf.fill([3], tf.cast(position + 1, tf.float32)),
            "presence": {"audio": position != 2, "video": tf.constant(False)},
        }

    return tf.data.Dataset.range(count).map(example)


def test_training_leaves_out_what_fills_no_batch():
    batches = list(training_batches(_examples(7), 3))
    assert [batch["audio"].shape[0] for batch in batches] == [3, 3]
    assert training_batches(_examples(7), 3).element_spec["audio"].shape == (3, 3)


def test_evaluation_fills_the_last_batch_with_blanks_of_no_weight():
    batches = list(evaluation_batches(_examples(7), 3, 7).as_numpy_iterator())
    assert len(batches) == 3
    assert all(batch["audio"].shape == (3, 3) for batch in batches)
    assert np.concatenate([batch["weight"] for batch in batches]).tolist() == [1, 1, 0, 1, 1, 1, 1, 0, 0]
    last = batches[-1]
    assert last["id"].tolist() == [b"6", b"", b""]
    assert last["presence"]["audio"].tolist() == [True, False, False]
    np.testing.assert_array_equal(last["audio"], [[7] * 3, [0] * 3, [0] * 3])


def test_an_example_without_any_stream_has_no_weight():
    first = next(iter(evaluation_batches(_examples(7), 7, 7)))
    assert first["weight"].numpy().tolist() == [1, 1, 0, 1, 1, 1, 1]


def test_evaluation_batches_have_a_static_shape():
    spec = evaluation_batches(_examples(7), 3, 7).element_spec
    assert spec["audio"].shape == (3, 3)
    assert spec["weight"].shape == (3,)


def test_evaluation_batches_of_a_generator_know_how_many_they_are():
    examples = _examples(7)
    generated = tf.data.Dataset.from_generator(lambda: examples, output_signature=examples.element_spec)
    assert generated.cardinality() == tf.data.UNKNOWN_CARDINALITY
    batches = evaluation_batches(generated, 3, 7)
    assert batches.cardinality() == len(list(batches)) == 3


def test_a_wrong_number_of_examples_is_noticed():
    examples = _examples(7).filter(lambda example: True)  # which forgets how many there are
    assert len(list(evaluation_batches(examples, 3, 7))) == 3
    with pytest.raises(tf.errors.FailedPreconditionError, match="expected to contain 4 elements"):
        list(evaluation_batches(examples, 3, 10))


@pytest.mark.parametrize("batches", [training_batches, partial(evaluation_batches, num_examples=7)])
def test_a_batch_size_of_zero_is_refused(batches):
    with pytest.raises(ValueError, match="`batch_size` must be positive. Received: batch_size=0"):
        batches(_examples(7), 0)
