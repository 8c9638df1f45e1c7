"""What a stream of tokens is made of: shape of one example, patch, and grid of tokens."""

import dataclasses
import math

import keras
import numpy as np

__all__ = [
    "Embeddings",
    "Entities",
    "EntityFeature",
    "Image",
    "Spectrogram",
    "Stream",
    "Tokens",
    "Video",
    "Waveform",
]

ENTITY_KINDS = ("categorical", "binary", "scaled", "ignored")
MARKS = ("presence", "padding_mask", "positions")  # what a call may hold beside its streams
RESERVED_NAMES = ("fusion", "global", *MARKS)


class Stream:
    """Base of the stream descriptions: an array cut into patches, one token each.

    Attributes:
        shape: tuple of int, shape of one example without the batch axis, channels last.
        patch: tuple of int, patch size along each axis that is cut.
        grid: tuple of int, number of tokens along each axis.
        num_tokens: int, product of the grid.
        dtype: str, of the array.
    """

    dtype = "float32"

    @property
    def grid(self) -> tuple[int, ...]:
        return tuple(size // patch for size, patch in zip(self.shape, self.patch, strict=False))

    @property
    def num_tokens(self) -> int:
        return math.prod(self.grid)

    def get_config(self) -> dict:
        """Returns plain data from which `from_config` builds an equal description."""
        return {
            field.name: list(value) if isinstance(value := getattr(self, field.name), tuple) else value
            for field in dataclasses.fields(self)
        }

    @classmethod
    def from_config(cls, config: dict) -> "Stream":
        """Builds the description that `get_config` described."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in config.items()})

    def _check(self):
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _plain(getattr(self, field.name)))
        if (
            not isinstance(self.patch, tuple)
            or len(self.patch) > len(self.shape)
            or any(p < 1 for p in self.patch)
        ):
            raise ValueError(
                f"`patch` must hold one positive size for each axis of {self.shape} that is cut. "
                f"Received: patch={self.patch}"
            )
        for size, patch in zip(self.shape, self.patch, strict=False):
            if size < 1 or size % patch:
                raise ValueError(
                    f"`patch` must divide the stream's shape {self.shape}. Received: patch={self.patch}"
                )


def _plain(value):
    """Returns a number of numpy, or a sequence of them, as what JSON knows and `==` compares."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple(_plain(item) for item in value)
    return int(value) if isinstance(value, np.integer) else value


@keras.saving.register_keras_serializable("zorro_keras")
@dataclasses.dataclass(frozen=True)
class Spectrogram(Stream):
    """A spectrogram `(frames, bins)` of one channel, cut into `patch` = (frames, bins).

    Args:
        frames: int, number of time steps.
        bins: int, number of frequency bins.
        patch: tuple of 2 ints. 16x16 as in Zorro's Figure 2: 640 x 128 gives 320 tokens.
    """

    frames: int
    bins: int
    patch: tuple[int, int] = (16, 16)

    def __post_init__(self):
        self._check()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.frames, self.bins)


@keras.saving.register_keras_serializable("zorro_keras")
@dataclasses.dataclass(frozen=True)
class Video(Stream):
    """A clip `(frames, height_px, width_px, channels)` cut into tubelets `patch` = (frames, rows, columns).

    Args:
        frames: int, number of pictures.
        height_px: int, rows of pixels.
        width_px: int, columns of pixels.
        channels: int, colour channels.
        patch: tuple of 3 ints. (1, 16, 16) as in Zorro's Figure 2: 8 x 224 x 224 gives 1568 tokens.
    """

    frames: int
    height_px: int
    width_px: int
    channels: int = 3
    patch: tuple[int, int, int] = (1, 16, 16)

    def __post_init__(self):
        self._check()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.frames, self.height_px, self.width_px, self.channels)


@keras.saving.register_keras_serializable("zorro_keras")
@dataclasses.dataclass(frozen=True)
class Image(Stream):
    """A picture `(height_px, width_px, channels)` cut into `patch` = (rows, columns)."""

    height_px: int
    width_px: int
    channels: int = 3
    patch: tuple[int, int] = (16, 16)

    def __post_init__(self):
        self._check()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.height_px, self.width_px, self.channels)


