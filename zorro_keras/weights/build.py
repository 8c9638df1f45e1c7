"""From sizes to an untrained model: the four parts of each published one."""

import math

import keras

from zorro_keras import streams
from zorro_keras.layers import (
    ClassificationHead,
    ConvStem,
    FourierPositions,
    InputAdapter,
    LearnedArray,
    NeighbourhoodStem,
    OutputAdapter,
    PerceiverDecoder,
    PerceiverEncoder,
    PictureHead,
    PixelStem,
    TiedEmbedding,
)
from zorro_keras.layers.initializers import fan_in_kernel
from zorro_keras.weights.error import WeightsError

VIDEO_PATCH = (1, 4, 4)
NUM_FRAMES, NEIGHBOURHOOD_PX = 2, 3  # of optical flow


def parts(model, num_layers, axes, settings):
    """Returns the constructor arguments of a `PerceiverIOBackbone` of the given sizes.

    Args:
        model: str, as in `Checkpoint`.
        num_layers: int, layers of the stack.
        axes: dict of axis to size, as the rows of `names` call them.
        settings: `Settings`.

    Raises:
        WeightsError: if no such model can be built.
    """
    try:
        rest = _MODELS[model](axes, settings)
        context = axes["embed_dim"] if "text" in rest["input_adapters"] else axes["context_dim"]
        decoder = rest.pop("decoder", {})
        return {
            **rest,
            "encoder": _encoder(num_layers, context, axes, settings),
            "decoder": _decoder(rest["output_adapters"], axes, settings, **decoder),
        }
    except ValueError as error:
        raise WeightsError(f"No {model} model has the sizes that were found: {error}") from error


def _encoder(num_layers, context, axes, settings):
    width = axes["latent_dim"]
    query_key = _shared("query_key_dim", axes, cross=context, own=width)
    value = _shared("value_dim", axes, cross=axes["cross_query_key_dim"], own=width)
    return PerceiverEncoder(
        axes["num_latents"],
        width,
        num_layers,
        settings.num_repeats,
        settings.num_heads,
        settings.num_cross_heads,
        query_key_dim=query_key,
        value_dim=value,
        mlp_dim=_unless(axes["self_mlp_dim"], width),
        cross_mlp_dim=_unless(axes["cross_mlp_dim"], width),
        activation=settings.activation,
        attention_dropout_rate=settings.attention_dropout_rate,
        name="encoder",
    )


def _shared(width, axes, cross, own):
    """Returns the one setting for cross- and self-attention: `None` where both have their defaults."""
    found = axes[f"cross_{width}"], axes[f"self_{width}"]
    if found == (cross, own):
        return None
    if found[0] != found[1]:
        raise WeightsError(f"`{width}` of cross- and self-attention must agree. Received: {found}")
    return found[0]


def _decoder(output_adapters, axes, settings, **output):
    asked_by_input = "embed_dim" if "text" in output_adapters else "context_dim"
    query = axes["query_dim"] if "query_dim" in axes else axes[asked_by_input]
    query_key = axes["decoder_query_key_dim"]
    return PerceiverDecoder(
        settings.num_decoder_heads,
        _unless(query_key, axes["latent_dim"]),
        _unless(axes["decoder_value_dim"], query_key),
        _unless(axes["decoder_mlp_dim"], query),
        settings.query_residual,
        activation=settings.activation,
        attention_dropout_rate=settings.attention_dropout_rate,
        name="decoder",
        **output,
    )


def _unless(size, default):
    return None if size == default else size


def _text_input(axes):
    length, width = axes["length"], axes["embed_dim"]
    return {
        "text": InputAdapter(
            streams.Tokens(length, axes["vocabulary_size"]),
            width,
            positions=LearnedArray(length, width, name="text_positions"),
            join="add",
            name="text_input",
        )
    }


def _label_output(axes):
    query = LearnedArray(1, axes["query_dim"], name="label_query")
    head = ClassificationHead(axes["num_classes"], name="label_scores")
    return {"label": OutputAdapter(query, head)}


def _language(axes, settings):
    queries = LearnedArray(axes["length"], axes["embed_dim"], name="text_queries")
    head = TiedEmbedding("text", axes["vocabulary_size"], name="text_scores")
    outputs = {"text": OutputAdapter(queries, head)}
    return {"input_adapters": _text_input(axes), "output_adapters": outputs}


def _text_classification(axes, settings):
    return {"input_adapters": _text_input(axes), "output_adapters": _label_output(axes)}


