"""What became of every tensor of a file, and which settings made its model."""

from dataclasses import dataclass, field
from typing import NamedTuple

NO_BIAS = "(no bias)"  # the source of zeros, where the source has no bias


class Use(NamedTuple):
    """One tensor's way into a model: its name or `NO_BIAS`, our weight and shape, and what was done to it."""

    source: str
    weight: str
    shape: tuple
    transform: str


@dataclass(frozen=True)
class Report:
    """What became of every tensor of a file, and which settings made its model.

    Attributes:
        origin: "hugging_face", "deepmind" or "keras_hub", and of a Swin "official" or "keras_cv".
        model: str, as in `Checkpoint`, or "vit" or "swin".
        semantics: like `origin`, whose numbers the model gives.
        used: tuple of `Use`, one for each weight of the model that was given one.
        unused: dict of tensor to the reason why no model needs it.
        settings: dict of each setting that tensors do not tell to its `Setting`: value, and who said so.
        kept: tuple of the model's weights that no tensor is for: they stay as they were.
    """

    origin: str
    model: str
    semantics: str
    used: tuple = field(repr=False)
    unused: dict = field(default_factory=dict, repr=False)
    settings: dict = field(default_factory=dict, repr=False)
    kept: tuple = field(default=(), repr=False)

    def summary(self) -> str:
        """Returns the counts in a sentence, and the settings in another."""
        settings = ", ".join(f"{name} {value} ({source})" for name, (value, source) in self.described())
        num_used = len({use.source for use in self.used} - {NO_BIAS})
        kept = f"{len(self.kept)} weights of the model stay as they were.\n" if self.kept else ""
        return (
            f"{self.model} from {self.origin}, numbers of {self.semantics}: {num_used} tensors used, "
            f"{len(self.unused)} not needed, none missing.\n{kept}"
            f"Settings that tensors do not tell: {settings}."
        )

    def described(self) -> list:
        """Returns pairs of setting and (value, source), values as plain data."""
        return [
            (name, (value.__name__ if callable(value) else value, source))
            for name, (value, source) in self.settings.items()
        ]

    def table(self) -> str:
        """Returns a line for every tensor."""
        lines = [
            f"{use.source} -> {use.weight} {'x'.join(map(str, use.shape))}, {use.transform}"
            for use in self.used
        ]
        lines += [f"{name} -> not needed: {why}" for name, why in sorted(self.unused.items())]
        return "\n".join([*lines, *(f"{weight} stays as it was" for weight in self.kept)])
