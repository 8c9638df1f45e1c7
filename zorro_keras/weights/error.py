"""The one error of weight files, and how its messages show what a file holds."""

from typing import NamedTuple

_SHORT = 80
_LISTED = 12


class SizeMismatch(NamedTuple):
    """A size that a model does not share with its weights: its name, that of the weights, the model's."""

    name: str
    theirs: int
    ours: int


class WeightsError(ValueError):
    """A weight file cannot be read, trusted, or made into a model; the message names what is wrong.

    Attributes:
        size: `SizeMismatch`, where the weights are sound, but of a model of another size; else `None`.
    """

    def __init__(self, message="", size=None):
        super().__init__(message)
        self.size = size


def shown(value):
    """Returns a few words for a value from a file, however large it is.

    Never its `repr`: that of a list of lists of lists, each of them there many times, would fill all memory.
    """
    if isinstance(value, (str, bytes)):
        return repr(short(value) if isinstance(value, str) else value[:_SHORT])
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value.bit_length() <= 64 else f"a number of {value.bit_length()} bits"
    if value is None or isinstance(value, (bool, float)):
        return str(value)
    if isinstance(value, (list, tuple)) and len(value) <= 8 and all(type(item) is int for item in value):
        return f"({', '.join(map(shown, value))})"
    if isinstance(value, (list, tuple, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def short(text):
    """Returns a text of a file, or its beginning where it is long."""
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."


def listed(names):
    """Returns the first of some names of a file in their order, and how many more there are."""
    names = sorted(names)
    more = [f"and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return ", ".join([*map(short, names[:_LISTED]), *more])
