"""From published weights to a model with its heads."""

from typing import NamedTuple

import keras
import numpy as np

from zorro_keras.models import PerceiverIOBackbone, SwinBackbone
from zorro_keras.weights.axes import MAX_LAYERS, arrays_of, rows_of, sizes_of
from zorro_keras.weights.build import parts
from zorro_keras.weights.checkpoint import Checkpoint, read_checkpoint
from zorro_keras.weights.error import WeightsError
from zorro_keras.weights.forms import KERNEL_ORDERS, transform
from zorro_keras.weights.report import Report, Use
from zorro_keras.weights.settings import Setting, settings_of


class Conversion(NamedTuple):
    """A model with published weights, and the report on every tensor of their file."""

    backbone: PerceiverIOBackbone | SwinBackbone
    report: Report


def load(
    path, semantics=None, kernel_order=None, query_residual=None, sizes=None, dtype=None
) -> PerceiverIOBackbone:
    """Builds a published Perceiver IO model from its weights, heads included.

    The origin and the model are recognised by the names of the tensors, the sizes by their shapes; a
    `config.json` beside a file of Hugging Face's tells the rest, and where there is none the published
    settings hold. The package's docstring lists the published models.

    Args:
        path: str or path of a Hugging Face repository on disk or of one file of weights, see
            `read_checkpoint`.
        semantics: "deepmind" or "hugging_face", whose numbers to give; `None` for those of the origin.
            DeepMind's activation is always the tanh form of GELU; Hugging Face's is that of `config.json`,
            and so is the dropout of attention weights in training, which DeepMind's have not.
        kernel_order: order in which to take the axes of the 7x7 kernel of Hugging Face's convolutional image
            model: `(3, 2, 1, 0)` restores DeepMind's kernel, `(2, 3, 1, 0)` computes what Hugging Face's
            model computes; `None` for what the semantics need, and for every other file.
        query_residual: bool, whether the decoder adds the query to what it read; `None` for what the
            semantics' code does. They differ for the image model with learned positions.
        sizes: dict of what shapes do not tell, where a model is not a published one: "num_heads",
            "num_cross_heads", "num_decoder_heads", "num_repeats"; of images, optical flow and autoencoder
            "size_px" (rows, columns) and, but for learned positions, "max_resolution" (points an axis); of
            the autoencoder "num_frames" and "num_samples".
        dtype: dtype policy of all parts, such as "mixed_bfloat16"; `None` for the global one.

    Returns:
        `PerceiverIOBackbone`. Inputs and outputs are called "text", "image", "frames", "flow" and "label" as
        those of `PerceiverIOBackbone.from_variant`. Optical flow reads two frames `(B, 2, Y, X, 3)` in
        [-1, 1], of any size; `"flow"` is `(B, Y, X, 2)`, to the right and down, in units of 20 pixels.

    Raises:
        WeightsError: for a file that cannot be read or trusted; for missing, unknown or misshapen tensors and
            such that hold no floats, naming them; and for options that cannot be or mean nothing to the file.

    Example:

    ```python
    backbone = zk.weights.load("language-perceiver")
    backbone({"text": ids})  # {"text": (B, 2048, 262)}
    ```

    Reference:
        Perceiver IO, arXiv 2107.14795; google-deepmind/deepmind-research, folder perceiver; the Perceiver of
        huggingface/transformers.
    """
    checkpoint = read_checkpoint(path)
    return _convert(checkpoint, semantics, kernel_order, query_residual, sizes, dtype, take=True).backbone


def convert(
    checkpoint: Checkpoint, semantics=None, kernel_order=None, query_residual=None, sizes=None, dtype=None
) -> Conversion:
    """Builds the model of a checkpoint and says what became of each of its tensors.

    Args:
        checkpoint: `Checkpoint`, from `read_checkpoint` or `Checkpoint.recognise`.
        semantics: as for `load`, like the rest.

    Returns:
        `Conversion`: backbone and report.

    Raises:
        WeightsError: as `load`.
    """
    return _convert(checkpoint, semantics, kernel_order, query_residual, sizes, dtype)


