"""The published Perceiver IO models, one row each: the four parts and their sizes.

arXiv 2107.14795, Tables 1 to 9 and appendices; where prose and released code differ, the code's numbers,
from which the released weights come.
"""

from types import SimpleNamespace

from zorro_keras import streams
from zorro_keras.layers import (
    ClassificationHead,
    ConvStem,
    FourierPositions,
    InputAdapter,
    LearnedArray,
    OutputAdapter,
    PerceiverDecoder,
    PerceiverEncoder,
    PixelStem,
    TiedEmbedding,
)
from zorro_keras.layers.activations import gelu_tanh
from zorro_keras.models.unknown_names import check_names

ACTIVATIONS = {"deepmind": gelu_tanh, "hugging_face": "gelu"}

# What every variant takes: settings of training and memory, of the encoder's shape, and the seed of dropouts.
_COMMON = {
    "activation": None,  # that of the semantics
    "dropout_rate": 0.0,
    "remat": False,
    "key_chunk": None,
    "query_chunk": None,
    "mlp_dim": None,
    "cross_mlp_dim": None,
    "seed": 0,
}
_LANGUAGE = {
    **_COMMON,
    "length": 2048,
    "vocabulary_size": 262,
    "embed_dim": 768,
    "num_latents": 256,
    "latent_dim": 1280,
    "num_layers": 26,
    "num_repeats": 1,
    "num_heads": 8,
    "query_key_dim": 256,
    "query_residual": False,
}
_IMAGE = {
    **_COMMON,
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
_FOURIER = {**_IMAGE, "num_bands": 64, "max_resolution": None}  # `None`: the grid of elements at that size
# Hugging Face adds the class query to what it reads; DeepMind's released model does not. `None` says so.
_LEARNED = {**_IMAGE, "embed_dim": 256, "query_residual": None}
_CONV = {**_FOURIER, "embed_dim": 64}
# Config B was trained on JFT-300M with 16 layers of their own and wider MLPs: appendix A.
_CONFIG_B = {"num_layers": 16, "num_repeats": 1, "mlp_dim": 4096}


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


def language(sizes, semantics):
    """A masked language model of ids: section 4.1 and appendix B."""
    positions = LearnedArray(sizes.length, sizes.embed_dim, name="text_positions")
    queries = LearnedArray(sizes.length, sizes.embed_dim, name="text_queries")
    head = TiedEmbedding("text", sizes.vocabulary_size, name="text_scores")
    return {
        "input_adapters": {
            "text": InputAdapter(
                streams.Tokens(sizes.length, sizes.vocabulary_size),
                sizes.embed_dim,
                positions=positions,
                join="add",
                name="text_input",
            )
        },
        "encoder": _encoder(
            sizes,
            num_cross_heads=sizes.num_heads,
            query_key_dim=sizes.query_key_dim,
            value_dim=sizes.latent_dim,
        ),
        "output_adapters": {"text": OutputAdapter(queries, head)},
        "decoder": _decoder(
            sizes,
            num_heads=sizes.num_heads,
            query_key_dim=sizes.query_key_dim,
            value_dim=sizes.embed_dim,
        ),
    }


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
        "encoder": _encoder(sizes, num_cross_heads=sizes.num_cross_heads),
        "output_adapters": {
            "label": OutputAdapter(query, ClassificationHead(sizes.num_classes, name="label_scores"))
        },
        "decoder": _decoder(sizes),
    }


def _encoder(sizes, **widths):
    return PerceiverEncoder(
        sizes.num_latents,
        sizes.latent_dim,
        sizes.num_layers,
        sizes.num_repeats,
        sizes.num_heads,
        mlp_dim=sizes.mlp_dim,
        cross_mlp_dim=sizes.cross_mlp_dim,
        activation=sizes.activation,
        dropout_rate=sizes.dropout_rate,
        key_chunk=sizes.key_chunk,
        remat=sizes.remat,
        seed=sizes.seed,
        name="encoder",
        **widths,
    )


def _decoder(sizes, **widths):
    return PerceiverDecoder(
        query_residual=sizes.query_residual,
        activation=sizes.activation,
        dropout_rate=sizes.dropout_rate,
        query_chunk=sizes.query_chunk,
        remat=sizes.remat,
        # The encoder takes the seeds below, of its blocks one after the other.
        seed=sizes.seed + PerceiverEncoder.num_seeds(sizes.num_layers),
        name="decoder",
        **widths,
    )


VARIANTS = {
    "language": (language, _LANGUAGE),
    "image_learned": (image_learned, _LEARNED),
    "image_fourier": (image_fourier, _FOURIER),
    "image_conv": (image_conv, _CONV),
    "image_fourier_large": (image_fourier, {**_FOURIER, "embed_dim": 256, **_CONFIG_B}),
    "image_conv_large": (image_conv, {**_CONV, **_CONFIG_B}),
}