@keras.saving.register_keras_serializable("zorro_keras")
@dataclasses.dataclass(frozen=True)
class Embeddings(Stream):
    """A sequence of vectors `(length, features)` computed elsewhere, one token a vector."""

    length: int
    features: int

    def __post_init__(self):
        self._check()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length, self.features)

    @property
    def patch(self) -> tuple[int]:
        return (1,)


@keras.saving.register_keras_serializable("zorro_keras")
@dataclasses.dataclass(frozen=True)
class Tokens(Stream):
    """A sequence of integer ids `(length,)` in [0, vocabulary_size), one token an id."""

    length: int
    vocabulary_size: int
    dtype = "int32"

    def __post_init__(self):
        self._check()
        if self.vocabulary_size < 1:
            raise ValueError(f"`vocabulary_size` must be positive. Received: {self.vocabulary_size}")

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length,)

    @property
    def patch(self) -> tuple[int]:
        return (1,)


@keras.saving.register_keras_serializable("zorro_keras")
@dataclasses.dataclass(frozen=True)
class Waveform(Stream):
    """Audio samples `(samples,)` of one channel, cut into `patch` = (samples,) a token."""

    samples: int
    patch: tuple[int] = (16,)

    def __post_init__(self):
        self._check()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.samples,)


@keras.saving.register_keras_serializable("zorro_keras")
@dataclasses.dataclass(frozen=True)
class EntityFeature:
    """One column of a table of entities.

    Args:
        name: str.
        kind: "categorical", whole numbers in [0, num_values); "binary", 0 or 1; "scaled", a number that is
            divided by `scale`; "ignored", a column that no model is shown, such as a tag.
        num_values: int, K, of a categorical feature; `None` for the others.
        scale: float > 0, about the largest value of a scaled feature; 1 for the others.

    Raises:
        ValueError: for an unknown kind, or a number that does not belong to it.
    """

    name: str
    kind: str
    num_values: int | None = None
    scale: float = 1.0

    def __post_init__(self):
        if self.kind not in ENTITY_KINDS:
            raise ValueError(
                f"`kind` of the feature `{self.name}` must be one of {list(ENTITY_KINDS)}. "
                f"Received: kind={self.kind!r}"
            )
        counted = self.num_values is not None and self.num_values >= 1
        if counted != (self.kind == "categorical") or (self.num_values is not None and not counted):
            raise ValueError(
                f"`num_values` of the feature `{self.name}` must be positive if it is categorical, and None "
                f"if not. Received: kind={self.kind!r}, num_values={self.num_values}"
            )
        if not 0 < self.scale < math.inf or (self.kind != "scaled" and self.scale != 1.0):
            raise ValueError(
                f"`scale` of the feature `{self.name}` must be positive if it is scaled, and 1 if not. "
                f"Received: kind={self.kind!r}, scale={self.scale}"
            )

    def get_config(self) -> dict:
        """Returns plain data from which `EntityFeature(**config)` builds an equal feature."""
        return dataclasses.asdict(self)


@keras.saving.register_keras_serializable("zorro_keras")
@dataclasses.dataclass(frozen=True)
class Entities(Stream):
    """A table of things `(length, features)`, such as the units of a game: one token an entity.

    Args:
        length: int, the most entities of an example; where there are fewer, a padding mask says so.
        features: sequence of `EntityFeature`, or of dicts of their arguments: what each column holds.

    Raises:
        ValueError: if two features have the same name, or all are ignored.
    """

    length: int
    features: tuple[EntityFeature, ...]

    def __post_init__(self):
        features = tuple(EntityFeature(**f) if isinstance(f, dict) else f for f in self.features)
        object.__setattr__(self, "features", features)
        names = [feature.name for feature in features]
        if len(set(names)) < len(names) or all(feature.kind == "ignored" for feature in features):
            raise ValueError(
                "`features` must have names that differ, and one at least that is not ignored. "
                f"Received: {names}"
            )
        self._check()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length, len(self.features))

    @property
    def patch(self) -> tuple[int]:
        return (1,)

    def get_config(self) -> dict:
        return {"length": self.length, "features": [feature.get_config() for feature in self.features]}
