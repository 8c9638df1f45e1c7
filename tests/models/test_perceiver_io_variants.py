"""The published models: parameters by path and shape, where they start, and what can be changed."""

import collections
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from zorro_keras.models import PerceiverIOBackbone
from zorro_keras.models import perceiver_io_variants as variants
from zorro_keras.weights import Checkpoint
from zorro_keras.weights.build import parts
from zorro_keras.weights.settings import settings_of

PUBLISHED_PARAMETERS = {  # DeepMind's Haiku modules, counted
    "language": 201_108_230,
    "image_learned": 62_255_848,
    "image_fourier": 48_440_627,
    "image_conv": 48_646_522,
    "optical_flow": 41_057_134,
    "autoencoder": 19_858_855,
    # Ours, counted: the paper says 212M for both.
    "image_fourier_large": 213_082_618,
    "image_conv_large": 212_375_930,
    "starcraft_units": 11_227_904,  # ours, counted: no number is published for the encoder alone
}
_WIDTHS = {
    "self_query_key_dim": 512, "self_value_dim": 512, "self_mlp_dim": 512, "cross_mlp_dim": 512,
    "decoder_query_key_dim": 512, "decoder_value_dim": 512, "latent_dim": 512,
}  # fmt: skip
# Layers and sizes of the models that only the importer builds: reference table of arXiv 2107.14795's code.
IMPORTED = {
    "optical_flow": (24, {
        **_WIDTHS, "num_latents": 2048, "context_dim": 322, "cross_query_key_dim": 322,
        "cross_value_dim": 322, "decoder_mlp_dim": 322, "embed_dim": 64, "channels": 54, "output_dim": 2,
    }),
    "autoencoder": (8, {
        **_WIDTHS, "num_latents": 784, "context_dim": 704, "cross_query_key_dim": 704,
        "cross_value_dim": 704, "decoder_mlp_dim": 1026, "query_dim": 1026, "output_dim": 512, "channels": 3,
        "samples_per_patch": 16, "num_classes": 700, "label_query_dim": 1024, "audio_padding": 303,
        "image_padding": 461, "label_padding": 4, "audio_query_padding": 641, "image_query_padding": 831,
        "label_query_padding": 2,
    }),
}  # fmt: skip


def imported(name):
    num_layers, axes = IMPORTED[name]
    settings, _ = settings_of(Checkpoint("deepmind", name, {}), axes, "deepmind")
    return PerceiverIOBackbone(**parts(name, num_layers, axes, settings))


def without_numbers(name):
    """Returns a model whose variables have paths and shapes, and no values."""
    with keras.StatelessScope(initialize_variables=False):
        return imported(name) if name in IMPORTED else PerceiverIOBackbone.from_variant(name)


def described(model):
    """Returns a line for each path and shape; the layers of the stack are counted."""
    lines = collections.Counter(
        f"{re.sub(r'block_[0-9]+', 'block_*', weight.path)} {'x'.join(map(str, weight.shape))}"
        for weight in model.weights
        if "seed_generator" not in weight.path
    )
    return [f"{count} of {line}" for line, count in sorted(lines.items())]


@pytest.mark.parametrize("name", [*variants.VARIANTS, *IMPORTED])
def test_every_parameter_has_its_path_and_shape(name):
    model = without_numbers(name)
    golden = Path(__file__).with_name("parameters") / f"{name}.txt"
    assert described(model) == golden.read_text().splitlines()
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trained == PUBLISHED_PARAMETERS[name]


# === Where training starts ===

CUT = 0.8796  # standard deviation of a normal of 1 that is cut at 2
SIZES = {"num_latents": 40, "latent_dim": 64, "num_layers": 1, "num_heads": 4}
STARTS = [  # the first that fits counts: path, standard deviation by the fan-in
    (r"bias|beta|moving_mean", lambda fan: 0.0),
    (r"gamma|moving_variance", lambda fan: 0.0),
    (r"(attention/(query|key|value|output)|mlp/(hidden|output))/kernel", lambda fan: fan**-0.5),
    (r"decoder/output/kernel", lambda fan: 0.0),
    (r"kernel", lambda fan: CUT * fan**-0.5),
    (r"stem/embeddings", lambda fan: CUT),
    (r"array|padding|mask", lambda fan: CUT * 0.02),
]
SMALL = {
    "language": lambda: PerceiverIOBackbone.from_variant(
        "language", length=40, embed_dim=48, query_key_dim=32, **SIZES
    ),
    "image_learned": lambda: PerceiverIOBackbone.from_variant("image_learned", size_px=6, **SIZES),
    "image_conv": lambda: PerceiverIOBackbone.from_variant("image_conv", size_px=8, **SIZES),
}  # fmt: skip


