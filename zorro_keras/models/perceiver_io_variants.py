"""The published Perceiver IO models, one row each: the four parts and their sizes.

arXiv 2107.14795, Tables 1 to 9 and appendices; where prose and released code differ, the code's numbers,
from which the released weights come.
"""

from zorro_keras import streams
from zorro_keras.layers import (
    ClassificationHead,
    FourierPositions,
    InputAdapter,
    LearnedArray,
    OutputAdapter,
    PerceiverDecoder,
    PerceiverEncoder,
    TiedEmbedding,
)
from zorro_keras.layers.activations import gelu_tanh

SEMANTICS = ("deepmind", "hugging_face")


def parts(variant, semantics="deepmind", overrides=None):
    """Returns the constructor arguments of a published model.

    Args:
        variant: key of `VARIANTS`.
        semantics: "deepmind" or "hugging_face".
        overrides: dict of sizes to change, arguments of the variant's function.

    Raises:
        ValueError: for an unknown variant or semantics.
    """
    if variant not in VARIANTS:
        raise ValueError(f"`variant` must be one of {list(VARIANTS)}. Received: variant={variant!r}")
    if semantics not in SEMANTICS:
        raise ValueError(f"`semantics` must be one of {list(SEMANTICS)}. Received: semantics={semantics!r}")
    build, sizes = VARIANTS[variant]
    return build(semantics=semantics, **{**sizes, **(overrides or {})})


def language(
    semantics,
    length=2048,
    vocabulary_size=262,
    embed_dim=768,
    num_latents=256,
    latent_dim=1280,
    num_layers=26,
    num_heads=8,
    query_key_dim=256,
    dtype=None,
    **encoder_options,
):
    """A masked language model of ids: section 4.1 and appendix B."""
    activation = _activation(semantics)
    return {
        "input_adapters": {
            "text": InputAdapter(
                streams.Tokens(length, vocabulary_size),
                embed_dim,
                positions=LearnedArray(length, embed_dim, dtype=dtype, name="text_positions"),
                join="add",
                dtype=dtype,
                name="text_input",
            )
        },
        "encoder": PerceiverEncoder(
            num_latents,
            latent_dim,
            num_layers,
            num_heads=num_heads,
            num_cross_heads=num_heads,
            query_key_dim=query_key_dim,
            value_dim=latent_dim,
            activation=activation,
            dtype=dtype,
            name="encoder",
            **encoder_options,
        ),
        "output_adapters": {
            "text": OutputAdapter(
                LearnedArray(length, embed_dim, dtype=dtype, name="text_queries"),
                TiedEmbedding("text", vocabulary_size, dtype=dtype, name="text_scores"),
            )
        },
        "decoder": PerceiverDecoder(
            num_heads, query_key_dim, embed_dim, activation=activation, dtype=dtype, name="decoder"
        ),
        "dtype": dtype,
    }


def image(
    semantics,
    positions,
    size_px=224,
    num_classes=1000,
    embed_dim=None,
    stem="pixels",
    num_bands=64,
    num_latents=512,
    latent_dim=1024,
    num_layers=6,
    num_repeats=8,
    num_heads=8,
    query_residual=True,
    dtype=None,
    **encoder_options,
):
    """An ImageNet classifier: section 4.5 and appendix A, Table 6."""
    step = 4 if stem == "conv" else 1
    grid, activation = (size_px // step, size_px // step), _activation(semantics)
    if positions == "learned":
        codes = LearnedArray(grid[0] * grid[1], embed_dim, dtype=dtype, name="image_positions")
        # Hugging Face adds the class query to what it reads; DeepMind's released model does not.
        query_residual = semantics == "hugging_face"
    else:
        codes = FourierPositions(grid, num_bands, dtype=dtype, name="image_positions")
    return {
        "input_adapters": {
            "image": InputAdapter(
                streams.Image(size_px, size_px, patch=(step, step)),
                embed_dim,
                stem,
                codes,
                position_dim=embed_dim if positions == "learned" else None,
                semantics=semantics,
                dtype=dtype,
                name="image_input",
            )
        },
        "encoder": PerceiverEncoder(
            num_latents,
            latent_dim,
            num_layers,
            num_repeats,
            num_heads,
            activation=activation,
            dtype=dtype,
            name="encoder",
            **encoder_options,
        ),
        "output_adapters": {
            "label": OutputAdapter(
                LearnedArray(1, latent_dim, dtype=dtype, name="label_query"),
                ClassificationHead(num_classes, dtype=dtype, name="label_scores"),
            )
        },
        "decoder": PerceiverDecoder(
            query_residual=query_residual, activation=activation, dtype=dtype, name="decoder"
        ),
        "dtype": dtype,
    }


def _activation(semantics):
    return gelu_tanh if semantics == "deepmind" else "gelu"


# Config B was trained on JFT-300M with 16 layers of their own and wider MLPs: appendix A.
_CONFIG_B = {"num_layers": 16, "num_repeats": 1, "mlp_dim": 4096}
VARIANTS = {
    "language": (language, {}),
    "image_learned": (image, {"positions": "learned", "embed_dim": 256}),
    "image_fourier": (image, {"positions": "fourier"}),
    "image_conv": (image, {"positions": "fourier", "stem": "conv", "embed_dim": 64}),
    "image_fourier_large": (image, {"positions": "fourier", "embed_dim": 256, **_CONFIG_B}),
    "image_conv_large": (image, {"positions": "fourier", "stem": "conv", "embed_dim": 64, **_CONFIG_B}),
}
