"""How much training changes a pair of frames, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FlowRanges:
    """Ranges at full severity; at severity s each is s times as wide, or s times as likely.

    The defaults are those of RAFT's code for dense flow of large motion; the eraser's sides are 50 to 100 of
    368 px.

    Args:
        scale: two floats, lowest <= highest. Logarithm to base 2 of a change of size.
        stretch_rate: float in [0, 1]. How often one axis is stretched against the other.
        stretch: float >= 0. Up to which logarithm to base 2.
        mirror_x_rate, mirror_y_rate: floats in [0, 1]. Left to right, and top to bottom.
        brightness, contrast, saturation: floats in [0, 1). Factors lie in [1 - x, 1 + x].
        hue: float in [0, 0.5]. In turns of the colour circle.
        asymmetric_rate: float in [0, 1]. How often the two frames get different colours.
        erase_rate: float in [0, 1]. How often boxes hide parts of the second frame.
        erase_sides: two floats, 0 < smallest <= largest <= 1. Of a box, over the shorter side.
    """

    scale: tuple[float, float] = (-0.2, 0.6)
    stretch_rate: float = 0.8
    stretch: float = 0.2
    mirror_x_rate: float = 0.5
    mirror_y_rate: float = 0.1
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.159
    asymmetric_rate: float = 0.2
    erase_rate: float = 0.5
    erase_sides: tuple[float, float] = (50 / 368, 100 / 368)
