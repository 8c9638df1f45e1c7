"""A Swin as it was published: its arrays in our order, its sizes, patch and windows, and what is left."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from zorro_keras.weights.checkpoint import read_tensors
from zorro_keras.weights.error import WeightsError, listed
from zorro_keras.weights.settings import Setting
from zorro_keras.weights.swin_keras_cv import is_keras_cv, tensors_of, windows_of
from zorro_keras.weights.swin_keras_cv_file import is_hdf5, read_keras_cv_file
from zorro_keras.weights.swin_names import swin_rows, swin_to_ours

_PREFIXES = ("backbone.", "swin.")  # of video's official files, of Hugging Face's classifiers
_BLOCK = re.compile(r"(?:encoder\.)?(?:layers\.|videoswin_basic_layer_)(\d+)\.blocks\.(\d+)\.")
_UNUSED = {
    re.compile(r".*\.(relative_position_index|attn_mask)"): "computed from the window",
    re.compile(r"(head|cls_head|classifier)\..*"): "the head of another task",
}
_MAY_LACK = re.compile(r".*\b(qkv|query|key|value)\.bias")  # `qkv_bias`, in all blocks or in none
_SPATIAL = 7  # rows and columns of the window of every published Video Swin


@dataclass(frozen=True)
class SwinSource:
    """Published weights of a Swin.

    Attributes:
        origin: "official", "hugging_face" or "keras_cv".
        tensors: dict of name to array, as they lie in the source.
        rows: tuple of `SwinRow`.
        sizes: dict of arguments of `SwinBackbone`: "num_layers", "num_heads", "hidden_dim", "mlp_ratio".
        patch: tuple of int.
        windows: tuple of the window that the tables of each stage were made for; the first is the largest.
        unused: dict of tensor to the reason.
        settings: dict of name to `Setting`.
    """

    origin: str
    tensors: dict = field(repr=False)
    rows: tuple = field(repr=False)
    sizes: dict
    patch: tuple
    windows: tuple
    unused: dict = field(repr=False)
    settings: dict

    def name(self, row):
        """Returns what a row's tensor is called in the source."""
        return getattr(row, self.origin)

    def stored(self, row):
        """Returns a row's tensor as it lies in the source; `None` for a bias that the source lacks."""
        return self.tensors.get(self.name(row))

    def array(self, row):
        """Returns a row's array in our order of axes.

        Raises:
            ValueError: of numpy, for a tensor that has not even the axes.
        """
        return swin_to_ours(row, self.origin, self.stored(row))


def read_swin(source, window=None):
    """Returns the `SwinSource` of a KerasCV `VideoSwinBackbone`, of a file of one, or of `.pth` and the like.

    Args:
        source: see `load_swin`.
        window: tuple of int, the window that is wanted. A file does not tell the shape of its windows:
            a table of as many rows as that window has offsets is taken to be one of it.

    Raises:
        WeightsError: for what cannot be read or trusted; for missing, unknown or misshapen tensors, naming
            them.
    """
    if is_keras_cv(source):
        settings = {"include_rescaling": Setting(bool(source.include_rescaling), "config")}
        return _checked("keras_cv", tensors_of(source), {}, settings, windows_of(source))
    if not isinstance(source, (str, Path)):
        raise WeightsError(
            "`source` must be the path of a file of weights, a Hugging Face repository on disk or a KerasCV "
            f"`VideoSwinBackbone`: a classifier's is its `backbone`. Received: {type(source).__name__}"
        )
    if is_hdf5(path := Path(source)):
        tensors, unused = read_keras_cv_file(path)
        return _checked("keras_cv", tensors, unused, wanted=window)
    tensors = _without_prefix(read_tensors(source)[1])
    unused = {name: why for name in tensors for end, why in _UNUSED.items() if end.fullmatch(name)}
    tensors = {name: tensor for name, tensor in tensors.items() if name not in unused}
    origin = "hugging_face" if "embeddings.norm.weight" in tensors else "official"
    return _checked(origin, tensors, unused, wanted=window)