@pytest.mark.parametrize("name", ["language", "image_learned", "image_conv"])
def test_each_kind_of_weight_starts_as_published(name):
    kinds = set()
    for weight in SMALL[name]().weights:
        if "seed_generator" in weight.path:
            continue
        kind, stddev = next((k, s) for k, s in STARTS if re.search(k, weight.path))
        values, expected = array(weight), stddev(np.prod(weight.shape[:-1]))
        kinds.add(kind)
        # Four standard errors of the standard deviation of so many numbers.
        allowed = 4 * expected / np.sqrt(2 * values.size)
        assert abs(values.std() - expected) <= allowed, (weight.path, values.std(), expected)
        at_one = kind.startswith("gamma")
        assert abs(values.mean() - at_one) <= 4 * expected / np.sqrt(values.size), weight.path
    assert len(kinds) >= 4


def test_untrained_flow_is_no_motion():
    num_layers, axes = IMPORTED["optical_flow"]
    settings, _ = settings_of(
        Checkpoint("deepmind", "optical_flow", {}), axes, "deepmind", None, {"size_px": (8, 8)}
    )
    model = PerceiverIOBackbone(**parts("optical_flow", 1, {**axes, "num_latents": 4}, settings))
    frames = {"neighbourhoods": np.ones((1, 8, 8, 54), "float32")}
    flow = array(compiled(lambda x: model(x)["flow"])(frames))
    assert flow.shape == (1, 64, 2) and not flow.any()
    model.decoder.output_dense.kernel.assign(np.ones((322, 2)))
    assert array(compiled(lambda x: model(x)["flow"])(frames)).any()


# === What can be changed ===


def parts_of(variant, semantics="deepmind", **overrides):
    return variants.parts(variant, semantics, overrides)


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("semantics", variants.ACTIVATIONS)
@pytest.mark.parametrize("variant", ["image_learned", "image_fourier", "language"])
def test_a_given_query_residual_wins(variant, semantics, residual):
    found = parts_of(variant, semantics, query_residual=residual)
    assert found["decoder"].query_residual is residual


def test_without_a_word_the_semantics_decide_the_query_residual():
    residuals = {semantics: parts_of("image_learned", semantics)["decoder"].query_residual
                 for semantics in variants.ACTIVATIONS}  # fmt: skip
    assert residuals == {"deepmind": False, "hugging_face": True}


@pytest.mark.parametrize(
    "variant, given, resolution",
    [
        ("image_fourier", {"size_px": 32}, (32, 32)),
        ("image_conv", {"size_px": 32}, (8, 8)),
        ("image_conv", {"size_px": 32, "max_resolution": (56, 56)}, (56, 56)),
    ],
)
def test_the_resolution_of_positions_follows_the_size_unless_given(variant, given, resolution):
    assert parts_of(variant, **given)["input_adapters"]["image"].positions.max_resolution == resolution


@pytest.mark.parametrize("variant", ["language", "image_conv"])
def test_settings_of_training_and_memory_reach_encoder_and_decoder(variant):
    found = parts_of(
        variant, remat=True, dropout_rate=0.1, key_chunk=5, query_chunk=7, activation="relu", seed=3
    )
    encoder, decoder = found["encoder"], found["decoder"]
    for part in (encoder, decoder):
        assert (part.remat, part.dropout_rate, part.activation) == (True, 0.1, keras.activations.relu)
    assert (encoder.key_chunk, decoder.query_chunk) == (5, 7)


def test_a_dtype_reaches_every_layer_of_a_variant():
    model = PerceiverIOBackbone.from_variant("image_conv", size_px=8, dtype="mixed_bfloat16", **SIZES)
    parts_ = [part for part in model._flatten_layers() if not isinstance(part, keras.layers.InputLayer)]
    assert {part.compute_dtype for part in parts_} == {"bfloat16"}


def test_no_two_dropouts_share_a_seed():
    model = PerceiverIOBackbone.from_variant(
        "language", length=5, embed_dim=8, num_latents=3, latent_dim=8, num_layers=2, num_heads=2,
        query_key_dim=8, dropout_rate=0.1,
    )  # fmt: skip
    seeds = [layer.seed for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
    assert len(seeds) == 2 + 2 * 2 + 2 and len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    "variant, options, message",
    [
        ("speech", {}, "`variant` may name .*'language'"),
        ("langauge", {}, r"Did you mean 'language' for 'langauge'\?"),
        ("language", {"semantics": "torch"}, r"`semantics` may name .* Received: unknown \['torch'\]"),
        ("language", {"num_latent": 3}, r"Did you mean 'num_latents' for 'num_latent'\?"),
        ("image_learned", {"num_bands": 3}, r"`overrides` may name .*Received: unknown \['num_bands'\]"),
    ],
)
def test_unknown_variants_semantics_and_settings_are_refused(variant, options, message):
    with pytest.raises(ValueError, match=message):
        PerceiverIOBackbone.from_variant(variant, **options)
