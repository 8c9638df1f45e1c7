"""One pair of frames in a list, by its files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FlowEntry:
    """A pair of frames with the flow from the first to the second.

    Attributes:
        id: str. Unique in its source.
        first, second, flow: str. The files.
        scene: str. Pairs of one scene look alike: they stay in one split.
        split: str. "train", "val" or "test"; empty where the source names none.
        occlusion: optional str. A picture, white where the pixel is not seen in the second frame.
        invalid: optional str. A picture, white where the flow must not be used.
        matched_flow: optional str. Flow known only where the pixel is seen in both frames.
        rendering: str. The pass that made the frames, such as "clean"; empty where there is but one.
    """

    id: str
    first: str
    second: str
    flow: str
    scene: str
    split: str = ""
    occlusion: str | None = None
    invalid: str | None = None
    matched_flow: str | None = None
    rendering: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that belongs to it."""
        given = (self.first, self.second, self.flow, self.occlusion, self.invalid, self.matched_flow)
        return tuple(path for path in given if path is not None)