def _without_prefix(tensors):
    """Returns the tensors by their names without what stands before them in a whole file."""
    for prefix in _PREFIXES:
        if any(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _checked(origin, tensors, unused, settings=None, windows=None, wanted=None):
    """Returns the source of named arrays, once they are all those of a Swin."""
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f":
            raise WeightsError(f"`{name}` must hold floats. Received: dtype={tensor.dtype}")
    rows = swin_rows(num_layers := _num_layers(tensors))
    names = {row.ours: getattr(row, origin) for row in rows}
    _check_names(tensors, set(names.values()))
    kernel = tensors[names["trunk.stem.projection.kernel"]].shape
    tables = [
        tensors[names[f"trunk.stages.{stage}.0.attention.bias_table"]].shape
        for stage in range(len(num_layers))
    ]
    hidden = tensors[names["trunk.stages.0.0.mlp.hidden_dense.bias"]].shape
    if len(kernel) not in (4, 5) or any(len(table) != 2 for table in tables) or len(hidden) != 1:
        raise WeightsError(f"The patches must be of a Swin's axes. Received: {kernel}, tables {tables}")
    patch, width = (kernel[:-2], kernel[-1]) if origin == "keras_cv" else (kernel[2:], kernel[0])
    sizes = {
        "num_layers": num_layers,
        "num_heads": [heads for _, heads in tables],
        "hidden_dim": width,
        "mlp_ratio": hidden[0] // max(width, 1),
    }
    told = "config" if windows else "shapes"
    windows = windows or _windows([rows for rows, _ in tables], len(patch), wanted, origin)
    settings = {"window": Setting(windows[0], told), **(settings or {})}
    return SwinSource(origin, tensors, rows, sizes, patch, windows, unused, settings)


def _num_layers(tensors):
    """Returns the number of blocks of each stage."""
    found = {(int(match[1]), int(match[2])) for match in map(_BLOCK.match, tensors) if match}
    if not found:
        raise WeightsError(
            f"The tensors must be those of a Swin. Received: {len(tensors)}: {listed(tensors) or 'none'}"
        )
    stages = [stage for stage, _ in found]
    return [stages.count(stage) for stage in sorted(set(stages))]


def _check_names(tensors, wanted):
    lacking = {name for name in wanted if _MAY_LACK.fullmatch(name)}
    if lacking.isdisjoint(tensors):
        wanted = wanted - lacking
    faults = {"missing": wanted - set(tensors), "unknown": set(tensors) - wanted}
    if any(faults.values()):
        found = "; ".join(f"{fault}: {listed(names)}" for fault, names in faults.items() if names)
        raise WeightsError(f"The tensors must be those of a Swin. Received: {found}")


def _windows(lengths, rank, wanted, origin):
    """Returns the window of the tables of each stage, from their numbers of rows.

    KerasCV alone makes tables of the window that fits a stage's grid.
    """
    first = tuple(wanted or ())
    if len(first) != rank or math.prod(2 * size - 1 for size in first) != lengths[0]:
        first = _window_of(lengths[0], rank, None if rank == 2 else 2 * _SPATIAL - 1)
    if origin != "keras_cv":
        return (first,) * len(lengths)
    time = 2 * first[0] - 1
    return tuple(
        first if length == lengths[0] else (first[0], *_window_of(length / time, 2)) for length in lengths
    )


def _window_of(num_rows, rank, space=None):
    """Returns the window, of as many rows as columns, of a table with so many rows."""
    space = math.isqrt(int(num_rows)) if space is None else space
    time, rest = divmod(num_rows, space**2) if space else (0, 1)
    if rest or time % 2 == 0 or space % 2 == 0 or (rank == 2 and time != 1):
        raise WeightsError(
            f"A table must have a row for each offset in a window. Received: {num_rows:g} rows"
        )
    window = ((space + 1) // 2, (space + 1) // 2)
    return window if rank == 2 else (int(time + 1) // 2, *window)
