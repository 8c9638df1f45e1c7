"""Configurations of text classification: the data, the model and its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import TrainingConfig


@dataclass(frozen=True)
class DataConfig:
    """What is read.

    Args:
        tasks: tuple of str. Tasks of a GLUE folder to train together; empty for all that are there.
        tokenizer: "bytes", or the path of a SentencePiece model.
        length: int >= 3. Ids per example; longer texts are cut.
        test_fraction: float in (0, 1). Share of texts held out where the source names no splits.
        on_error: "raise" or "skip". What to do with rows that cannot be used.
        max_bad_fraction: float in [0, 1]. A larger share of bad rows stops the run all the same.

    Raises:
        ConfigError: if a value is out of range.
    """

    tasks: tuple[str, ...] = ()
    tokenizer: str = "bytes"
    length: int = 2048
    test_fraction: float = 0.1
    on_error: Literal["raise", "skip"] = "raise"
    max_bad_fraction: float = 0.001

    def __post_init__(self) -> None:
        _check("tasks", len({*self.tasks}) == len(self.tasks), "names that differ", self.tasks)
        _check("length", self.length >= 3, "at least 3", self.length)
        _check("test_fraction", 0.0 < self.test_fraction < 1.0, "within (0, 1)", self.test_fraction)
        most = self.max_bad_fraction
        _check("max_bad_fraction", 0.0 <= most <= 1.0, "within [0, 1]", most)


@dataclass(frozen=True)
class ModelConfig:
    """The Perceiver IO of "language", with one query and one head for each task.

    Args:
        num_positions: int. Rows of the table of text positions; at least `data.length`.
        embed_dim: int, E. Channels of ids, of queries and inside the heads.
        num_latents, latent_dim, num_layers, num_heads, query_key_dim: ints, of the encoder.
        dropout_rate: float in [0, 1).
        remat: bool. Recomputes each block in the backward pass: less memory, more time.
        semantics: "deepmind" or "hugging_face": whose numbers to give with published weights.
        pretrained: optional str. Preset folder of a masked language model of these sizes, or a checkpoint
            that `zorro_keras.weights` can read, whose input and encoder training starts from.

    Raises:
        ConfigError: if a value is out of range.
    """

    num_positions: int = 2048
    embed_dim: int = 768
    num_latents: int = 256
    latent_dim: int = 1280
    num_layers: int = 26
    num_heads: int = 8
    query_key_dim: int = 256
    dropout_rate: float = 0.0
    remat: bool = False
    semantics: Literal["deepmind", "hugging_face"] = "deepmind"
    pretrained: str | None = None

    def __post_init__(self) -> None:
        sizes = ("num_positions", "embed_dim", "num_latents", "latent_dim", "num_layers", "num_heads")
        for name in (*sizes, "query_key_dim"):
            _check(name, getattr(self, name) >= 1, "at least 1", getattr(self, name))
        for name in ("embed_dim", "latent_dim", "query_key_dim"):
            value = getattr(self, name)
            _check(name, value % self.num_heads == 0, f"a multiple of `num_heads` = {self.num_heads}", value)
        _check("dropout_rate", 0.0 <= self.dropout_rate < 1.0, "within [0, 1)", self.dropout_rate)


@dataclass(frozen=True)
class Config:
    """A whole run of text classification.

    Raises:
        ConfigError: if the texts are longer than the table of positions.
    """

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        most = self.model.num_positions
        fits = self.data.length <= most
        _check("data.length", fits, f"at most `model.num_positions`, {most}", self.data.length)


def _check(name: str, holds: bool, expected: str, value: object) -> None:
    if not holds:
        raise ConfigError(
            f"`{name}` must be {expected}. Received: {name}={value!r}", stage="config", reason="bad_value"
        )


# Learns the two generated tasks at once: 98.3 % and 100 % of the held-out sentences, of which 50 % and 87.5 %
# need no order of words (one seed, 88 s of CPU time). Source: ours. A rate of 3e-3 was unsteady.
#   zorro-keras train text_classification --config tiny --out RUN
TINY = Config(
    data=DataConfig(length=64),
    model=ModelConfig(
        num_positions=64,
        embed_dim=64,
        num_latents=16,
        latent_dim=64,
        num_layers=2,
        num_heads=4,
        query_key_dim=64,
    ),
    training=TrainingConfig(epochs=12, batch_size=32, learning_rate=2e-3, weight_decay=0.01),
)

# The paper's GLUE recipe, arXiv 2107.14795, appendix F: LAMB, 10 epochs, batches of 16, 32 or 64, learning
# rates of 1e-4, 5e-5, 2e-5 or 1e-5, 200 steps of warm-up, weight decay 0.01, the best of these on each
# development set. Here is the middle of each choice; take the best by runs of your own. What we chose: the
# cosine after the warm-up, clipping by 1.0, and leaving out rows that cannot be read (QQP has some).
#   zorro-keras train text_classification --config glue --data GLUE/RTE --set model.pretrained=PRESET ...
# Expected cost: 113 GFLOP forward a text (published), so RTE's 2,490 texts x 10 epochs are 8e15 FLOP, a few
# minutes, and MNLI's 392,702 are 1.3e18, four hours, on one accelerator at 100 TFLOP/s. Computed, not run.
_RECIPE = TrainingConfig(
    epochs=10,
    batch_size=32,
    optimizer="lamb",
    learning_rate=5e-5,
    warmup_steps=200,
    weight_decay=0.01,
    mixed_precision=True,
)
GLUE = Config(data=DataConfig(on_error="skip"), model=ModelConfig(), training=_RECIPE)

# The same with all eight tasks of the paper's multitask model (WNLI is not among them), each with a query of
# its own. The paper does not say how often each task is shown: here every example comes once a pass.
#   zorro-keras train text_classification --config glue_multitask --data GLUE ...
# Expected cost: 948,974 texts a pass, so 3.2e18 FLOP: nine hours as above. Computed, not run.
GLUE_MULTITASK = Config(
    data=DataConfig(tasks=("CoLA", "MNLI", "MRPC", "QNLI", "QQP", "RTE", "SST-2", "STS-B"), on_error="skip"),
    model=ModelConfig(),
    training=_RECIPE,
)

CONFIGS = {"tiny": TINY, "glue": GLUE, "glue_multitask": GLUE_MULTITASK}
