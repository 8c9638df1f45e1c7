"""Units of StarCraft II, or of any table of things: which of them should be selected."""

from zorro_keras.applications.training.lazy_names import lazy_names

_HOMES = {
    "TransformerUnitSelector": "unit_selector",
    "UnitPreprocessor": "preprocessor",
    "UnitSelector": "unit_selector",
    "build_model": "model",
    "encoder_flops": "flops",
}

__all__ = list(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
