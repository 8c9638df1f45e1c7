"""Configurations of masked language modelling: the data, the model and its training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zorro_keras.applications.training.config import TrainingConfig, check, check_least, check_within
from zorro_keras.applications.training.language_sizes import TINY_LENGTH, TINY_SIZES, LanguageSizes

if TYPE_CHECKING:
    from zorro_keras.applications.masked_language.preprocessor import MaskedLanguagePreprocessor


@dataclass(frozen=True)
class DataConfig:
    """What is read, and how rows are made of it.

    Args:
        tokenizer: "bytes", or the path of a SentencePiece `.model` file.
        length: int >= 1. Ids of a row.
        mask_rate: float in (0, 1). Probability of a word to be hidden.
        texts_per_row: int >= 1. Texts that are joined before they are cut to the length.
        test_fraction: float in (0, 1). Share of the texts that is held out.
        max_test_rows: int >= 1. Evaluation looks at the first so many rows of the held-out texts.
        field: name of the text in JSON lines and TFRecord examples.
        bad_utf8: "raise", or "replace" to put U+FFFD for bytes that are not UTF-8.

    Raises:
        ConfigError: if a value is out of range.
    """

    tokenizer: str = "bytes"
    length: int = 2048
    mask_rate: float = 0.15
    texts_per_row: int = 10
    test_fraction: float = 0.01
    max_test_rows: int = 4096
    field: str = "text"
    bad_utf8: Literal["raise", "replace"] = "raise"

    def __post_init__(self) -> None:
        check_least(self, 1, "length", "texts_per_row", "max_test_rows")
        check_within(self, "(0, 1)", "mask_rate", "test_fraction")


@dataclass(frozen=True)
class ModelConfig(LanguageSizes):
    """The Perceiver IO. Its length and vocabulary come from the data; other sizes as `LanguageSizes`.

    Args:
        vocabulary_size: optional int. Ids of the model; None is the tokenizer's own number.
        embedding_stddev: float > 0. Of the truncated normal that the token table starts from. The published
            code has 1 without saying what training used; with 0.02, as in Hugging Face's and in the learned
            positions, place and token weigh the same from the first step.
        semantics: "deepmind" or "hugging_face": whose numbers to give with published weights.
        pretrained: optional str. Preset folder of a masked language model of these sizes and this tokenizer,
            or published weights that `zorro_keras.weights` can read, which training goes on from.

    Raises:
        ConfigError: if a value is out of range.
    """

    vocabulary_size: int | None = None
    embedding_stddev: float = 0.02
    semantics: Literal["deepmind", "hugging_face"] = "deepmind"
    pretrained: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check("embedding_stddev", 0.0 < self.embedding_stddev < 100.0, "positive", self.embedding_stddev)
        check_least(self, 7, "vocabulary_size")


@dataclass(frozen=True)
class Config:
    """A whole run of masked language modelling."""

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig


# Learns the generated sentences on two CPU cores. Source: ours. A sentence is a row, so its first word always
# stands in the same place; twice as many words are hidden as in the paper: more to learn from a small batch.
#   zorro-keras train masked_language --config tiny --out RUN
TINY = Config(
    data=DataConfig(length=TINY_LENGTH, mask_rate=0.3, texts_per_row=1, test_fraction=0.1, max_test_rows=256),
    model=ModelConfig(**TINY_SIZES),
    training=TrainingConfig(
        epochs=8, steps_per_epoch=250, batch_size=32, learning_rate=3e-3, weight_decay=0.01
    ),
)

# The paper's own: arXiv 2107.14795, section 4.1 and appendix on language. LAMB, batches of 2048 rows, a peak
# of 1.25e-3 after 1,000 steps of 500,000, words hidden with probability 0.15, ten texts a row. 201,108,230
# parameters. What we chose: no clipping of gradients; checkpoints every 5,000 steps.
#   zorro-keras train masked_language --config paper --data TEXTS --out RUN
# Expected cost: 113 GFLOP forward a row (published), so 3.5e20 FLOP: 40 days on one accelerator at 100
# TFLOP/s. Computed, not run.
_RECIPE = TrainingConfig(
    epochs=100,
    steps_per_epoch=5000,
    batch_size=2048,
    optimizer="lamb",
    learning_rate=1.25e-3,
    warmup_steps=1000,
    weight_decay=0.01,
    clip_norm=None,
    mixed_precision=True,
)
PAPER = Config(data=DataConfig(), model=ModelConfig(remat=True), training=_RECIPE)

# The paper's SentencePiece model: 512 pieces a row. Give it a SentencePiece model of 31,994 pieces, which the
# six specials make 32,000 ids: 223 million parameters.
#   zorro-keras train masked_language --config paper_sentencepiece --set data.tokenizer=MODEL ...
PAPER_SENTENCEPIECE = Config(
    data=DataConfig(tokenizer="text.model", length=512),
    model=ModelConfig(vocabulary_size=32_000, remat=True),
    training=_RECIPE,
)

CONFIGS = {"tiny": TINY, "paper": PAPER, "paper_sentencepiece": PAPER_SENTENCEPIECE}


def config_of_preset(preprocessor: MaskedLanguagePreprocessor) -> Config:
    """Returns a configuration to read texts for a preset. Its model and training are not the preset's.

    Args:
        preprocessor: of the preset: it has the tokenizer and hides the words.
    """
    settings = {name: getattr(preprocessor, name) for name in ("length", "mask_rate")}
    return dataclasses.replace(PAPER, data=DataConfig(**settings))
