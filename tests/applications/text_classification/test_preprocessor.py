"""Texts and pairs as ids of one length."""

import numpy as np
import pytest

from zorro_keras.applications.pipelines.text_tokens import SEP
from zorro_keras.applications.text_classification import TextPreprocessor


def ids(text):
    return [byte + 6 for byte in text.encode()]


def test_a_pair_is_written_a_sep_b_and_nothing_else_is_added():
    preprocessor = TextPreprocessor(length=13)
    x = preprocessor([("né",), ("ab", "cde"), "lone", ("",)])
    rows = [ids("né"), [*ids("ab"), SEP, *ids("cde")], ids("lone"), []]
    assert x["text"].shape == (4, 13) and x["text"].dtype == np.int32
    for found, real, expected in zip(x["text"], x["padding_mask"]["text"], rows, strict=True):
        assert found.tolist() == expected + [0] * (13 - len(expected))
        assert real.tolist() == [True] * len(expected) + [False] * (13 - len(expected))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("aaaaaaaaaa", "bb", "aaaaaaa|bb"),  # the longer text loses its end
        ("aa", "bbbbbbbbbb", "aa|bbbbbbb"),
        ("aaaaaaaaaa", "bbbbbbbbbb", "aaaaa|bbbb"),
        ("aaaa", "bbbbb", "aaaa|bbbbb"),  # fits as it is
    ],
)
def test_a_pair_that_is_too_long_is_cut_at_the_longer_text(first, second, expected):
    preprocessor = TextPreprocessor(length=10)
    found = preprocessor.ids_of((first, second))
    assert "".join("|" if each == SEP else chr(each - 6) for each in found) == expected
    assert preprocessor.is_cut((first, second)) == (len(first) + len(second) + 1 > 10)


def test_a_long_text_loses_its_end():
    preprocessor = TextPreprocessor(length=4)
    assert preprocessor.ids_of("abcdef").tolist() == ids("abcd")
    assert preprocessor.is_cut("abcdef") and not preprocessor.is_cut("abcd")


def test_labels_pass_through_and_the_config_rebuilds_it():
    preprocessor = TextPreprocessor(length=5, label_names={"RTE": ("yes", "no"), "STS-B": ("score",)})
    rebuilt = TextPreprocessor.from_config(preprocessor.get_config())
    assert rebuilt.get_config() == preprocessor.get_config()
    assert rebuilt.label_names == {"RTE": ["yes", "no"], "STS-B": ["score"]}
    x, y = rebuilt(["a"], np.array([1]))
    assert y.tolist() == [1] and x["text"].shape == (1, 5)


def test_what_is_no_text_is_refused():
    with pytest.raises(ValueError, match="`length` must be at least 3"):
        TextPreprocessor(length=2)
    with pytest.raises(ValueError, match=r"a str or a tuple of 1 or 2 str. Received: \('a', 'b', 'c'\)"):
        TextPreprocessor().ids_of(("a", "b", "c"))
    with pytest.raises(ValueError, match="Received: \\(1,\\)"):
        TextPreprocessor().ids_of((1,))
