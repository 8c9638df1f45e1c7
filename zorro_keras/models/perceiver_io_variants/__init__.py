"""The published Perceiver IO models, one row each: the four parts and their sizes.

arXiv 2107.14795, Tables 1 to 9 and appendices; where prose and released code differ, the code's numbers,
from which the released weights come.
"""

from types import SimpleNamespace

from zorro_keras.layers.activations import gelu_tanh
from zorro_keras.models.perceiver_io_variants import image
from zorro_keras.models.perceiver_io_variants.language import LANGUAGE, language
from zorro_keras.models.perceiver_io_variants.starcraft import STARCRAFT_UNITS, starcraft_units
from zorro_keras.models.unknown_names import check_names

ACTIVATIONS = {"deepmind": gelu_tanh, "hugging_face": "gelu"}

# Variant: what makes its four parts of its settings, and those settings.
VARIANTS = {
    "language": (language, LANGUAGE),
    "image_learned": (image.image_learned, image.LEARNED),
    "image_fourier": (image.image_fourier, image.FOURIER),
    "image_conv": (image.image_conv, image.CONV),
    "image_fourier_large": (image.image_fourier, {**image.FOURIER, "embed_dim": 256, **image.CONFIG_B}),
    "image_conv_large": (image.image_conv, {**image.CONV, **image.CONFIG_B}),
    "starcraft_units": (starcraft_units, STARCRAFT_UNITS),
}


def parts(variant, semantics="deepmind", overrides=None):
    """Returns the constructor arguments of a published model.

    Args:
        variant: key of `VARIANTS`.
        semantics: "deepmind" or "hugging_face".
        overrides: dict of settings to change: names of the variant's row.

    Raises:
        ValueError: for an unknown variant, semantics or setting, naming the nearest.
    """
    check_names("variant", [variant], VARIANTS)
    check_names("semantics", [semantics], ACTIVATIONS)
    build, defaults = VARIANTS[variant]
    check_names("overrides", overrides or {}, defaults)
    sizes = SimpleNamespace(**{**defaults, **(overrides or {})})
    if sizes.activation is None:
        sizes.activation = ACTIVATIONS[semantics]
    return build(sizes, semantics)
