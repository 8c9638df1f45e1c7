"""A SentencePiece model small enough for every test."""

from pathlib import Path

import pytest

from zorro_keras.applications.pipelines.text_generated import generated_texts


def write_piece_model(folder: Path) -> Path:
    """Writes a model of 128 pieces, learned from generated sentences. Returns its path."""
    sentencepiece = pytest.importorskip("sentencepiece")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(generated_texts(300)),
        model_prefix=str(folder / "text"),
        vocab_size=128,
        minloglevel=2,
    )
    return folder / "text.model"
