"""The classifiers of ImageNet."""

from zorro_keras import streams
from zorro_keras.layers import (
    ClassificationHead,
    ConvStem,
    FourierPositions,
    InputAdapter,
    LearnedArray,
    OutputAdapter,
    PixelStem,
)
from zorro_keras.models.perceiver_io_variants.shared import COMMON, decoder, encoder

_IMAGE = {
    **COMMON,
    "size_px": 224,
    "num_classes": 1000,
    "embed_dim": None,
    "num_latents": 512,
    "latent_dim": 1024,
    "num_layers": 6,
    "num_repeats": 8,
    "num_heads": 8,
    "num_cross_heads": 1,
    "query_residual": True,
}
FOURIER = {**_IMAGE, "num_bands": 64, "max_resolution": None}  # `None`: the grid of elements at that size
# Hugging Face adds the class query to what it reads; DeepMind's released model does not. `None` says so.
LEARNED = {**_IMAGE, "embed_dim": 256, "query_residual": None}
CONV = {**FOURIER, "embed_dim": 64}
# Config B was trained on JFT-300M with 16 layers of their own and wider MLPs: appendix A.
CONFIG_B = {"num_layers": 16, "num_repeats": 1, "mlp_dim": 4096}


def image_learned(sizes, semantics):
    """An ImageNet classifier of pixels with learned positions: section 4.5 and appendix A, Table 6."""
    positions = LearnedArray(sizes.size_px**2, sizes.embed_dim, name="image_positions")
    if sizes.query_residual is None:
        sizes.query_residual = semantics == "hugging_face"
    stem = PixelStem((1, 1), sizes.embed_dim, name="stem")
    return _image(sizes, stem, 1, positions, position_dim=sizes.embed_dim)


def image_fourier(sizes, semantics):
    """An ImageNet classifier of pixels with Fourier positions: section 4.5 and appendix A, Table 6."""
    stem = PixelStem((1, 1), sizes.embed_dim, name="stem")
    return _image(sizes, stem, 1, _fourier(sizes, 1))


def image_conv(sizes, semantics):
    """An ImageNet classifier behind a convolution: section 4.5 and appendix A, Table 6."""
    stem = ConvStem(sizes.embed_dim, semantics=semantics, name="stem")
    return _image(sizes, stem, 4, _fourier(sizes, 4))


def _fourier(sizes, step):
    resolution = sizes.max_resolution or (sizes.size_px // step,) * 2
    return FourierPositions(None, sizes.num_bands, resolution, name="image_positions")


def _image(sizes, stem, step, positions, position_dim=None):
    query = LearnedArray(1, sizes.latent_dim, name="label_query")
    return {
        "input_adapters": {
            "image": InputAdapter(
                streams.Image(sizes.size_px, sizes.size_px, patch=(step, step)),
                stem=stem,
                positions=positions,
                position_dim=position_dim,
                name="image_input",
            )
        },
        "encoder": encoder(sizes, num_cross_heads=sizes.num_cross_heads),
        "output_adapters": {
            "label": OutputAdapter(query, ClassificationHead(sizes.num_classes, name="label_scores"))
        },
        "decoder": decoder(sizes),
    }
