"""Reads the JSON that lies beside weights, or in them."""

import json

from zorro_keras.weights.error import WeightsError, short


def parsed(name, data):
    """Returns the object, a dict, of a JSON text in which no key is there twice.

    Args:
        name: what to call the text in errors.
        data: bytes.

    Raises:
        WeightsError: for anything else.
    """
    try:
        content = json.loads(data, object_pairs_hook=_unique)
    except WeightsError as error:
        raise WeightsError(f"{name} {error}") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{name} must be JSON. Received: {short(str(error))}") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{name} must be a JSON object. Received: a {type(content).__name__}")
    return content


def _unique(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise WeightsError(f"must name each key once. Received: {short(twice)!r} twice")
    return found
