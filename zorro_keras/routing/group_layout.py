"""Which stream's elements share a group, where attention stays inside of groups."""

import numpy as np


class GroupLayout:
    """Deals a number of equally long groups out among streams, so that no group mixes two of them.

    Each stream gets one group; each further one goes to the stream with the most elements per group. A
    stream is cut into as many contiguous chunks as it has groups; where it ends too early, groups are padded.

    Args:
        lengths: mapping of stream to int, its elements.
        num_groups: int, G, groups of all streams together.

    Attributes:
        lengths: dict of stream to int.
        groups: dict of stream to int, in the order of `lengths`.
        num_groups: int, G.
        group_length: int, N, places of each group.

    Raises:
        ValueError: for fewer groups than streams, no streams, or lengths that are not positive.

    Example:

    ```python
    print(GroupLayout({"video": 5, "audio": 2}, num_groups=3))
    # video ###
    # video ##.
    # audio ##.
    ```

    Reference:
        HiP, arXiv 2202.10890, its grouping of the input; how groups are dealt out follows the published code.
    """

    def __init__(self, lengths, num_groups):
        self.lengths = dict(lengths)
        self.num_groups = num_groups
        if not self.lengths or min(self.lengths.values()) < 1:
            raise ValueError(f"`lengths` must name streams of positive length. Received: lengths={lengths}")
        if num_groups < len(self.lengths):
            raise ValueError(
                "`num_groups` must be one for each stream at least. "
                f"Received: num_groups={num_groups} for {list(self.lengths)}"
            )
        self.groups = dict.fromkeys(self.lengths, 1)
        for _ in range(num_groups - len(self.lengths)):
            self.groups[max(self.lengths, key=self._elements_per_group)] += 1
        self.group_length = max(-(-self.lengths[name] // count) for name, count in self.groups.items())

    def _elements_per_group(self, name):
        return self.lengths[name] / self.groups[name]

    @property
    def padding(self) -> dict[str, int]:
        """Places that each stream leaves empty at the end of its groups."""
        return {name: count * self.group_length - self.lengths[name] for name, count in self.groups.items()}

    @property
    def mask(self) -> np.ndarray:
        """Bool array `(G, N)`, True where a place holds an element."""
        places = [
            np.arange(count * self.group_length) < self.lengths[name] for name, count in self.groups.items()
        ]
        return np.concatenate(places).reshape(self.num_groups, self.group_length)

    def __str__(self):
        """One row a group: `#` is an element, `.` padding."""
        names = [name for name, count in self.groups.items() for _ in range(count)]
        width = max(map(len, names))
        return "\n".join(
            f"{name:{width}} {''.join('#' if real else '.' for real in row)}"
            for name, row in zip(names, self.mask, strict=True)
        )
