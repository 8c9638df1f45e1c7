"""Published weights of Swin and Video Swin, without the libraries that wrote them."""

import math
import re

import numpy as np

from zorro_keras import streams as zs
from zorro_keras.models import SwinBackbone
from zorro_keras.weights.checkpoint import read_tensors
from zorro_keras.weights.error import WeightsError, listed
from zorro_keras.weights.load import assign, variable_at
from zorro_keras.weights.swin_names import swin_rows, swin_to_ours
from zorro_keras.weights.swin_resize import bias_table, patch_kernel

_PREFIXES = ("backbone.", "swin.")  # of video's official files, of Hugging Face's classifiers
_BLOCK = re.compile(r"(?:encoder\.)?layers\.(\d+)\.blocks\.(\d+)\.")
_UNUSED = re.compile(r".*\.(relative_position_index|attn_mask)|(head|cls_head|classifier)\..*")
_SPATIAL = 7  # rows and columns of the window of every published Video Swin
_REDUCTION = 32  # patches of 4, and three mergings
_CLIP = {"frames": 32, "height_px": 224, "width_px": 224}


def load_swin(path, streams=None, **overrides) -> SwinBackbone:
    """Builds a Swin from published weights, without its classifier.

    The sizes are those of the tensors. For another window the tables of biases are resized; weights of
    pictures also begin a model of clips, inflated along time, or one of spectrograms, whose patches take the
    sum of the colours.

    Args:
        path: str or path of an official `.pth` file of images or of videos, or of a Hugging Face repository
            on disk, see `read_checkpoint`.
        streams: dict of one name to description, with the patch of the file, or with any number of frames in
            front of it; `None` for "image" or "video" of the published size.
        **overrides: further arguments of `SwinBackbone`, such as `window` or `dtype`. The window is by
            default the file's, and for clips from pictures 8 frames deep.

    Returns:
        `SwinBackbone`. The official code reads what fills up a grid (`read_padding=True`) and takes other
        rows of its tables where a window of clips is smaller in space (`slice_index=True`). At the published
        sizes there is neither.

    Raises:
        WeightsError: for a file that cannot be read or trusted; for missing, unknown or misshapen tensors,
            naming them; and for streams that the weights cannot be made to fit.

    Example:

    ```python
    backbone = zk.weights.load_swin("swin_tiny_patch4_window7_224.pth")
    clips = {"video": zk.streams.Video(8, 224, 224, patch=(2, 4, 4))}
    inflated = zk.weights.load_swin("swin_tiny_patch4_window7_224.pth", clips)
    ```

    Reference:
        microsoft/Swin-Transformer; SwinTransformer/Video-Swin-Transformer; the Swin of
        huggingface/transformers.
    """
    _, tensors = read_tensors(path)
    return convert_swin(tensors, streams, **overrides)


def convert_swin(tensors, streams=None, **overrides) -> SwinBackbone:
    """Builds a Swin from named arrays, see `load_swin`."""
    origin, tensors = _recognised(tensors)
    num_layers = _num_layers(tensors)
    rows = {row.ours: row for row in swin_rows(num_layers)}
    names = {ours: getattr(row, origin) for ours, row in rows.items()}
    _check_names(tensors, set(names.values()))
    sizes, patch, window = _sizes(num_layers, {ours: tensors[name].shape for ours, name in names.items()})
    if told := sorted(set(overrides) & set(sizes)):
        raise WeightsError(f"The file says what these are; leave them out. Received: {told}")
    _check_enough(tensors, sizes)
    streams = _published(patch, window) if streams is None else dict(streams)
    _check_streams(streams, patch)
    try:
        backbone = SwinBackbone(streams, **{"window": _window_for(streams, window), **sizes, **overrides})
    except ValueError as error:
        raise WeightsError(f"No Swin has the sizes that were found: {error}") from error
    arrays = {}
    for ours, row in rows.items():
        stored, shape = tensors[names[ours]], tuple(variable_at(backbone, ours).shape)
        try:
            arrays[row] = _fitted(row, swin_to_ours(row, origin, stored), patch, window, backbone)
            fits = arrays[row].shape == shape
        except ValueError:  # of numpy: it has not even the axes
            fits = False
        if not fits:
            raise WeightsError(
                f"`{names[ours]}` is misshapen: it must give {shape}, in our order. Received: {stored.shape}"
            )
    assign(backbone, arrays)
    return backbone


