"""From the names and shapes of a file to arrays in our order and the sizes of a model."""

import re

from zorro_keras.weights import names
from zorro_keras.weights.error import WeightsError, listed
from zorro_keras.weights.forms import to_ours

MAX_LAYERS = 1000  # of a stack: twenty times as many as any published model has


def rows_of(checkpoint):
    """Returns the rows of a checkpoint's model, each of which has its tensor, and the tensors left unused.

    Returns:
        Tuple of rows, int, the layers of the stack, and dict of unused tensor to the reason.

    Raises:
        WeightsError: naming the tensors that are missing or that the model does not have.
    """
    tensors = checkpoint.tensors
    layer = re.compile(rf"({names.LAYERS[checkpoint.origin]})[./]")
    num_layers = max(len({found[1] for found in map(layer.match, tensors) if found}), 1)
    if num_layers > MAX_LAYERS:
        raise WeightsError(f"A stack must have at most {MAX_LAYERS} layers. Received: {num_layers}")
    rows = names.rows(checkpoint.model, num_layers)
    wanted = {getattr(row, checkpoint.origin) for row in rows}
    unused = {
        name: reason
        for name in set(tensors) - wanted
        for ending, reason in names.UNUSED.items()
        if name.endswith(ending)
    }
    faults = {"missing": wanted - set(tensors), "unknown": set(tensors) - wanted - set(unused)}
    if any(faults.values()):
        found = "; ".join(f"{fault}: {listed(names_)}" for fault, names_ in faults.items() if names_)
        raise WeightsError(f"The tensors must be those of {checkpoint.model}. Received: {found}")
    return rows, num_layers, unused


def arrays_of(checkpoint, rows, kernel_order=None):
    """Returns our array for every row, as a dict of row to float32 array.

    Raises:
        WeightsError: for a tensor with other axes than its row's, or of something else than floats.
    """
    origin = checkpoint.origin
    tensors = {row: getattr(row, origin) for row in rows}
    return {
        row: to_ours(row, origin, name, checkpoint.tensors[name], kernel_order)
        for row, name in tensors.items()
    }


def sizes_of(arrays, origin):
    """Returns the size of every named axis.

    Args:
        arrays: dict of row to array.
        origin: whose names to use in errors.

    Raises:
        WeightsError: if two tensors disagree on the size of an axis, naming both.
    """
    sizes, seen_in = {}, {}
    for row, array in arrays.items():
        for axis, size in zip(row.axes, array.shape, strict=True):
            name = getattr(row, origin)
            expected = sizes.setdefault(axis, size if isinstance(axis, str) else axis)
            if size != expected or not size:
                reason = f"as in `{seen_in[axis]}`" if axis in seen_in else "always"
                raise WeightsError(
                    f"`{name}` is misshapen: its axis {axis} must have size {expected or 'of at least 1'}, "
                    f"{reason}. Received: {array.shape}, in our order"
                )
            seen_in.setdefault(axis, name)
    return {axis: size for axis, size in sizes.items() if isinstance(axis, str)}
