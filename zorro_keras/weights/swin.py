"""Published weights of Swin and Video Swin, without the libraries that wrote them."""

import math

import numpy as np

from zorro_keras import streams as zs
from zorro_keras.models import SwinBackbone, ZorroSwinBackbone
from zorro_keras.weights.error import SizeMismatch, WeightsError
from zorro_keras.weights.load import Conversion, variable_at, weights_without
from zorro_keras.weights.report import NO_BIAS, Report, Use
from zorro_keras.weights.swin_resize import bias_table, patch_kernel, surrounded
from zorro_keras.weights.swin_source import read_swin

_REDUCTION = 32  # patches of 4, and three mergings
_CLIP = {"frames": 32, "height_px": 224, "width_px": 224}


def load_swin(backbone: SwinBackbone | ZorroSwinBackbone, source, stream=None) -> Report:
    """Gives a Swin, or trunks of a Zorro-Swin, published weights; a classifier's last layer is left out.

    For another window the tables of biases are resized, and fewer frames take their own rows. Weights of
    pictures also start a trunk of clips, inflated along time so that a still clip gives what its picture
    gave, and one of spectrograms, whose patches take the sum of the colours: a grey picture gives what it
    gave. Fusion tokens and the read-out keep their weights.

    Args:
        backbone: `SwinBackbone` or `ZorroSwinBackbone` of the source's sizes; changed in place, whole or not
            at all.
        source: path of an official `.pth` file of images or of videos, or of a Hugging Face repository on
            disk, see `read_checkpoint`; a `VideoSwinBackbone` of KerasCV, or its `.weights.h5` file.
        stream: name of the stream whose trunk is started; `None` for every stream.

    Returns:
        `Report`: every tensor of the source, used or not and why, and the weights that the model kept. The
        setting `window` is the one that the tables of the source are for; `include_rescaling` says whether a
        KerasCV model scales its pixels itself: here they come scaled.

    Raises:
        WeightsError: for what cannot be read or trusted; for missing, unknown or misshapen tensors, naming
            them; for other sizes than the source's, patches that its weights cannot be made to fit, and
            unknown streams.

    Example:

    ```python
    backbone = zk.models.ZorroSwinBackbone.from_variant("tiny", streams)
    zk.weights.load_swin(backbone, "swin_tiny_patch4_window7_224.pth", stream="audio")
    report = zk.weights.load_swin(backbone, "swin_tiny_patch244_window877_kinetics400_1k.pth", stream="video")
    print(report.summary())
    ```

    Reference:
        microsoft/Swin-Transformer; SwinTransformer/Video-Swin-Transformer; keras-team/keras-cv; the Swin of
        huggingface/transformers.
    """
    trunks = _trunks(backbone, stream)
    window = next(iter(trunks.values())).stages[0][0].window
    return _start(backbone, trunks, read_swin(source, window))


def convert_swin(source, streams=None, **overrides) -> Conversion:
    """Builds a Swin from published weights, and says what became of each of their tensors.

    The sizes are those of the tensors. What `load_swin` fits to a model is fitted here too.

    Args:
        source: as for `load_swin`.
        streams: dict of one name to description, with the patch of the source, or with any number of frames
            in front of it; `None` for "image" or "video" of the published size.
        **overrides: further arguments of `SwinBackbone`, such as `window` or `dtype`. The window is by
            default the source's, and for clips from pictures 8 frames deep.

    Returns:
        `Conversion`: a `SwinBackbone`, and the report. The official code and KerasCV read what fills up a
        grid (`read_padding=True`), and the official code takes other rows of its tables where a window of
        clips is smaller in space (`slice_index=True`). At the published sizes there is neither.

    Raises:
        WeightsError: as `load_swin`, and for streams that the weights cannot be made to fit.

    Example:

    ```python
    backbone = zk.weights.convert_swin("swin_tiny_patch4_window7_224.pth").backbone
    clips = {"video": zk.streams.Video(8, 224, 224, patch=(2, 4, 4))}
    inflated = zk.weights.convert_swin("swin_tiny_patch4_window7_224.pth", clips).backbone
    ```
    """
    swin = read_swin(source, overrides.get("window"))
    if told := sorted(set(overrides) & set(swin.sizes)):
        raise WeightsError(f"The weights say what these are; leave them out. Received: {told}")
    _check_enough(swin)
    streams = _published(swin) if streams is None else dict(streams)
    for name, described in streams.items():
        _check_patch(name, described, swin.patch)
    arguments = {"window": _window_for(streams, swin.windows[0]), **swin.sizes, **overrides}
    try:
        backbone = SwinBackbone(streams, **arguments)
    except ValueError as error:
        raise WeightsError(f"No Swin has the sizes that were found: {error}") from error
    return Conversion(backbone, _start(backbone, _trunks(backbone, None), swin))


