"""Backbones: from streams to features."""

from zorro_keras.models.any_streams import AnyStreams
from zorro_keras.models.entity_transformer import EntityTransformerBackbone
from zorro_keras.models.extended import extended
from zorro_keras.models.hip import HiPBackbone
from zorro_keras.models.masked_autoencoder import MaskedAutoencoder
from zorro_keras.models.perceiver_io import PerceiverIOBackbone
from zorro_keras.models.perceiver_io_variants.starcraft import PYSC2_FEATURES
from zorro_keras.models.swin import SwinBackbone
from zorro_keras.models.zorro_hip import ZorroHiPBackbone
from zorro_keras.models.zorro_parts import copy_part, parts_of, settings_of
from zorro_keras.models.zorro_swin import ZorroSwinBackbone
from zorro_keras.models.zorro_vit import ZorroViTBackbone

__all__ = [
    "PYSC2_FEATURES",
    "AnyStreams",
    "EntityTransformerBackbone",
    "HiPBackbone",
    "MaskedAutoencoder",
    "PerceiverIOBackbone",
    "SwinBackbone",
    "ZorroHiPBackbone",
    "ZorroSwinBackbone",
    "ZorroViTBackbone",
    "copy_part",
    "extended",
    "parts_of",
    "settings_of",
]
