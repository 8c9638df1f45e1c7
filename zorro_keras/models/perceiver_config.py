"""A Perceiver's parts as plain data and back: what is one layer stays one, in the dtype that is asked for."""

import keras

ADAPTERS = ("input_adapters", "output_adapters")
INNER = ("stem", "positions", "queries", "head")  # layers inside of adapters, which may be shared as well


def parts_config(parts):
    """Returns plain data of the four parts of a `PerceiverParts`.

    A layer that stands in several places is described at the first; the others say `{"same_as": place}`.
    """
    config, first = {}, {}

    def described(place, part):
        if isinstance(part, str) or part is None:
            return part
        if id(part) in first:
            return {"same_as": first[id(part)]}
        first[id(part)] = place
        return keras.saving.serialize_keras_object(part)

    for kind in ADAPTERS:
        config[kind] = {}
        for name, adapter in getattr(parts, kind).items():
            known = id(adapter) in first
            data = config[kind][name] = described(f"{kind}.{name}", adapter)
            if known:
                continue
            for inner in INNER:
                if data["config"].get(inner) is not None:
                    data["config"][inner] = described(f"{kind}.{name}.{inner}", getattr(adapter, inner))
    config |= {name: described(name, getattr(parts, name)) for name in ("encoder", "decoder")}
    return config


def parts_from_config(config, dtype=None):
    """Returns the four parts that `parts_config` described, as a dict.

    Args:
        config: dict; parts that are layers already are taken as they are.
        dtype: dtype policy in which all described parts are to compute; `None` for those of the config.
    """
    config = config if dtype is None else _with_dtype(config, keras.dtype_policies.serialize(dtype))
    made = {}

    def made_of(place, data):
        if not isinstance(data, dict):
            return data
        if "same_as" in data:
            return made[data["same_as"]]
        inner = {
            name: made_of(f"{place}.{name}", part) for name, part in data["config"].items() if name in INNER
        }
        data = {**data, "config": {**data["config"], **inner}}
        made[place] = keras.saving.deserialize_keras_object(data)
        return made[place]

    parts = {
        kind: {name: made_of(f"{kind}.{name}", data) for name, data in config[kind].items()}
        for kind in ADAPTERS
    }
    return parts | {name: made_of(name, config[name]) for name in ("encoder", "decoder")}


def set_dtype(parts, dtype):
    """Makes layers that are not built yet compute in a dtype policy.

    Args:
        parts: layers.
        dtype: dtype policy.

    Raises:
        ValueError: if a layer is built already, in another dtype policy.
    """
    policy = keras.dtype_policies.get(dtype)
    for part in parts:
        for layer in part._flatten_layers():
            if layer.dtype_policy == policy:
                continue
            if layer.built:
                raise ValueError(
                    f"`dtype` is of parts that are not built yet, but {layer.name!r} is, in "
                    f"{layer.dtype_policy.name}. Received: dtype={policy.name}"
                )
            layer.dtype_policy = policy


def _with_dtype(data, dtype):
    """Returns plain data of layers with another dtype policy in each."""
    if isinstance(data, list):
        return [_with_dtype(item, dtype) for item in data]
    if not isinstance(data, dict) or data.get("class_name") == "DTypePolicy":
        return data
    data = {name: _with_dtype(item, dtype) for name, item in data.items()}
    if "class_name" in data and "dtype" in (data.get("config") or {}):
        data["config"]["dtype"] = dtype
    return data
