"""From published weights to a model with its heads."""

from typing import NamedTuple

import keras

from zorro_keras.models import PerceiverIOBackbone
from zorro_keras.weights.axes import arrays_of, rows_of, sizes_of
from zorro_keras.weights.build import parts
from zorro_keras.weights.checkpoint import Checkpoint, read_checkpoint
from zorro_keras.weights.error import WeightsError
from zorro_keras.weights.forms import KERNEL_ORDERS, transform
from zorro_keras.weights.report import Report, Use
from zorro_keras.weights.settings import settings_of


class Conversion(NamedTuple):
    """A model with published weights, and the report on every tensor of their file."""

    backbone: PerceiverIOBackbone
    report: Report


def load(path, semantics=None, kernel_order=None, query_residual=None, sizes=None) -> PerceiverIOBackbone:
    """Builds a published Perceiver IO model from its weights, heads included.

    The origin and the model are recognised by the names of the tensors, the sizes by their shapes; a
    `config.json` beside the file tells the rest, and where there is none the published settings hold.

    Args:
        path: str or path of a Hugging Face repository on disk or of one file of weights, see
            `read_checkpoint`.
        semantics: "deepmind" or "hugging_face", whose numbers to give; `None` for those of the origin.
        kernel_order: order in which to take the axes of the 7x7 kernel of Hugging Face's convolutional image
            model: `(3, 2, 1, 0)` restores DeepMind's kernel, `(2, 3, 1, 0)` computes what Hugging Face's
            model computes; `None` for what the semantics need.
        query_residual: bool, whether the decoder adds the query to what it read; `None` for what the
            semantics' code does. They differ for the image model with learned positions.
        sizes: dict of what shapes do not tell, where a model is not a published one: "num_heads",
            "num_cross_heads", "num_decoder_heads", "num_repeats", "size_px" (rows, columns),
            "max_resolution", "num_frames", "num_samples".

    Returns:
        `PerceiverIOBackbone`. Inputs and outputs are called "text", "image" and "label" as those of
        `PerceiverIOBackbone.from_variant`; optical flow reads "neighbourhoods" `(B, Y, X, 54)`, both frames'
        3x3 neighbours of every pixel.

    Raises:
        WeightsError: for a file that cannot be read or trusted, and for missing, unknown or misshapen
            tensors, naming them.

    Example:

    ```python
    backbone = zk.weights.load("language-perceiver")
    backbone({"text": ids})  # {"text": (B, 2048, 262)}
    ```

    Reference:
        Perceiver IO, arXiv 2107.14795; google-deepmind/deepmind-research, folder perceiver; the Perceiver of
        huggingface/transformers.
    """
    return convert(read_checkpoint(path), semantics, kernel_order, query_residual, sizes).backbone


def convert(checkpoint: Checkpoint, semantics=None, kernel_order=None, query_residual=None, sizes=None):
    """Builds the model of a checkpoint and says what became of each of its tensors.

    Args:
        checkpoint: `Checkpoint`, from `read_checkpoint` or `Checkpoint.recognise`.
        semantics: as for `load`, like the rest.

    Returns:
        `Conversion`: backbone and report.

    Raises:
        WeightsError: as `load`.
    """
    semantics = semantics or checkpoint.origin
    if semantics not in KERNEL_ORDERS:
        raise WeightsError(f"`semantics` must be one of {list(KERNEL_ORDERS)}. Received: {semantics!r}")
    order = tuple(kernel_order or KERNEL_ORDERS[semantics])
    if order not in KERNEL_ORDERS.values():
        raise WeightsError(
            f"`kernel_order` must be one of {list(KERNEL_ORDERS.values())}. Received: {kernel_order}"
        )
    order = order if checkpoint.origin == "hugging_face" else None
    rows, unused = rows_of(checkpoint)
    arrays = arrays_of(checkpoint, rows, order)
    axes = sizes_of(arrays, checkpoint.origin)
    settings = settings_of(checkpoint, axes, semantics, query_residual, sizes)
    num_layers = sum(row.ours.endswith("mlp.hidden_dense.kernel") for row in rows) - 2
    try:
        backbone = PerceiverIOBackbone(**parts(checkpoint.model, num_layers, axes, settings))
    except ValueError as error:
        raise WeightsError(f"No {checkpoint.model} model has the sizes found: {error}") from error
    variables = assign(backbone, arrays)
    used = tuple(
        Use(
            getattr(row, checkpoint.origin),
            variable.path,
            tuple(variable.shape),
            transform(row, checkpoint.origin, order),
        )
        for row, variable in variables.items()
    )
    return Conversion(backbone, Report(checkpoint.origin, checkpoint.model, semantics, used, unused))


def assign(backbone, arrays):
    """Gives a model its weights, every one of them.

    Args:
        backbone: `PerceiverIOBackbone`.
        arrays: dict of row of `names` to array.

    Returns:
        Dict of row to the variable that it was given to.

    Raises:
        WeightsError: if a weight of the model gets no array, or one of another shape.
    """
    variables = {row: variable_at(backbone, row.ours) for row in arrays}
    given = {id(variable) for variable in variables.values()}
    if missing := [
        weight.path for weight in backbone.weights if id(weight) not in given and _is_weight(weight)
    ]:
        raise WeightsError(f"These weights of the model get no tensor: {', '.join(missing)}")
    for row, variable in variables.items():
        if tuple(variable.shape) != arrays[row].shape:
            raise WeightsError(
                f"`{row.ours}` must have the shape {tuple(variable.shape)}. Received: {arrays[row].shape}"
            )
    for row, variable in variables.items():
        variable.assign(arrays[row])
    return variables


def variable_at(backbone, place):
    """Returns the variable at an attribute path such as "encoder.blocks.0.mlp.hidden_dense.kernel"."""
    found = backbone
    for part in place.split("."):
        if part.isdigit():
            found = found[int(part)]
        else:
            found = found[part] if isinstance(found, dict) else getattr(found, part)
    return found


def _is_weight(variable):
    return keras.backend.standardize_dtype(variable.dtype).startswith(("float", "bfloat"))