def _convert(checkpoint, semantics, kernel_order, query_residual, sizes, dtype, take=False):
    """Converts as `convert` does; with `take` out of the checkpoint, which is empty afterwards.

    Then a large model and its file do not lie in memory at once.
    """
    semantics = semantics or checkpoint.origin
    if semantics not in KERNEL_ORDERS:
        raise WeightsError(f"`semantics` must be one of {list(KERNEL_ORDERS)}. Received: {semantics!r}")
    order = _order(checkpoint, semantics, kernel_order)
    rows, num_layers, unused = rows_of(checkpoint)
    arrays = arrays_of(checkpoint, rows, order)
    axes = sizes_of(arrays, checkpoint.origin)
    settings, reported = settings_of(checkpoint, axes, semantics, query_residual, sizes)
    if num_layers * settings.num_repeats > MAX_LAYERS:
        raise WeightsError(
            f"`num_repeats` must lead to at most {MAX_LAYERS} layers. "
            f"Received: num_repeats={settings.num_repeats} of {num_layers} layers"
        )
    try:
        backbone = PerceiverIOBackbone(**parts(checkpoint.model, num_layers, axes, settings), dtype=dtype)
    except ValueError as error:
        raise WeightsError(
            f"The sizes must be those of a {checkpoint.model} model; heads and others that a file does not "
            f"tell are given as `sizes`. Received: {error.__cause__ or error}"
        ) from error
    variables = variables_of(backbone, arrays)
    used = tuple(_use(checkpoint, row, variable, order) for row, variable in variables.items())
    if take:
        checkpoint.tensors.clear()
    for row, variable in variables.items():
        variable.assign(np.array(arrays.pop(row)))  # copied: of a view JAX would keep the whole file
    if order is not None:
        reported["kernel_order"] = Setting(order, "semantics" if kernel_order is None else "given")
    return Conversion(
        backbone, Report(checkpoint.origin, checkpoint.model, semantics, used, unused, reported)
    )


def _use(checkpoint, row, variable, order):
    source, shape = getattr(row, checkpoint.origin), tuple(variable.shape)
    return Use(source, variable.path, shape, transform(row, checkpoint, order))


def _order(checkpoint, semantics, kernel_order):
    """Returns the order of axes of the one kernel that has a choice, `None` for other files."""
    has_choice = (checkpoint.origin, checkpoint.model) == ("hugging_face", "image_conv")
    if kernel_order is None:
        return KERNEL_ORDERS[semantics] if has_choice else None
    if not has_choice:
        raise WeightsError(
            "`kernel_order` must be `None`, but for image_conv of hugging_face. "
            f"Received: kernel_order={kernel_order} for {checkpoint.model} of {checkpoint.origin}"
        )
    if tuple(kernel_order) not in KERNEL_ORDERS.values():
        raise WeightsError(
            f"`kernel_order` must be one of {list(KERNEL_ORDERS.values())}. Received: {kernel_order}"
        )
    return tuple(kernel_order)


def variables_of(backbone, arrays):
    """Returns which variable of a model each array is for.

    Args:
        backbone: `PerceiverIOBackbone`.
        arrays: dict of row of `names` to array.

    Returns:
        Dict of row to variable.

    Raises:
        WeightsError: if a weight of the model gets no array, or one of another shape.
    """
    variables = {row: variable_at(backbone, row.ours) for row in arrays}
    if missing := weights_without(backbone, variables.values()):
        raise WeightsError(f"These weights of the model get no tensor: {', '.join(missing)}")
    for row, variable in variables.items():
        if tuple(variable.shape) != arrays[row].shape:
            raise WeightsError(
                f"`{row.ours}` must have the shape {tuple(variable.shape)}. Received: {arrays[row].shape}"
            )
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


def weights_without(backbone, variables):
    """Returns the paths of the weights of a model that are not among some variables."""
    known = {id(variable) for variable in variables}
    return [weight.path for weight in backbone.weights if id(weight) not in known and _is_float(weight)]


def _is_float(variable):
    """Whether a variable is a weight, and not the state of a random generator."""
    return keras.backend.standardize_dtype(variable.dtype).startswith(("float", "bfloat"))
