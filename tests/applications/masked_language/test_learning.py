"""The tiny configuration learns. How long it takes on two cores is said where it stands."""

import dataclasses

import pytest

from zorro_keras.applications.masked_language.commands import evaluate
from zorro_keras.applications.masked_language.config import TINY
from zorro_keras.applications.masked_language.data import default_data
from zorro_keras.applications.training.fit import train


@pytest.mark.long
@pytest.mark.tensorflow
def test_the_loss_of_held_out_sentences_falls_below_half_of_the_unigram_entropy(tmp_path, well_compiled):
    path = default_data(tmp_path / "text")
    # Fewer steps than the configuration has are enough, and take less time.
    shorter = dataclasses.replace(TINY, training=dataclasses.replace(TINY.training, epochs=6))
    train("masked_language", shorter, str(path), str(tmp_path / "run"))
    figures = evaluate(tmp_path / "run", path)
    assert figures["loss"] < figures["unigram_loss"] / 2
    assert figures["num_hidden"] > 2000
