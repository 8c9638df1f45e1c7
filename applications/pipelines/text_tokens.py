"""Text as ids and back: UTF-8 bytes, or the pieces of a SentencePiece model, after the same six specials."""

from __future__ import annotations

import base64
import functools
import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from zorro_keras.applications.pipelines.faults import ConfigError

PAD, BOS, EOS, MASK, CLS, SEP = range(6)
NUM_SPECIALS = 6
# Behind a SentencePiece model, which is a serialized protocol buffer, these set
# `normalizer_spec.add_dummy_prefix`: of fields that come twice the last counts.
_WITHOUT_SPACE, _WITH_SPACE = b"\x1a\x02\x18\x00", b"\x1a\x02\x18\x01"
_WHITESPACE = np.frombuffer(b" \t\n\r\v\f", np.uint8).astype(np.int32) + NUM_SPECIALS


class Bytes:
    """Each byte of the UTF-8 text is an id: byte + 6. Nothing is unknown and nothing is learned.

    Reference:
        Perceiver IO, arXiv 2107.14795, section 4.1; the order of the specials is that of the released model.
    """

    kind: ClassVar[str] = "bytes"
    vocabulary_size = 256 + NUM_SPECIALS

    def encode(self, text: str) -> np.ndarray:
        """Returns the ids of `text`, int32 `(T,)` in [6, 262), without specials.

        Raises:
            UnicodeEncodeError: if the text holds half of a surrogate pair.
        """
        return np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int32) + NUM_SPECIALS

    def encode_rest(self, text: str) -> np.ndarray:
        """Returns the ids of what follows other ids within a text: bytes are the same anywhere."""
        return self.encode(text)

    def decode(self, ids: np.ndarray) -> str:
        """Returns the text of ids `(T,)`; specials are left out and broken UTF-8 becomes U+FFFD."""
        ids = np.asarray(ids)
        return (ids[ids >= NUM_SPECIALS] - NUM_SPECIALS).astype(np.uint8).tobytes().decode("utf-8", "replace")

    def word_starts(self, ids: np.ndarray) -> np.ndarray:
        """Returns bool like `ids` `(..., T)`, True where a word starts: at the whitespace before it."""
        space = np.isin(ids, _WHITESPACE)
        starts = space.copy()
        starts[..., 1:] &= ~space[..., :-1]
        return starts

    def byte_lengths(self) -> np.ndarray:
        """Returns how many bytes of text each id stands for, float32 `(vocabulary_size,)`."""
        return (np.arange(self.vocabulary_size) >= NUM_SPECIALS).astype(np.float32)

    def is_text(self) -> np.ndarray:
        """Returns which ids stand for text, bool `(vocabulary_size,)`."""
        return np.arange(self.vocabulary_size) >= NUM_SPECIALS

    def get_config(self) -> dict[str, Any]:
        """Returns plain data from which `load_tokenizer` makes an equal tokenizer."""
        return {"kind": self.kind}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Bytes:
        """Builds the tokenizer that `get_config` described."""
        return cls(**{name: value for name, value in config.items() if name != "kind"})


