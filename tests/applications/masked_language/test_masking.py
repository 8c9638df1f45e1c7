import numpy as np
import pytest

from zorro_keras.applications.masked_language.masking import (
    encode_marked,
    hidden_first,
    mask_words,
    room_for_hidden,
)
from zorro_keras.applications.pipelines.text_tokens import MASK, PAD, Bytes, SentencePiece

TEXT = "The  old cat\nsat."
TEXT_SEEN = "The  old cat/sat."


def picture(text, hidden):
    return "".join("#" if flag else letter for letter, flag in zip(text, hidden, strict=True)).replace(
        "\n", "/"
    )


def test_whole_words_are_hidden_with_the_space_before_them():
    ids = np.array([Bytes().encode(TEXT)])
    draws = np.ones((1, len(TEXT)))
    pictures = []
    for word in range(4):
        chosen = draws.copy()
        chosen[0, word] = 0.0
        masked, hidden = mask_words(ids, Bytes(), 0.15, chosen)
        assert (masked == np.where(hidden, MASK, ids)).all()
        pictures.append(picture(TEXT, hidden[0]))
    assert pictures == ["###  old cat/sat.", "The##### cat/sat.", "The  old####/sat.", "The  old cat#####"]


def test_padding_is_never_hidden():
    ids = np.array([[*Bytes().encode("a b"), PAD, PAD]])
    masked, hidden = mask_words(ids, Bytes(), 1.0, np.zeros(ids.shape))
    assert masked.tolist() == [[MASK, MASK, MASK, PAD, PAD]] and hidden.sum() == 3


def test_where_too_much_would_be_hidden_the_words_of_the_largest_draws_stay_visible():
    ids = np.array([Bytes().encode(TEXT)] * 2)
    draws = np.ones((2, len(TEXT)))
    draws[0, :4] = 0.01, 0.04, 0.03, 0.02  # of "The", "  old", " cat" and "/sat."
    draws[1, 2] = 0.1
    pictures = []
    for most in (17, 16, 10, 7, 2, 0):
        _, hidden = mask_words(ids, Bytes(), 0.15, draws, most)
        pictures.append((picture(TEXT, hidden[0]), picture(TEXT, hidden[1])))
        assert hidden.sum(1).max() <= most
    firsts, others = zip(*pictures, strict=True)
    assert firsts == (
        "#" * 17,
        "###  old#########",
        "###  old cat#####",
        "###  old cat/sat.",
        TEXT_SEEN,
        TEXT_SEEN,
    )
    assert others == ("The  old####/sat.",) * 4 + (TEXT_SEEN,) * 2


def test_hidden_places_come_first_and_in_order():
    hidden = np.array([[0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]], bool)
    assert hidden_first(hidden, 3).tolist() == [[1, 3, 4], [0, 0, 0], [4, 0, 0]]


def test_each_word_is_hidden_as_often_as_asked_whatever_its_length():
    text = "a bbbbbbbb " * 12
    ids = np.repeat([Bytes().encode(text.strip())], 400, axis=0)
    _, hidden = mask_words(ids, Bytes(), 0.15, np.random.default_rng(0).random(ids.shape))
    words = np.cumsum(Bytes().word_starts(ids), axis=1)
    shares = [[hidden[row, words[row] == word].mean() for word in range(24)] for row in range(400)]
    assert set(np.unique(shares)) == {0.0, 1.0}  # whole or not at all
    short, long = np.array(shares)[:, 0::2].mean(), np.array(shares)[:, 1::2].mean()
    assert short == pytest.approx(0.15, abs=0.02) and long == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize(
    ("whole", "marked"),
    [
        ("Two dogs bark in the yard.", "Two[MASK*{}] bark in the yard."),
        ("Two dogs bark in the yard.", "Two [MASK*{}] bark in the yard."),
        ("Two dogs bark in the yard.", "[MASK*{}] dogs bark in the yard."),
        ("Two dogs bark in the yard.", "Two dogs bark in the[MASK*{}]"),
    ],
)
def test_pieces_around_a_mark_are_those_of_the_whole_text(piece_model, whole, marked):
    """Not with a space that the text lacks in front of what follows a mark."""
    tokenizer = SentencePiece(piece_model)
    expected = tokenizer.encode(whole)
    visible = sum(map(len, (tokenizer.encode(part) for part in marked.split("[MASK*{}]") if part.strip())))
    found = encode_marked(marked.format(len(expected) - visible), tokenizer)
    assert len(found) == len(expected) and 0 < (found == MASK).sum() < len(found)
    assert found[found != MASK].tolist() == expected[found != MASK].tolist()


def test_what_follows_a_mark_within_a_word_is_no_new_word(piece_model):
    tokenizer = SentencePiece(piece_model)
    found = encode_marked("Two[MASK]gs bark.", tokenizer)
    start, *rest = tokenizer.word_starts(found)[np.flatnonzero(found == MASK)[0] + 1 :]
    assert not start and sum(rest) == 1


def test_marks_stand_for_as_many_ids_as_they_say():
    ids = encode_marked("ab[MASK*3]c [MASK]", Bytes())
    assert ids.tolist() == [*Bytes().encode("ab"), MASK, MASK, MASK, *Bytes().encode("c "), MASK]
    assert encode_marked("[MASK*x]", Bytes()).tolist() == Bytes().encode("[MASK*x]").tolist()
    assert encode_marked("", Bytes()).shape == (0,)


@pytest.mark.parametrize(
    ("length", "rate", "room"), [(2048, 0.15, 632), (512, 0.15, 176), (64, 0.0, 16), (13, 0.15, 13)]
)
def test_there_is_room_for_twice_as_many_as_are_expected_and_16_up_to_a_multiple_of_8(length, rate, room):
    assert room_for_hidden(length, rate) == room
