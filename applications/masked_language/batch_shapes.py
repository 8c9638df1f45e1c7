"""What a step of training is given, told without data."""

from __future__ import annotations

from typing import Any

from zorro_keras.applications.masked_language.config import Config
from zorro_keras.applications.masked_language.masked_language_model import MaskedLanguageModel
from zorro_keras.applications.training.batch_shapes import flags, floats, integers


def training_batch(config: Config, model: MaskedLanguageModel, batch_size: int) -> tuple[Any, ...]:
    """Returns the shapes of what `training_dataset` yields: `(x, y, sample_weight)`."""
    shape = (batch_size, config.data.length)
    hidden = (batch_size, model.preprocessor.mask_selection_length)
    x = {
        "text": integers(*shape),
        "padding_mask": {"text": flags(*shape)},
        "mask_positions": integers(*hidden),
    }
    return x, integers(*hidden), floats(*hidden)
