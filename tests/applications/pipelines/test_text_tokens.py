import builtins

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.piece_maker import write_piece_model
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.text_tokens import (
    MASK,
    NUM_SPECIALS,
    Bytes,
    SentencePiece,
    load_tokenizer,
)


@pytest.fixture(scope="module")
def piece_model(tmp_path_factory):
    return write_piece_model(tmp_path_factory.mktemp("pieces"))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_bytes_give_back_every_text(text):
    ids = Bytes().encode(text)
    assert ids.dtype == np.int32 and ids.tolist() == [byte + NUM_SPECIALS for byte in text.encode("utf-8")]
    assert Bytes().decode(ids) == text


def test_the_bytes_of_the_released_demo_decode_to_its_answer():
    # What the released model fills into "... words are missing."; perceiver's language colab.
    assert Bytes().decode(np.array([38, 115, 111, 121, 121, 111, 116, 109, 52])) == " missing."


def test_specials_are_left_out_and_a_cut_character_becomes_a_mark():
    ids = np.array([4, MASK, *(np.frombuffer("aé".encode(), np.uint8)[:2].astype(int) + 6), 5, 0])
    assert Bytes().decode(ids) == "a\ufffd"


def test_a_word_starts_at_the_whitespace_before_it():
    text = "An  ant\nis a b."
    starts = Bytes().word_starts(Bytes().encode(text))
    assert "".join("#" if start else "." for start in starts) == "..#....#..#.#.."


def test_pieces_give_back_a_text_and_start_words(piece_model):
    tokenizer = SentencePiece(piece_model)
    text = "Two white dogs bark in the yard."
    ids = tokenizer.encode(text)
    assert tokenizer.vocabulary_size == 134 and ids.min() >= NUM_SPECIALS and ids.max() < 134
    assert tokenizer.decode(np.concatenate([[4], ids, [0, 0]])) == text
    assert tokenizer.word_starts(ids).sum() == len(text.split()) and tokenizer.word_starts(ids)[0]
    assert tokenizer.byte_lengths()[ids].sum() == len(text) + 1  # the model puts a space in front
    assert (tokenizer.byte_lengths()[:NUM_SPECIALS] == 0).all()


def test_the_rest_of_a_text_gets_no_space_that_is_not_there(piece_model):
    tokenizer = SentencePiece(piece_model)
    pieces = tokenizer._pieces

    def spelled(ids):
        return "".join(pieces.id_to_piece(int(piece) - NUM_SPECIALS) for piece in ids)

    assert spelled(tokenizer.encode("dogs bark")) == "▁dogs▁bark"
    assert spelled(tokenizer.encode_rest("ogs bark")) == "ogs▁bark"
    assert spelled(tokenizer.encode_rest(" dogs bark")) == "▁dogs▁bark"
    assert spelled(tokenizer.encode_rest(".")) == "." and len(tokenizer.encode_rest("")) == 0
    whole = tokenizer.encode("Two dogs bark in the yard.")
    rests = [tokenizer.encode_rest(text) for text in (" bark in the", " yard.")]
    assert np.concatenate([tokenizer.encode("Two dogs"), *rests]).tolist() == whole.tolist()
    assert Bytes().encode_rest(" é").tolist() == Bytes().encode(" é").tolist()


def test_only_some_ids_stand_for_text(piece_model):
    assert np.flatnonzero(~Bytes().is_text()).tolist() == list(range(NUM_SPECIALS))
    tokenizer = SentencePiece(piece_model)
    left_out = np.flatnonzero(~tokenizer.is_text())[NUM_SPECIALS:] - NUM_SPECIALS
    assert [tokenizer._pieces.id_to_piece(int(piece)) for piece in left_out] == ["<unk>", "<s>", "</s>"]


def test_bytes_are_the_ids_of_keras_hub_after_the_specials():
    keras_hub = pytest.importorskip("keras_hub")
    text = "Grüße, 世界\t\x00 und \U0001f600!"
    theirs = np.asarray(keras_hub.tokenizers.ByteTokenizer(lowercase=False, normalization_form=None)(text))
    assert Bytes().encode(text).tolist() == (theirs + NUM_SPECIALS).tolist()


def test_a_tokenizer_is_rebuilt_from_its_config_alone(piece_model):
    text = "Today is Monday."
    for tokenizer in (Bytes(), SentencePiece(piece_model)):
        twin = load_tokenizer(tokenizer.get_config())
        assert type(twin) is type(tokenizer) and twin.encode(text).tolist() == tokenizer.encode(text).tolist()
    assert isinstance(load_tokenizer("bytes"), Bytes)
    assert isinstance(load_tokenizer(str(piece_model)), SentencePiece)


def test_what_is_no_tokenizer_is_named(tmp_path):
    (tmp_path / "bad.model").write_text("not a model")
    with pytest.raises(ConfigError, match='"bytes" or the path of a SentencePiece model'):
        load_tokenizer("letters")
    with pytest.raises(ConfigError, match="not a SentencePiece model"):
        load_tokenizer(str(tmp_path / "bad.model"))
    with pytest.raises(ConfigError, match="`kind` of a tokenizer must be one of"):
        load_tokenizer({"kind": "letters"})
    with pytest.raises(ValueError, match="Exactly one of"):
        SentencePiece()


def test_the_absent_package_is_named(piece_model, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "sentencepiece":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match="needs the package `sentencepiece`"):
        SentencePiece(piece_model)
