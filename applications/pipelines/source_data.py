"""What a task opens where its examples are the entries of a source."""

from __future__ import annotations

from dataclasses import dataclass, field

from zorro_keras.applications.pipelines.flow_sources import FlowSource
from zorro_keras.applications.pipelines.host_errors import FaultSlot
from zorro_keras.applications.pipelines.image_sources import ImageSource


@dataclass(frozen=True)
class SourceData:
    """An opened source.

    Attributes:
        source: `FlowSource` or `ImageSource`.
        faults: `FaultSlot`, for `host_errors`.
    """

    source: FlowSource | ImageSource
    faults: FaultSlot = field(default_factory=FaultSlot, compare=False)

    @property
    def fingerprint(self) -> str:
        """Changes when the data do: a run is resumed only on the data it began with."""
        return self.source.fingerprint

    @property
    def num_train(self) -> int:
        """Examples in the training split."""
        return sum(entry.split == "train" for entry in self.source.entries)

    @property
    def evaluation_split(self) -> str:
        """ "test", or "val" where there is no labelled test split, as in ImageNet and FlyingChairs."""
        return "test" if any(entry.split == "test" for entry in self.source.entries) else "val"
