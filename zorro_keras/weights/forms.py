"""How an array lies in a file and how it lies here: which axes it has, and in which order we keep them."""

import numpy as np

from zorro_keras.weights.error import WeightsError

# Hugging Face's converter reversed all axes of DeepMind's 7x7 kernel, and so exchanged rows and columns.
# The first order restores DeepMind's kernel, the second computes what Hugging Face's model computes.
KERNEL_ORDERS = {"deepmind": (3, 2, 1, 0), "hugging_face": (2, 3, 1, 0)}

# Form: number of axes in the file, and those we keep in our order; what is not kept must have size 1.
_FORMS = {
    "vector": {"deepmind": (1, (0,)), "hugging_face": (1, (0,)), "keras_hub": (1, (0,))},
    "table": {"deepmind": (2, (0, 1)), "hugging_face": (2, (0, 1))},
    "matrix": {"deepmind": (2, (0, 1)), "hugging_face": (2, (1, 0)), "keras_hub": (2, (0, 1))},
    "pointwise": {"deepmind": (4, (2, 3)), "hugging_face": (4, (1, 0))},
    "kernel": {
        "deepmind": (4, (0, 1, 2, 3)),
        "hugging_face": (4, KERNEL_ORDERS["hugging_face"]),
        "keras_hub": (4, (0, 1, 2, 3)),
    },
    "positions": {"hugging_face": (3, (1, 2)), "keras_hub": (2, (0, 1))},
    "channels": {"deepmind": (4, (3,)), "hugging_face": (1, (0,))},
}


def kept_axes(row, origin, kernel_order=None):
    """Returns how many axes a row's array has in a file, and which of them we keep, in our order."""
    rank, kept = _FORMS[row.form][origin]
    return rank, kernel_order if row.form == "kernel" and kernel_order else kept


def to_ours(row, origin, name, array, kernel_order=None):
    """Returns a file's array as ours, float32; a view where it is float32 already.

    Raises:
        WeightsError: if it is no array of floats, has another number of axes, or numbers too large.
    """
    if array.dtype.kind != "f":
        raise WeightsError(f"`{name}` must hold floats. Received: dtype={array.dtype}")
    rank, kept = kept_axes(row, origin, kernel_order)
    left = [axis for axis in range(rank) if axis not in kept]
    if array.ndim != rank or any(array.shape[axis] != 1 for axis in left):
        places = dict(zip(kept, row.axes, strict=True))
        axes = ", ".join(str(places.get(axis, 1)) for axis in range(rank))
        raise WeightsError(f"`{name}` must have the axes ({axes}). Received: shape={array.shape}")
    with np.errstate(over="ignore"):
        ours = np.asarray(np.transpose(array, (*left, *kept)), "float32")
    if array.dtype.itemsize > 4 and np.isinf(ours).sum() > np.isinf(array).sum():
        raise WeightsError(f"`{name}` must fit float32. Received: dtype={array.dtype} and larger numbers")
    return ours.reshape([array.shape[axis] for axis in kept])


def to_hugging_face(row, array):
    """Returns our array as Hugging Face stores it, float32 and contiguous."""
    rank, kept = kept_axes(row, "hugging_face")
    array = np.asarray(array, "float32")
    array = array.transpose([list(kept).index(axis) for axis in sorted(kept)])
    return np.ascontiguousarray(array.reshape(*array.shape, *[1] * (rank - array.ndim)))


def transform(row, checkpoint, kernel_order=None):
    """Returns in words what `to_ours` does to a row's array of a checkpoint."""
    rank, kept = kept_axes(row, checkpoint.origin, kernel_order)
    array = checkpoint.tensors[getattr(row, checkpoint.origin)]
    stored = (array.dtype.metadata or {}).get("stored_as", array.dtype.name)
    cast = "" if stored == "float32" else f", cast from {stored}"
    if len(kept) < rank:
        return f"axes {kept} of {rank}{cast}"
    return ("as it is" if kept == tuple(range(rank)) else f"transposed {kept}") + cast