def _recognised(tensors):
    """Returns the origin, and the tensors without what stands before the names of a whole file."""
    for prefix in _PREFIXES:
        if any(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    tensors = {name: tensor for name, tensor in tensors.items() if not _UNUSED.fullmatch(name)}
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f":
            raise WeightsError(f"`{name}` must hold floats. Received: dtype={tensor.dtype}")
    return "hugging_face" if "embeddings.norm.weight" in tensors else "official", tensors


def _num_layers(tensors):
    """Returns the number of blocks of each stage."""
    found = {(int(match[1]), int(match[2])) for match in map(_BLOCK.match, tensors) if match}
    stages = len({stage for stage, _ in found})
    if not found:
        raise WeightsError(
            f"The tensors must be those of a Swin. Received: {len(tensors)}: {listed(tensors) or 'none'}"
        )
    return [sum(stage == place for place, _ in found) for stage in range(stages)]


def _check_names(tensors, wanted):
    faults = {"missing": wanted - set(tensors), "unknown": set(tensors) - wanted}
    if any(faults.values()):
        found = "; ".join(f"{fault}: {listed(names)}" for fault, names in faults.items() if names)
        raise WeightsError(f"The tensors must be those of a Swin. Received: {found}")


def _sizes(num_layers, shapes):
    """Returns what the shapes of the file tell: arguments of `SwinBackbone`, patch and window."""
    kernel = shapes["trunk.stem.projection.kernel"]
    tables = [shapes[f"trunk.stages.{stage}.0.attention.bias_table"] for stage in range(len(num_layers))]
    hidden = shapes["trunk.stages.0.0.mlp.hidden_dense.bias"]
    if len(kernel) not in (4, 5) or any(len(table) != 2 for table in tables) or len(hidden) != 1:
        raise WeightsError(f"The patches must be of a Swin's axes. Received: {kernel}, tables {tables}")
    sizes = {
        "num_layers": num_layers,
        "num_heads": [heads for _, heads in tables],
        "hidden_dim": kernel[0],
        "mlp_ratio": hidden[0] // max(kernel[0], 1),
    }
    return sizes, tuple(kernel[2:]), _window_of(tables[0][0], len(kernel) - 2)


def _window_of(num_rows, rank):
    """Returns the window of a table with so many rows."""
    space = math.isqrt(num_rows) if rank == 2 else 2 * _SPATIAL - 1
    time, rest = divmod(num_rows, space**2) if space else (0, 1)
    if rest or time % 2 == 0 or space % 2 == 0:
        raise WeightsError(f"A table must have a row for each offset in a window. Received: {num_rows} rows")
    window = ((space + 1) // 2, (space + 1) // 2)
    return window if rank == 2 else ((time + 1) // 2, *window)


def _published(patch, window):
    if len(patch) == 3:
        return {"video": zs.Video(**_CLIP, patch=patch)}
    return {"image": zs.Image(_REDUCTION * window[0], _REDUCTION * window[1], patch=patch)}


def _window_for(streams, window):
    """Returns the file's window, for clips from pictures so many frames deep as the published models are."""
    ranks = {len(getattr(stream, "patch", ())) for stream in streams.values()}
    return (8, *window) if ranks == {3} and len(window) == 2 else window


def _check_enough(tensors, sizes):
    """A file of a few small tensors must not make a model that fills all memory."""
    held = sum(tensor.size for tensor in tensors.values())
    kernels = 4 + 2 * sizes["mlp_ratio"]  # of attention and MLP, in squares of the channels
    needed = sum(
        layers * kernels * (sizes["hidden_dim"] * 2**stage) ** 2
        for stage, layers in enumerate(sizes["num_layers"])
    )
    if needed > held:
        raise WeightsError(
            f"The sizes that the tensors tell need {needed} numbers or more. Received: {held} in all"
        )


def _check_streams(streams, patch):
    for name, stream in streams.items():
        cut = tuple(getattr(stream, "patch", ()))
        if len(cut) - len(patch) not in (0, 1) or cut[-len(patch) :] != patch:
            raise WeightsError(
                f"`streams` must have the patch of the file, {patch}, or that with frames in front. "
                f"Received: {cut} of `{name}`"
            )


def _fitted(row, array, patch, window, backbone):
    """Returns an array in our order as the model needs it."""
    (stream,) = backbone.streams.values()
    if row.form == "table":
        array = bias_table(array, window, backbone.window)
    if row.form == "patch":
        array = patch_kernel(array, patch, stream.patch, math.prod(stream.shape[len(stream.patch) :]))
    return np.asarray(array, "float32")
