"""zorro_keras: masked multimodal transformers and Perceiver IO for Keras 3.

The public index. Names resolve on first use, so that importing the package imports no backend and a command
line can still choose one.
"""

import importlib

__version__ = "0.1.0"

_MODULES = ("layers", "losses", "metrics", "models", "routing", "streams", "weights")
_NAMES = {"Routing": "routing", "TokenLayout": "routing"}

__all__ = [*_MODULES, *_NAMES]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