class SentencePiece:
    """The pieces of a trained SentencePiece model: piece + 6.

    Args:
        model_path: path of the `.model` file.
        model: bytes of such a file, in place of the path. They are kept in the config, so that a saved
            tokenizer needs no other file.

    Raises:
        ConfigError: if the package `sentencepiece` is not installed, or the model cannot be read.
    """

    kind: ClassVar[str] = "sentence_piece"

    def __init__(self, model_path: str | os.PathLike[str] | None = None, *, model: bytes | None = None):
        if (model_path is None) == (model is None):
            raise ValueError("Exactly one of `model_path` and `model` must be given.")
        self._model = _read(model_path) if model is None else model
        self._pieces = _processor(self._model, model_path)
        self.vocabulary_size = self._pieces.get_piece_size() + NUM_SPECIALS

    def encode(self, text: str) -> np.ndarray:
        """Returns the ids of `text`, int32 `(T,)` in [6, vocabulary_size), without specials."""
        return np.asarray(self._pieces.encode(text), np.int32) + NUM_SPECIALS

    def encode_rest(self, text: str) -> np.ndarray:
        """Returns the ids of what follows other ids in the middle of a text.

        A text by itself gets a space in front, so that its first word has the piece of a word; what goes on
        within a word must not.
        """
        pieces = self._rest_of_text if text[:1].isspace() else self._rest_of_word
        return np.asarray(pieces.encode(text), np.int32) + NUM_SPECIALS

    @functools.cached_property
    def _rest_of_word(self) -> Any:
        return _processor(self._model + _WITHOUT_SPACE, None)

    @functools.cached_property
    def _rest_of_text(self) -> Any:
        return _processor(self._model + _WITH_SPACE, None)

    def decode(self, ids: np.ndarray) -> str:
        """Returns the text of ids `(T,)`; specials are left out."""
        ids = np.asarray(ids)
        return self._pieces.decode((ids[ids >= NUM_SPECIALS] - NUM_SPECIALS).tolist())

    def word_starts(self, ids: np.ndarray) -> np.ndarray:
        """Returns bool like `ids` `(..., T)`, True where a word starts: at a piece with a space in front."""
        return self._word_start_table[ids]

    @functools.cached_property
    def _word_start_table(self) -> np.ndarray:
        pieces = [self._pieces.id_to_piece(piece) for piece in range(self._pieces.get_piece_size())]
        return np.array([False] * NUM_SPECIALS + [piece.startswith("▁") for piece in pieces])

    def byte_lengths(self) -> np.ndarray:
        """Returns how many bytes of text each id stands for, float32 `(vocabulary_size,)`; unknown ones 1."""
        lengths = [self._byte_length(piece) for piece in range(self._pieces.get_piece_size())]
        return np.array([0] * NUM_SPECIALS + lengths, np.float32)

    def is_text(self) -> np.ndarray:
        """Returns which ids stand for text, bool `(vocabulary_size,)`: no special, and none of its own."""
        pieces = self._pieces
        reserved = (pieces.is_control, pieces.is_unknown, pieces.is_unused)
        known = [not any(test(piece) for test in reserved) for piece in range(pieces.get_piece_size())]
        return np.array([False] * NUM_SPECIALS + known)

    def _byte_length(self, piece: int) -> int:
        if self._pieces.is_control(piece):
            return 0
        if self._pieces.is_byte(piece) or self._pieces.is_unknown(piece):
            return 1
        return len(self._pieces.id_to_piece(piece).replace("▁", " ").encode("utf-8"))

    def get_config(self) -> dict[str, Any]:
        """Returns plain data from which `load_tokenizer` makes an equal tokenizer, the model included."""
        return {"kind": self.kind, "model": base64.b64encode(self._model).decode("ascii")}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SentencePiece:
        """Builds the tokenizer that `get_config` described."""
        return cls(model=base64.b64decode(config["model"]))


Tokenizer = Bytes | SentencePiece


def load_tokenizer(config: str | Mapping[str, Any]) -> Tokenizer:
    """Makes a tokenizer.

    Args:
        config: `"bytes"`, the path of a SentencePiece `.model` file, or what `get_config` gave.

    Raises:
        ConfigError: if there is no such tokenizer.
    """
    if isinstance(config, str):
        return Bytes() if config == Bytes.kind else SentencePiece(config)
    kinds = {tokenizer.kind: tokenizer for tokenizer in (Bytes, SentencePiece)}
    if config.get("kind") not in kinds:
        raise _bad(f"`kind` of a tokenizer must be one of {list(kinds)}. Received: {config.get('kind')!r}")
    return kinds[config["kind"]].from_config(config)


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConfigError(
            f'A tokenizer is "bytes" or the path of a SentencePiece model. Not readable: {error.strerror}.',
            path=path, stage="config", reason="missing_file",
        ) from error  # fmt: skip


def _processor(model: bytes, path: str | os.PathLike[str] | None) -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise ConfigError(
            "A SentencePiece tokenizer needs the package `sentencepiece`: pip install sentencepiece.",
            stage="config", reason="missing_dependency",
        ) from error  # fmt: skip
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=model)
    except RuntimeError as error:
        raise ConfigError(
            "The file is not a SentencePiece model.", path=path, stage="config", reason="bad_value"
        ) from error


def _bad(message: str) -> ConfigError:
    return ConfigError(message, stage="config", reason="bad_value")
