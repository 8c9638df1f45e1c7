"""What of a model transformers computes otherwise: its widths are fixed, and so are many settings."""

import keras

from zorro_keras.weights.build import parts
from zorro_keras.weights.checkpoint import Checkpoint
from zorro_keras.weights.error import WeightsError
from zorro_keras.weights.settings import SIZES, settings_of

_CLASSIFIER = dict.fromkeys(
    ("query_dim", "decoder_query_key_dim", "decoder_value_dim", "decoder_mlp_dim"), "latent_dim"
)
# The size that an axis has in transformers, or the axis that it equals there.
_FIXED = {
    "language": {
        "decoder_query_key_dim": 256, "decoder_value_dim": "embed_dim", "decoder_mlp_dim": "embed_dim",
    },
    "text_classification": _CLASSIFIER,
    "image_learned": {**_CLASSIFIER, "embed_dim": 256, "position_dim": 256, "code_dim": 256, "channels": 3},
    "image_fourier": {**_CLASSIFIER, "context_dim": 261},
    "image_conv": {**_CLASSIFIER, "embed_dim": 64, "context_dim": 322, "channels": 3},
}  # fmt: skip
_MULTIPLES = ("self_mlp_dim", "cross_mlp_dim")  # of the latents
# Names, speed, initialisation, and what shapes tell: in these a model may differ and compute the same.
_FREE = {
    "name", "dtype", "trainable", "seed", "stddev", "build_config", "module", "registered_name", "grid",
    "key_chunk", "query_chunk", "remat", "query_key_dim", "value_dim", "mlp_dim", "cross_mlp_dim",
}  # fmt: skip
_PARTS = ("input_adapters", "encoder", "output_adapters", "decoder")


def inexpressible(backbone, model, axes, config):
    """Returns in words what of a model transformers computes otherwise.

    What transformers would compute is what our importer makes of the same shapes and `config.json`: a
    setting that differs from it, in whatever part, is named.

    Args:
        backbone: `PerceiverIOBackbone`.
        model: str, as in `Checkpoint`.
        axes: dict of axis to size, from the shapes of its weights.
        config: dict, the `config.json` that is to be written.

    Returns:
        List of str, empty where nothing differs.
    """
    found, sizes = list(_width_faults(backbone.encoder, model, axes)), {}
    if "size_px" in SIZES[model]:
        rows, columns = sizes["size_px"] = backbone.input_adapters["image"].stream.shape[:2]
        if model == "image_learned" and rows != columns:
            found.append(f"pictures of {rows} x {columns} pixels instead of square ones")
    if found:
        return found
    try:
        settings, _ = settings_of(
            Checkpoint("hugging_face", model, {}, config), axes, "hugging_face", None, sizes
        )
        theirs = parts(model, backbone.encoder.num_layers, axes, settings)
    except WeightsError as error:
        return [str(error)]
    theirs = _flat({part: theirs[part] for part in _PARTS})
    ours = _flat({part: getattr(backbone, part) for part in _PARTS})
    return [
        f"{place}={ours.get(place)} instead of {theirs.get(place)}"
        for place in dict.fromkeys([*ours, *theirs])
        if ours.get(place) != theirs.get(place)
    ]


def _width_faults(encoder, model, axes):
    """Yields the widths that transformers has not."""
    latent_dim = axes["latent_dim"]
    context = axes["embed_dim"] if "length" in axes else axes["context_dim"]
    query_key, value = encoder.query_key_dim, encoder.value_dim
    expected = {
        "self_query_key_dim": query_key or latent_dim,
        "cross_query_key_dim": query_key or context,
        "self_value_dim": latent_dim,
        "cross_value_dim": value or query_key or context,
        **{axis: axes.get(size, size) for axis, size in _FIXED[model].items()},
    }
    if (value or query_key or latent_dim) != latent_dim:
        yield f"encoder.value_dim={value} with query_key_dim={query_key} instead of value_dim={latent_dim}"
    for axis, size in expected.items():
        if axes[axis] != size:
            yield f"{axis}={axes[axis]} instead of {size}"
    for axis in _MULTIPLES:
        if axes[axis] % latent_dim:
            yield f"{axis}={axes[axis]} instead of a multiple of {latent_dim}"


def _flat(value, place=""):
    """Returns the settings in nested parts as a dict of their place, such as "encoder.epsilon"."""
    if hasattr(value, "get_config"):
        value = keras.saving.serialize_keras_object(value)
    if not isinstance(value, dict):
        return {place: list(value) if isinstance(value, tuple) else value}
    if "class_name" in value and isinstance(value.get("config"), dict):
        value = {"": value["class_name"], **value["config"]}
    found = {}
    for name, inner in value.items():
        if name not in _FREE and not name.endswith("_initializer"):
            found |= _flat(inner, ".".join(part for part in (place, name) if part))
    return found
