"""What shapes do not tell: heads, repeats, picture sizes, and the switches between the two semantics."""

import math
from dataclasses import dataclass, replace

from zorro_keras.layers.activations import gelu_tanh
from zorro_keras.weights.error import WeightsError


@dataclass(frozen=True)
class Settings:
    """The settings of a model that its weights do not show.

    Attributes:
        num_heads: int, heads of the self-attention.
        num_cross_heads: int, heads of the encoder's cross-attention.
        num_decoder_heads: int, heads of the decoder's cross-attention.
        num_repeats: int, times that the stack is run.
        size_px: pair of int, rows and columns of a picture.
        max_resolution: tuple of int, of the Fourier positions of pictures.
        num_frames: int, pictures of a clip.
        num_samples: int, audio samples of a clip.
        query_residual: bool, whether the decoder adds the query to what it read.
        activation: name or callable inside the MLPs.
        semantics: "deepmind" or "hugging_face".
    """

    num_heads: int = 8
    num_cross_heads: int = 1
    num_decoder_heads: int = 1
    num_repeats: int = 1
    size_px: tuple = (224, 224)
    max_resolution: tuple = (224, 224)
    num_frames: int = 16
    num_samples: int = 30720
    query_residual: bool = False
    activation: object = gelu_tanh
    semantics: str = "deepmind"


# The published models: arXiv 2107.14795 and its code.
_PUBLISHED = {
    "language": Settings(num_cross_heads=8, num_decoder_heads=8),
    "text_classification": Settings(num_cross_heads=8, query_residual=True),
    "image_learned": Settings(num_repeats=8),
    "image_fourier": Settings(num_repeats=8, query_residual=True),
    "image_conv": Settings(num_repeats=8, query_residual=True, max_resolution=(56, 56)),
    "optical_flow": Settings(num_heads=16, size_px=(368, 496), max_resolution=(368, 496)),
    "autoencoder": Settings(max_resolution=(16, 56, 56)),
}
SIZES = (
    "num_heads", "num_cross_heads", "num_decoder_heads", "num_repeats", "size_px", "max_resolution",
    "num_frames", "num_samples",
)  # fmt: skip
_CONFIG = {
    "num_heads": "num_self_attention_heads",
    "num_cross_heads": "num_cross_attention_heads",
    "num_repeats": "num_blocks",
}
# Hugging Face's names of activations that are ours.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_pytorch_tanh": gelu_tanh,
    "gelu_new": gelu_tanh,
    "relu": "relu",
    "silu": "silu",
}


def settings_of(checkpoint, axes, semantics, query_residual=None, sizes=None):
    """Returns the settings of a checkpoint's model.

    Args:
        checkpoint: `Checkpoint`.
        axes: dict of axis to size, from its shapes.
        semantics: "deepmind" or "hugging_face".
        query_residual: bool, `None` for what the semantics' code does.
        sizes: dict of some of `SIZES` to the size to use.

    Raises:
        WeightsError: for a config or sizes that cannot be.
    """
    settings = _PUBLISHED[checkpoint.model]
    if semantics == "hugging_face":
        settings = replace(settings, activation="gelu", semantics=semantics)
        if checkpoint.model == "image_learned":  # Hugging Face's adds the query, DeepMind's does not
            settings = replace(settings, query_residual=True)
    side = math.isqrt(axes.get("num_pixels", 0))
    if side and side**2 == axes["num_pixels"]:
        settings = replace(settings, size_px=(side, side))
    settings = replace(settings, **_from_config(checkpoint, semantics))
    if query_residual is not None:
        settings = replace(settings, query_residual=query_residual)
    return _checked(replace(settings, **_given(sizes or {})))


def _given(sizes):
    if unknown := sorted(set(sizes) - set(SIZES)):
        raise WeightsError(f"`sizes` may name {', '.join(SIZES)}. Received: unknown {unknown}")
    return {name: tuple(size) if isinstance(size, list) else size for name, size in sizes.items()}


def _from_config(checkpoint, semantics):
    config, found = checkpoint.config, {}
    for name, key in _CONFIG.items():
        if key in config:
            found[name] = config[key]
    if config.get("use_query_residual", True) is not True:
        raise WeightsError("An encoder without query residual is not among the published models.")
    if semantics == "hugging_face" and "hidden_act" in config:
        activation = config["hidden_act"]
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            raise WeightsError(
                f"`hidden_act` of config.json must be one of {list(ACTIVATIONS)}. Received: {activation!r}"
            )
        found["activation"] = ACTIVATIONS[activation]
    if checkpoint.model == "optical_flow" and "train_size" in config:
        found["size_px"] = found["max_resolution"] = _as_tuple(config["train_size"])
    if checkpoint.model == "autoencoder" and {"num_frames", "image_size", "output_shape"} <= set(config):
        frames, side = config["num_frames"], config["image_size"]
        found |= {"num_frames": frames, "max_resolution": (frames, side, side)}
        found["size_px"] = _as_tuple(config["output_shape"])[-2:]
    if checkpoint.model == "autoencoder" and {"num_frames", "audio_samples_per_frame"} <= set(config):
        counts = _whole("num_frames", config["num_frames"]), config["audio_samples_per_frame"]
        found["num_samples"] = counts[0] * _whole("audio_samples_per_frame", counts[1])
    return found


def _checked(settings):
    for name in SIZES:
        value = getattr(settings, name)
        for number in value if isinstance(value, tuple) else (value,):
            _whole(name, number)
    if len(settings.size_px) != 2:
        raise WeightsError(f"`size_px` must be rows and columns. Received: {settings.size_px}")
    return settings


def _whole(name, number):
    if type(number) is not int or not 0 < number < 2**31:
        raise WeightsError(f"`{name}` must be a positive whole number. Received: {number!r}")
    return number


def _as_tuple(value):
    if not isinstance(value, (list, tuple)):
        raise WeightsError(f"config.json must give picture sizes as lists. Received: {value!r}")
    return tuple(value)
