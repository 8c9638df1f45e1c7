"""From streams to groups of elements, from groups to other groups, and back to streams."""

import keras
from keras import ops

REGROUPINGS = ("reshape", "transpose_reshape")


def join_groups(arrays, layout, fill=0):
    """Returns the groups `(B, G, N, C)` of streams, each cut into contiguous chunks.

    Args:
        arrays: dict of stream to tensor `(B, M, C)`, not bool.
        layout: `GroupLayout` of the streams.
        fill: value of the places that hold no element.
    """
    groups = []
    for name, count in layout.groups.items():
        groups.append(cut_groups(arrays[name], count, layout.group_length, fill))  # B g N C
    return ops.concatenate(groups, axis=1) if len(groups) > 1 else groups[0]


def cut_groups(x, num_groups, length, fill=0):
    """Returns the groups `(B, G, N, C)` of elements `(B, M, C)`: contiguous chunks, filled up at the end."""
    if missing := num_groups * length - x.shape[1]:
        x = ops.pad(x, ((0, 0), (0, missing), (0, 0)), constant_values=fill)
    return ops.reshape(x, (-1, num_groups, length, x.shape[-1]))


def split_groups(x, layout):
    """Returns the streams, dict of name to `(B, M, C)`, of groups `(B, G, N, C)`: undoes `join_groups`."""
    arrays, start = {}, 0
    for name, count in layout.groups.items():
        groups = x[:, start : start + count]
        flat = ops.reshape(groups, (-1, count * layout.group_length, x.shape[-1]))
        arrays[name] = flat[:, : layout.lengths[name]]
        start += count
    return arrays


def regroup(x, num_groups, regrouping="reshape"):
    """Returns the elements of groups `(B, G, N, C)` in other groups `(B, G', G * N / G', C)`.

    Args:
        x: tensor `(B, G, N, C)`.
        num_groups: int, G'.
        regrouping: "reshape" joins neighbouring groups, or cuts them; "transpose_reshape" gives each of the
            new groups elements of all the old ones.

    Raises:
        ValueError: if the elements of all groups cannot be dealt out evenly, or the regrouping is unknown.

    Reference:
        HiP, arXiv 2202.10890; both kinds are in the published code.
    """
    if regrouping not in REGROUPINGS:
        raise ValueError(f"`regrouping` must be one of {REGROUPINGS}. Received: regrouping={regrouping!r}")
    groups, length, channels = x.shape[1:]
    if groups * length % num_groups:
        raise ValueError(
            f"`num_groups` must divide the {groups} groups of {length}. Received: num_groups={num_groups}"
        )
    if regrouping == "transpose_reshape":
        x = ops.transpose(x, (0, 2, 1, 3))  # B N G C
    return ops.reshape(x, (-1, num_groups, groups * length // num_groups, channels))


def draw_places(batch, length, count, seed):
    """Returns int `(batch, count)`: for each row `count` different places out of `length`, at random.

    Args:
        batch: int or scalar tensor.
        length: int.
        count: int, at most `length`.
        seed: `SeedGenerator`.
    """
    lots = keras.random.uniform((batch, length), seed=seed)
    return ops.argsort(lots, axis=1)[:, :count]


def keep_places(x, places):
    """Returns the elements `(B, G, R, C)` that stand in some places `(B, R)` of groups `(B, G, N, C)`."""
    shape = (ops.shape(places)[0], x.shape[1], places.shape[1], 1)
    places = ops.broadcast_to(places[:, None, :, None], shape)
    return ops.take_along_axis(x, places, axis=2)
