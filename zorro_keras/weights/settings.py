"""What shapes do not tell: heads, repeats, picture sizes, and the switches between the two semantics."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from zorro_keras.layers.activations import gelu_tanh
from zorro_keras.weights.error import WeightsError, shown


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
        attention_dropout_rate: float, probability that training drops a weight of an attention.
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
    attention_dropout_rate: float = 0.0


class Setting(NamedTuple):
    """The value of a setting, and who said so: "published", "semantics", "shapes", "config.json", "given"."""

    value: object
    source: str


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
_STACKS = ("num_heads", "num_cross_heads", "num_decoder_heads", "num_repeats")
_PICTURES = (*_STACKS, "size_px", "max_resolution")
# Which sizes mean something to which model.
SIZES = {
    "language": _STACKS,
    "text_classification": _STACKS,
    "image_learned": (*_STACKS, "size_px"),
    "image_fourier": _PICTURES,
    "image_conv": _PICTURES,
    "optical_flow": _PICTURES,
    "autoencoder": (*_PICTURES, "num_frames", "num_samples"),
}
_SWITCHES = ("query_residual", "activation", "attention_dropout_rate")
_TUPLES = ("size_px", "max_resolution")
_MOST = 2**20  # more pixels, heads or frames than any model has
_MOST_SAMPLES = 2**31
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
    """Returns the settings of a checkpoint's model, and who decided each that means something to it.

    What is given decides before `config.json`, that before the shapes, these before the published settings.

    Args:
        checkpoint: `Checkpoint`.
        axes: dict of axis to size, from its shapes.
        semantics: "deepmind" or "hugging_face".
        query_residual: bool, `None` for what the semantics' code does.
        sizes: dict of some of `SIZES` of the model to the size to use.

    Returns:
        `Settings`, and dict of name to `Setting`.

    Raises:
        WeightsError: for a config or sizes that cannot be, or that mean nothing to the model.
    """
    model, published = checkpoint.model, _PUBLISHED[checkpoint.model]
    found = {name: Setting(value, "published") for name, value in vars(published).items()}
    given = _given(model, sizes or {})
    if query_residual is not None:
        given["query_residual"] = query_residual
    for source, values in (
        ("semantics", _from_semantics(model, semantics)),
        ("shapes", _from_shapes(axes)),
        ("config.json", _from_config(checkpoint, semantics)),
        ("given", given),
    ):
        found |= {name: Setting(value, source) for name, value in values.items()}
    settings = Settings(**{name: setting.value for name, setting in found.items()})
    _check(settings)
    return settings, {name: found[name] for name in (*SIZES[model], *_SWITCHES)}


def _from_semantics(model, semantics):
    if semantics == "deepmind":
        return {"semantics": semantics}
    # Hugging Face's image model with learned positions adds the query, DeepMind's does not.
    residual = {"query_residual": True} if model == "image_learned" else {}
    return {"semantics": semantics, "activation": "gelu", **residual}


def _from_shapes(axes):
    side = math.isqrt(axes.get("num_pixels", 0))
    return {"size_px": (side, side)} if side and side**2 == axes["num_pixels"] else {}


def _given(model, sizes):
    if unknown := sorted(set(sizes) - set(SIZES[model])):
        raise WeightsError(f"`sizes` of {model} may name {', '.join(SIZES[model])}. Received: {unknown}")
    return {name: tuple(size) if isinstance(size, list) else size for name, size in sizes.items()}


def _from_config(checkpoint, semantics):
    config = checkpoint.config
    found = {name: config[key] for name, key in _CONFIG.items() if key in config}
    if config.get("use_query_residual", True) is not True:
        raise WeightsError("`use_query_residual` of config.json must be true, as in all published models.")
    if semantics == "hugging_face" and "hidden_act" in config:
        activation = config["hidden_act"]
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            raise WeightsError(
                f"`hidden_act` of config.json must be one of {list(ACTIVATIONS)}. "
                f"Received: {shown(activation)}"
            )
        found["activation"] = ACTIVATIONS[activation]
    if semantics == "hugging_face" and (key := "attention_probs_dropout_prob") in config:
        rate = config[key]
        if type(rate) not in (int, float) or not 0 <= rate < 1:
            raise WeightsError(f"`{key}` of config.json must be within [0, 1). Received: {shown(rate)}")
        found["attention_dropout_rate"] = float(rate)
    if checkpoint.model == "optical_flow" and "train_size" in config:
        found["size_px"] = found["max_resolution"] = _listed(config, "train_size")
    if checkpoint.model == "autoencoder":
        found |= _clip_of(config)
    return found


def _clip_of(config):
    """Returns the sizes of the autoencoder's clips."""
    found = {}
    if {"num_frames", "image_size", "output_shape"} <= set(config):
        frames, side = config["num_frames"], config["image_size"]
        found |= {"num_frames": frames, "max_resolution": (frames, side, side)}
        found["size_px"] = _listed(config, "output_shape")[-2:]
    if {"num_frames", "audio_samples_per_frame"} <= set(config):
        keys = ("num_frames", "audio_samples_per_frame")
        found["num_samples"] = math.prod(_whole(key, config[key], _MOST) for key in keys)
    return found


def _check(settings):
    for name in SIZES["autoencoder"]:
        value = getattr(settings, name)
        if isinstance(value, tuple) != (name in _TUPLES):
            expected = "one whole number for each axis" if name in _TUPLES else "a positive whole number"
            raise WeightsError(f"`{name}` must be {expected}. Received: {shown(value)}")
        for number in value if name in _TUPLES else (value,):
            _whole(name, number, _MOST_SAMPLES if name == "num_samples" else _MOST)
    if len(settings.size_px) != 2:
        raise WeightsError(f"`size_px` must be rows and columns. Received: {shown(settings.size_px)}")
    if not isinstance(settings.query_residual, bool):
        raise WeightsError(f"`query_residual` must be a bool. Received: {shown(settings.query_residual)}")


def _whole(name, number, most):
    if type(number) is not int or not 0 < number <= most:
        raise WeightsError(
            f"`{name}` must be a positive whole number of at most {most}. Received: {shown(number)}"
        )
    return number


def _listed(config, key):
    if not isinstance(config[key], (list, tuple)):
        raise WeightsError(f"`{key}` of config.json must be a list. Received: {shown(config[key])}")
    return tuple(config[key])