def _trunks(backbone, stream):
    """Returns the trunks to start, by stream."""
    if isinstance(backbone, ZorroSwinBackbone):
        trunks = backbone.swin.trunks
    elif isinstance(backbone, SwinBackbone):
        trunks = dict.fromkeys(backbone.streams, backbone.trunk)
    else:
        raise WeightsError(
            "`backbone` must be a SwinBackbone or a ZorroSwinBackbone. "
            f"Received: {type(backbone).__name__}; `convert_swin` builds one from weights alone"
        )
    if stream is not None and stream not in trunks:
        raise WeightsError(f"`stream` must be one of {list(trunks)}, or None. Received: stream={stream!r}")
    return dict(trunks) if stream is None else {stream: trunks[stream]}


def _start(backbone, trunks, swin):
    """Gives trunks the weights of a source, and returns the report."""
    _check_sizes(backbone, swin.sizes)
    given = []
    for name, trunk in trunks.items():
        _check_patch(name, backbone.streams[name], swin.patch)
        given += [_given(trunk, backbone.streams[name], swin, row) for row in swin.rows]
    for variable, array, _ in given:
        variable.assign(array)
    used = tuple(use for *_, use in given)
    kept = tuple(weights_without(backbone, [variable for variable, *_ in given]))
    return Report(swin.origin, "swin", swin.origin, used, swin.unused, swin.settings, kept)


def _given(trunk, stream, swin, row):
    """Returns the variable of a row, its array, and the `Use` that says where it is from."""
    variable, stored = variable_at({"trunk": trunk}, row.ours), swin.stored(row)
    shape = tuple(variable.shape)
    if stored is None:
        return variable, np.zeros(shape), Use(NO_BIAS, variable.path, shape, "zeros")
    try:
        array, how = _fitted(trunk, stream, swin, row)
        fits = array.shape == shape
    except ValueError:  # of numpy: it has not even the axes
        fits = False
    if not fits:
        raise WeightsError(
            f"`{swin.name(row)}` is misshapen: it must give {shape}, in our order. Received: {stored.shape}"
        )
    return variable, array, Use(swin.name(row), variable.path, shape, how)


def _fitted(trunk, stream, swin, row):
    """Returns the array of a row in our order as a trunk needs it, and in words what was done to it."""
    array, how = swin.array(row), []
    if row.third is not None and swin.origin != "hugging_face":
        how.append(f"third {row.third + 1} of 3")
    if row.form == "matrix" and swin.origin != "keras_cv":
        how.append("transposed")
    if row.form == "table":
        own, whole, wanted = _windows(swin, row), swin.windows[0], trunk.stages[0][0].window
        array = bias_table(surrounded(array, own, whole), whole, wanted)
        how += [] if own == wanted else [f"from windows {_by(own)} to {_by(wanted)}"]
    if row.form == "patch":
        channels = math.prod(stream.shape[len(stream.patch) :])
        array = patch_kernel(array, swin.patch, stream.patch, channels)
        how.append(f"for patches {_by((*stream.patch, channels))}")
    return np.asarray(array, "float32"), ", ".join(how) or "as it is"


def _windows(swin, row):
    return swin.windows[int(row.ours.split(".")[2])]  # trunk.stages.<stage>


def _by(sizes):
    return " x ".join(map(str, sizes))


def _check_sizes(backbone, sizes):
    for name, size in sizes.items():
        ours = getattr(backbone, name)
        if ours != (tuple(size) if isinstance(size, list) else size):
            raise WeightsError(
                f"`{name}` of the model must be {size}, as that of the weights. Received: {name}={ours}",
                size=SizeMismatch(name, size, ours),
            )


def _check_patch(name, stream, patch):
    cut = tuple(getattr(stream, "patch", ()))
    if len(cut) - len(patch) not in (0, 1) or cut[-len(patch) :] != patch:
        raise WeightsError(
            f"`streams` must have the patch of the weights, {patch}, or that with frames in front. "
            f"Received: {cut} of `{name}`"
        )


def _published(swin):
    if len(swin.patch) == 3:
        return {"video": zs.Video(**_CLIP, patch=swin.patch)}
    rows, columns = (_REDUCTION * size for size in swin.windows[0])
    return {"image": zs.Image(rows, columns, patch=swin.patch)}


def _window_for(streams, window):
    """Returns the source's window, for clips from pictures as many frames deep as the published models'."""
    ranks = {len(getattr(stream, "patch", ())) for stream in streams.values()}
    return (8, *window) if ranks == {3} and len(window) == 2 else window


def _check_enough(swin):
    """A file of a few small tensors must not make a model that fills all memory."""
    held = sum(tensor.size for tensor in swin.tensors.values())
    kernels = 4 + 2 * swin.sizes["mlp_ratio"]  # of attention and MLP, in squares of the channels
    needed = sum(
        layers * kernels * (swin.sizes["hidden_dim"] * 2**stage) ** 2
        for stage, layers in enumerate(swin.sizes["num_layers"])
    )
    if needed > held:
        raise WeightsError(
            f"The sizes that the tensors tell need {needed} numbers or more. Received: {held} in all"
        )
