"""Starts a Zorro-ViT from a published vision transformer of pictures."""

import numpy as np

from zorro_keras import streams
from zorro_keras.models import ZorroViTBackbone
from zorro_keras.weights.error import SizeMismatch, WeightsError
from zorro_keras.weights.forms import transform
from zorro_keras.weights.load import variable_at, weights_without
from zorro_keras.weights.report import NO_BIAS, Report, Use
from zorro_keras.weights.settings import Setting
from zorro_keras.weights.vit_patches import patch_kernel, patch_positions
from zorro_keras.weights.vit_source import read_vit, without_class_token

PICTURES = (streams.Image, streams.Video, streams.Spectrogram)


def load_vit(backbone: ZorroViTBackbone, source) -> Report:
    """Gives a Zorro-ViT the weights of a ViT: its blocks, and tokenizers of pictures, clips and spectrograms.

    Every stream of pictures starts from the one tokenizer of the ViT. Its kernel is fitted to the stream's
    patch so that what both can show gives the same token: a picture enlarged with its patches, a grey one, a
    still clip. Its positions, without the class token's, are interpolated linearly to the stream's grid and
    repeated for every frame. Learned streams, the read-out and other streams keep their weights. Where the
    ViT has no biases, ours are zero.

    Give the model what the ViT was trained on: Google's take pictures in [-1, 1].

    Args:
        backbone: `ZorroViTBackbone` of the ViT's width, depth and heads; changed in place, whole or not at
            all.
        source: keras-hub `ViTBackbone`; the folder of its preset; or a Hugging Face repository on disk, or
            its file of weights, of `ViTModel` or `ViTForImageClassification`.

    Returns:
        `Report`: every tensor of the source, used or not and why, and the weights that the model kept. The
        setting `epsilon` is the source's; the norms here add 1e-6 to the variance, Google's at Hugging Face
        1e-12. Without a `config.json` the number of heads is taken to be the model's.

    Raises:
        WeightsError: for what cannot be read or trusted; for missing, unknown or misshapen tensors, naming
            them; for another width, depth or number of heads, another activation than the exact GELU, or an
            epsilon above 1e-5.

    Example:

    ```python
    backbone = zk.models.ZorroViTBackbone.from_variant("base", streams=streams)
    report = zk.weights.load_vit(backbone, "vit-base-patch16-224")  # a folder
    print(report.summary())
    ```

    Reference:
        ViT, arXiv 2010.11929.
    """
    if not isinstance(backbone, ZorroViTBackbone):
        raise WeightsError(f"`backbone` must be a ZorroViTBackbone. Received: {type(backbone).__name__}")
    vit = read_vit(source)
    arrays, axes = vit.arrays()
    settings = _checked_settings(backbone, vit, axes)
    given = [_given(backbone.transformer, vit, row, arrays) for row in vit.trunk]
    for tokenizer in backbone.transformer.tokenizers.values():
        if isinstance(tokenizer.stream, PICTURES):
            given += _given_to(tokenizer, vit, arrays, settings["grid"].value)
    for variable, array, _ in given:
        variable.assign(array)
    used = tuple(use for *_, use in given)
    kept = tuple(weights_without(backbone, [variable for variable, *_ in given]))
    return Report(vit.origin, "vit", vit.origin, used, vit.unused | _left(vit, used), settings, kept)


def _checked_settings(backbone, vit, axes):
    """Returns the settings of the source, once they are those of the model."""
    heads = vit.settings["num_heads"]
    if heads.value is None:
        heads = Setting(backbone.num_heads, "the model")
    sizes = {"num_layers": vit.num_layers, "num_heads": heads.value}
    sizes |= {name: axes[name] for name in ("hidden_dim", "mlp_dim") if name in axes}
    for name, size in sizes.items():
        if (ours := getattr(backbone, name)) != size:
            raise WeightsError(
                f"`{name}` of the model must be {size}, as that of the ViT. Received: {name}={ours}",
                size=SizeMismatch(name, size, ours),
            )
    return {**vit.settings, "num_heads": heads}


def _given(layer, vit, row, arrays, note=""):
    """Returns the variable of a row, its array, and the `Use` that says where it is from."""
    variable = variable_at(layer, row.ours)
    shape = tuple(variable.shape)
    if row not in arrays:
        return variable, np.zeros(shape), Use(NO_BIAS, variable.path, shape, "zeros")
    return variable, arrays[row], Use(vit.name(row), variable.path, shape, transform(row, vit) + note)


def _given_to(tokenizer, vit, arrays, grid):
    """Returns the same for each row of the tokenizer of a stream of pictures."""
    stream = tokenizer.stream
    kernel, bias, positions = vit.tokenizer
    fitted = {
        kernel: patch_kernel(arrays[kernel], stream),
        positions: patch_positions(without_class_token(arrays[positions], grid), grid, stream),
    }
    whole_patch = (*stream.patch, *stream.shape[len(stream.patch) :])
    return [
        _given(tokenizer, vit, kernel, fitted, f", fitted to patches {_by(whole_patch)}"),
        _given(tokenizer, vit, bias, arrays),
        _given(tokenizer, vit, positions, fitted, f", resized from {_by(grid)} to {_by(stream.grid)}"),
    ]


def _by(sizes):
    return " x ".join(map(str, sizes))


def _left(vit, used):
    """Returns the reason for the tensors of the tokenizer where no stream shows pictures."""
    named = {use.source for use in used}
    names = [vit.name(row) for row in vit.tokenizer if vit.name(row) in vit.tensors]
    return {name: "no stream shows pictures" for name in names if name not in named}
