"""The generated tasks: GLUE's layout, always the same, and labels that hang on the order of the words."""

import random
from collections import Counter, defaultdict

import pytest

from zorro_keras.applications.text_classification.generated_text import (
    BAD,
    COUNTS,
    GOOD,
    acceptability,
    sentiment,
    write_generated_glue,
)
from zorro_keras.applications.text_classification.glue_files import read_glue


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read_glue(write_generated_glue(tmp_path_factory.mktemp("glue")))


def test_two_tasks_of_glue_lie_in_its_columns(data):
    assert [task.name for task in data.tasks] == ["CoLA", "SST-2"] and not data.problems
    sizes = {"train": COUNTS["train"], "val": COUNTS["dev"], "test": COUNTS["test"]}
    for part in data.sets:
        assert len(part) == sizes[part.split]
        assert (part.labels is None) == (part.split == "test")
        if part.labels is not None:
            assert 0.45 < part.labels.mean() < 0.55


def test_no_text_stands_in_two_splits(data):
    for task in data.tasks:
        texts = [text for part in data.sets if part.task == task.name for text in part.texts]
        assert len(texts) == len({*texts})


def best_guess(key, grammar, draws=60_000):
    """How often the commonest label of each value of `key(text)` is right, where it comes ten times."""
    draw, found = random.Random(0), defaultdict(Counter)
    for _ in range(draws):
        (text,), label = grammar(draw)
        found[key(text)][label] += 1
    seen = [labels for labels in found.values() if labels.total() >= 10]
    assert seen
    return sum(max(labels.values()) for labels in seen) / sum(labels.total() for labels in seen)


def words(text):
    return tuple(sorted(text.split()))


def test_the_words_without_their_order_do_not_tell_what_is_acceptable():
    assert best_guess(words, acceptability) < 0.66  # half, and what few draws of each leave to luck


def test_the_words_without_their_order_tell_seven_sentiments_in_eight():
    telling = {"not", "and", *GOOD, *BAD}
    assert best_guess(lambda text: tuple(w for w in words(text) if w in telling), sentiment) < 0.89
    assert best_guess(lambda text: tuple(w for w in text.split() if w in telling), sentiment) == 1.0


def test_the_same_bytes_are_written_each_time(tmp_path):
    one, two = (write_generated_glue(tmp_path / name) for name in ("one", "two"))
    files = sorted(path.relative_to(one) for path in one.rglob("*.tsv"))
    assert len(files) == 6
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)
