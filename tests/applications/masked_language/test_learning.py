"""The tiny configuration learns, within four minutes on two cores."""

import dataclasses
import time

import pytest

from zorro_keras.applications.masked_language.commands import evaluate
from zorro_keras.applications.masked_language.config import TINY
from zorro_keras.applications.masked_language.data import default_data
from zorro_keras.applications.training.fit import train

SECONDS = 4 * 60 * 2  # of CPU, for the whole configuration: four minutes on two cores


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_loss_of_held_out_sentences_falls_below_half_of_the_unigram_entropy(tmp_path):
    path = default_data(tmp_path / "text")
    # Fewer steps than the configuration has are enough, and take less time.
    shorter = dataclasses.replace(TINY, training=dataclasses.replace(TINY.training, epochs=6))
    started = time.process_time()  # of all threads, whatever else the machine does
    train("masked_language", shorter, str(path), str(tmp_path / "run"))
    assert time.process_time() - started < SECONDS * shorter.training.epochs / TINY.training.epochs
    figures = evaluate(tmp_path / "run", path)
    assert figures["loss"] < figures["unigram_loss"] / 2
    assert figures["num_hidden"] > 2000
