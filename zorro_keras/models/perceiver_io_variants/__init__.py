"""The published Perceiver IO models, one row each: the four parts and their sizes.

arXiv 2107.14795, Tables 1 to 9 and appendices; where prose and released code differ, the code's numbers,
from which the released weights come.
"""

from types import SimpleNamespace

from zorro_keras.layers.activations import gelu_tanh
from zorro_keras.models.perceiver_io_variants import audioset, image, optical_flow
from zorro_keras.models.perceiver_io_variants.autoencoder import AUTOENCODER, autoencoder
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
    "audioset_raw": (audioset.audioset, audioset.RAW),
    "audioset_mel": (audioset.audioset, audioset.MEL),
    "audioset_mel_large": (audioset.audioset, audioset.MEL_LARGE),
    "autoencoder": (autoencoder, AUTOENCODER),
    # Optical flow: the released model, and the other rows of the paper's table.
    "optical_flow": (optical_flow.optical_flow, optical_flow.FLOW),
    "optical_flow_separate": (optical_flow.optical_flow, optical_flow.SEPARATE),
    "optical_flow_1x1": (optical_flow.optical_flow, optical_flow.PIXELS),
    "optical_flow_1x1_separate": (
        optical_flow.optical_flow,
        {**optical_flow.PIXELS, "join_frames": False},
    ),
    "optical_flow_light": (optical_flow.optical_flow, {**optical_flow.FLOW, **optical_flow.LIGHT}),
    "optical_flow_conv": (optical_flow.optical_flow_conv, optical_flow.CONV),
    "optical_flow_conv_separate": (
        optical_flow.optical_flow_conv,
        {**optical_flow.CONV, "join_frames": False},
    ),
    "optical_flow_conv_light": (
        optical_flow.optical_flow_conv,
        {**optical_flow.CONV, **optical_flow.LIGHT},
    ),
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