def _image(stem, step, learned, axes, settings):
    grid = tuple(size // step for size in settings.size_px)
    channels = axes.get("channels", 3)
    if learned:
        if math.prod(grid) != axes["num_pixels"]:
            raise ValueError(
                f"`size_px` must have {axes['num_pixels']} pixels, as learned positions. Received: {grid}"
            )
        positions = LearnedArray(axes["num_pixels"], axes["code_dim"], name="image_positions")
        code = axes["position_dim"]
    else:
        code = axes["context_dim"] - axes.get("embed_dim", channels)
        positions = _fourier(None, settings.max_resolution, code, "image_positions")
    adapter = InputAdapter(
        streams.Image(*settings.size_px, channels, patch=(step, step)),
        stem=stem,
        positions=positions,
        position_dim=code if learned else None,
        name="image_input",
    )
    if adapter.dim != axes["context_dim"]:
        raise ValueError(f"the encoder must read {adapter.dim} channels. Received: {axes['context_dim']}")
    return {"input_adapters": {"image": adapter}, "output_adapters": _label_output(axes)}


def _image_learned(axes, settings):
    return _image(PixelStem((1, 1), axes["embed_dim"], name="stem"), 1, True, axes, settings)


def _image_fourier(axes, settings):
    return _image(PixelStem((1, 1), axes.get("embed_dim"), name="stem"), 1, False, axes, settings)


def _image_conv(axes, settings):
    stem = ConvStem(axes["embed_dim"], semantics=settings.semantics, name="stem")
    return _image(stem, 4, False, axes, settings)


def _fourier(grid, max_resolution, dim, name, endpoint=True):
    """Returns the Fourier positions with `dim` channels: positions, sines and cosines of so many bands."""
    rank = len(max_resolution)
    num_bands, rest = divmod(dim - rank, 2 * rank)
    if rest:
        raise ValueError(
            f"Fourier positions of {rank} axes have a whole number of bands. Received: {dim} channels"
        )
    return FourierPositions(grid, num_bands, max_resolution, endpoint=endpoint, name=name)


def _optical_flow(axes, settings):
    stem = NeighbourhoodStem(NEIGHBOURHOOD_PX, NUM_FRAMES, axes["embed_dim"], name="stem")
    channels, rest = divmod(axes["neighbourhood"], NUM_FRAMES * NEIGHBOURHOOD_PX**2)
    if rest:
        raise ValueError(f"3 x 3 pixels of two frames are expected. Received: {axes['neighbourhood']} values")
    code = axes["context_dim"] - axes["embed_dim"]
    adapter = InputAdapter(
        streams.Video(NUM_FRAMES, *settings.size_px, channels, patch=(NUM_FRAMES, 1, 1)),
        stem=stem,
        positions=_fourier(None, settings.max_resolution, code, "frame_positions"),
        name="frame_input",
    )
    # The published decoder answers in hundredths of the units that it was trained on.
    head = PictureHead(0.01, float32_output=True, name="flow_picture")
    return {
        "input_adapters": {"frames": adapter},
        "output_adapters": {"flow": OutputAdapter("frames", head, leading=1)},
        # The last layer starts at zero: an untrained model sees no motion.
        "decoder": {"output_dim": axes["output_dim"], "output_initializer": "zeros", "float32_output": True},
    }


def _autoencoder(axes, settings):
    return {
        "input_adapters": _media_inputs(axes, settings),
        "output_adapters": _media_outputs(axes, settings),
        "decoder": {"output_dim": axes["output_dim"]},
        "input_padding": min(axes[f"{name}_padding"] for name in ("audio", "image", "label")),
        "query_padding": min(axes[f"{name}_query_padding"] for name in ("audio", "image", "label")),
        # All have a mask vector; in training the label is hidden every other time, the others never.
        "mask_rates": {"audio": 0.0, "image": 0.0, "label": 0.5},
    }


def _media_inputs(axes, settings):
    clip = streams.Video(settings.num_frames, *settings.size_px, axes["channels"], patch=VIDEO_PATCH)
    sound = streams.Waveform(settings.num_samples, (axes["samples_per_patch"],))
    values = math.prod(VIDEO_PATCH) * axes["channels"]
    widths = {name: axes["context_dim"] - axes[f"{name}_padding"] for name in ("audio", "image", "label")}
    resolution = {"audio": (settings.num_samples,), "image": settings.max_resolution}
    codes = {"audio": widths["audio"] - axes["samples_per_patch"], "image": widths["image"] - values}
    adapters = {
        name: InputAdapter(
            stream,
            positions=_fourier(None, resolution[name], codes[name], f"{name}_positions"),
            name=f"{name}_input",
        )
        for name, stream in (("audio", sound), ("image", clip))
    }
    label = streams.Embeddings(1, axes["num_classes"])
    if widths["label"] != axes["num_classes"]:
        raise ValueError(f"a label must have {axes['num_classes']} channels. Received: {widths['label']}")
    return {**adapters, "label": InputAdapter(label, name="label_input")}


def _media_outputs(axes, settings):
    widths = {name: axes["query_dim"] - axes[f"{name}_query_padding"] for name in ("audio", "image")}
    grids = {
        "audio": (settings.num_samples // axes["samples_per_patch"],),
        "image": (settings.num_frames, *settings.size_px),
    }
    resolution = {"audio": (settings.num_samples,), "image": settings.max_resolution}
    heads = {
        name: keras.layers.Dense(units, kernel_initializer=fan_in_kernel(), name=dense)
        for name, units, dense in (
            ("audio", axes["samples_per_patch"], "audio_samples"),
            ("image", axes["channels"], "image_pixels"),
        )
    }
    outputs = {
        name: OutputAdapter(
            # The published autoencoder asks at points that never reach the end of an axis.
            _fourier(grids[name], resolution[name], widths[name], f"{name}_queries", endpoint=False),
            heads[name],
        )
        for name in heads
    }
    label = LearnedArray(1, axes["label_query_dim"], name="label_query")
    head = ClassificationHead(axes["num_classes"], name="label_scores")
    return {**outputs, "label": OutputAdapter(label, head)}


_MODELS = {
    "language": _language,
    "text_classification": _text_classification,
    "image_learned": _image_learned,
    "image_fourier": _image_fourier,
    "image_conv": _image_conv,
    "optical_flow": _optical_flow,
    "autoencoder": _autoencoder,
}
