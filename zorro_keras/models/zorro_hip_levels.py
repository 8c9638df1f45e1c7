"""The levels of a Zorro-HiP: how many groups each stream has, and whether that fits together."""

from zorro_keras.models.hip_variants import COLUMNS
from zorro_keras.routing import GroupLayout


def rows_of(sizes, columns):
    """Returns rows of levels, those columns replaced that are given.

    Args:
        sizes: list of dicts of sizes.
        columns: dict of size to sequence of int, one for each level. Given all, they may be of other levels.

    Raises:
        ValueError: for unknown sizes, or columns of different lengths.
    """
    table = {name: [row[name] for row in sizes] for name in COLUMNS} | {
        name: list(column) for name, column in columns.items()
    }
    if set(table) != set(COLUMNS) or len({len(column) for column in table.values()}) > 1:
        raise ValueError(
            f"`columns` must give sizes of {list(COLUMNS)} for each of the {len(sizes)} levels; of another "
            f"number of levels all sizes. Received: {columns}"
        )
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def dealt_levels(levels, streams, routing):
    """Returns levels whose groups are dealt out among streams.

    Args:
        levels: list of dicts of sizes with an int `num_groups` each, all groups of the level together.
        streams: dict of given stream to description.
        routing: `Routing` of given and learned streams; each learned one has a quarter of the groups.

    Returns:
        List of dicts with a dict of stream to int as `num_groups`, one at least for every stream.
    """
    lengths = {name: stream.num_tokens for name, stream in streams.items()}
    learned = [name for name in routing if name not in streams]
    dealt, elements = [], lengths
    for row in levels:
        quarter = max(1, row["num_groups"] // 4)
        left = max(row["num_groups"] - quarter * len(learned), len(streams))
        shares = GroupLayout(lengths, left).groups
        shares = {name: _whole_groups(count, elements[name]) for name, count in shares.items()}
        dealt.append({**row, "num_groups": {**shares, **dict.fromkeys(learned, quarter)}})
        elements = {name: count * row["num_latents"] for name, count in shares.items()}
    return dealt


def decoder_rows(decoder_levels, levels, streams):
    """Returns the decoder levels of a published size, with the groups of given streams on the way up."""
    below = reversed(levels[:-1])
    return [
        {**row, "num_groups": {name: mirrored["num_groups"][name] for name in streams}}
        for row, mirrored in zip(decoder_levels, below, strict=True)
    ]


def check_levels(streams, routing, levels, decoder_levels):
    """Raises `ValueError` where levels do not fit together, the streams, or the routing."""
    for row in [*levels, *decoder_levels]:
        if set(row) != set(COLUMNS) or not isinstance(row["num_groups"], dict):
            raise ValueError(
                f"A level must have the sizes {list(COLUMNS)}, with `num_groups` by stream. Received: {row}"
            )
    if not levels:
        raise ValueError("`levels` must be one at least. Received: none")
    begun = set(streams)
    for place, row in enumerate(levels):
        names = set(row["num_groups"])
        if not begun <= names <= set(routing):
            raise ValueError(
                f"`num_groups` of level {place} must name {sorted(begun)}, and may name learned streams of "
                f"{list(routing)}; one that has begun goes on. Received: {row['num_groups']}"
            )
        begun = names
    if begun != set(routing):
        raise ValueError(
            f"The last level must have groups for all of {list(routing)}. Received: {levels[-1]}"
        )
    _check_no_group_is_empty(streams, levels)
    there = [({name: row["num_groups"][name] for name in streams}, row["num_latents"]) for row in levels[:-1]]
    back = [(row["num_groups"], row["num_latents"]) for row in decoder_levels]
    if back and back != there[::-1]:
        raise ValueError(
            "`decoder_levels` must mirror the groups of the given streams and the latents of the levels "
            f"before the last, {there[::-1]}. Received: {back}"
        )


def _check_no_group_is_empty(streams, levels):
    elements = {name: stream.num_tokens for name, stream in streams.items()}
    for place, row in enumerate(levels):
        for name, groups in row["num_groups"].items():
            length = elements.get(name, groups)  # what a learned stream reads is not its own, at first
            if groups < 1 or _some_are_empty(groups, length):
                raise ValueError(
                    f"The {groups} groups of `{name}` at level {place} must each have some of its {length} "
                    f"elements. Received: num_groups={row['num_groups']}"
                )
            elements[name] = groups * row["num_latents"]


def _whole_groups(count, length):
    """Returns the greatest power of two up to `count` that leaves no group of `length` elements empty."""
    groups = 1 << (count.bit_length() - 1)
    while _some_are_empty(groups, length):
        groups //= 2
    return groups


def _some_are_empty(groups, length):
    return -(-length // groups) * (groups - 1) >= length
