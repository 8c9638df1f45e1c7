import dataclasses
import itertools
from functools import partial

import keras
import numpy as np
import pytest

from tests.applications.batch_parts import check_parts
from zorro_keras.applications.masked_language.data import evaluation_dataset, open_data, training_dataset
from zorro_keras.applications.masked_language.preprocessor import MaskedLanguagePreprocessor
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.host_errors import host_errors
from zorro_keras.applications.pipelines.text_tokens import MASK, Bytes

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def preprocessor(config):
    return MaskedLanguagePreprocessor("bytes", config.data.length, config.data.mask_rate)


def batches(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def equal(first, second):
    same = keras.tree.map_structure(lambda one, other: bool((one == other).all()), first, second)
    return all(keras.tree.flatten(same))


def test_a_batch_hides_words_and_says_where(data, config, preprocessor):
    (x, labels, weight), *_ = batches(training_dataset(data, config, preprocessor), 1)
    places = x["mask_positions"]
    assert x["text"].shape == x["padding_mask"]["text"].shape == (4, 24)
    assert places.shape == labels.shape == weight.shape == (4, preprocessor.mask_selection_length)
    hidden = x["text"] == MASK
    assert (weight.sum(1) == hidden.sum(1)).all() and 0 < weight.sum() < weight.size / 2
    for row in range(4):
        assert (np.sort(places[row][weight[row] == 1]) == np.flatnonzero(hidden[row])).all()
    assert (x["padding_mask"]["text"] == (x["text"] != 0)).all()
    assert (labels[weight == 1] > 5).all() and not places[weight == 0].any()


def test_what_stood_at_the_hidden_places_gives_the_text_again(preprocessor):
    ids = Bytes().encode("the quick dog jumps over")
    hidden_once = False
    for seed in range(5):
        x, labels, weight = preprocessor.mask_rows([ids], [[seed]])
        whole, is_hidden = x["text"][0].copy(), weight[0] == 1
        whole[x["mask_positions"][0][is_hidden]] = labels[0][is_hidden]
        assert (whole[: len(ids)] == ids[: len(whole)]).all() and not whole[len(ids) :].any()
        hidden_once = hidden_once or is_hidden.any()
    assert hidden_once


def test_training_goes_on_from_any_step(data, config, preprocessor):
    whole = batches(training_dataset(data, config, preprocessor), 7)
    for start in (1, 4):
        rest = batches(training_dataset(data, config, preprocessor, start_step=start), 7 - start)
        assert equal(rest, whole[start:])
    other = dataclasses.replace(config, training=dataclasses.replace(config.training, seed=1))
    assert not equal(batches(training_dataset(data, other, preprocessor), 7), whole)
    with pytest.raises(ValueError, match="`start_step` must not be negative"):
        training_dataset(data, config, preprocessor, start_step=-1)


def test_the_same_text_is_hidden_differently_in_another_pass(data, config, preprocessor):
    rows = {}
    for x, labels, _ in batches(training_dataset(data, config, preprocessor), 700):
        for row, places, label in zip(x["text"], x["mask_positions"], labels, strict=True):
            whole = row.copy()
            whole[places[label > 5]] = label[label > 5]
            rows.setdefault(whole.tobytes(), set()).add(row.tobytes())
    assert max(map(len, rows.values())) > 1


def test_evaluation_is_the_same_each_time_and_pads_with_rows_that_weigh_nothing(data, config, preprocessor):
    dataset, names = evaluation_dataset(data, config, preprocessor)
    first, second = batches(dataset, 9), batches(dataset, 9)
    assert len(first) == 3 and len(names) == 10 and equal(first, second)
    x, _, weight = first[-1]
    assert x["padding_mask"]["text"].any(1).tolist() == [True, True, False, False]
    assert weight[2:].sum() == 0 and sum(weight.sum() for _, _, weight in first) > 0


def test_held_out_texts_are_never_trained_on(data):
    assert not set(data.texts.texts("train")) & set(data.texts.texts("test"))
    assert data.num_train == data.texts.num_texts("train") and data.texts.num_texts("test") > 0


def test_an_empty_split_is_refused(tmp_path, config):
    (tmp_path / "one.txt").write_text("one text alone")
    with pytest.raises(SourceError, match="No text is in the"):
        open_data(tmp_path, config)


def test_a_file_that_changes_under_the_training_is_named(tmp_path, config, preprocessor):
    path = tmp_path / "a.txt"
    path.write_text("\n\n".join(f"text {number}" for number in range(40)))
    data = open_data(tmp_path, config)
    path.write_bytes(path.read_bytes()[:50] + b"\xff" + path.read_bytes()[51:])
    with pytest.raises(SourceError, match="not UTF-8 at byte 50"), host_errors(data.faults):
        batches(training_dataset(data, config, preprocessor), 40)


def test_seeds_make_draws_that_do_not_repeat(preprocessor):
    rows = [Bytes().encode("some words in a row here")] * 40
    (x, _, _) = preprocessor.mask_rows(rows, [[0, 3, row] for row in range(40)])
    assert len(np.unique(x["text"], axis=0)) > 10


def test_hosts_that_give_their_own_rows_give_the_batches_of_one(data, config, preprocessor):
    check_parts(partial(training_dataset, data, config, preprocessor))
