"""The published models: parameters by path and shape, where they start, and what can be changed."""

import collections
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from tests.without_numbers import without_numbers
from zorro_keras import streams
from zorro_keras.models import PerceiverIOBackbone
from zorro_keras.models import perceiver_io_variants as variants

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
    # Ours, counted: the paper says 25.0M, and 88.2M for the larger. No code of it is public.
    "audioset_raw": 24_922_462,
    "audioset_mel": 24_922_460,
    "audioset_mel_large": 86_568_284,
    # Ours, counted: the paper's table of optical flow has no counts but for the light one of pixels, 27.9M.
    "optical_flow_separate": 41_720_272,
    "optical_flow_1x1": 41_054_062,
    "optical_flow_1x1_separate": 41_718_736,
    "optical_flow_light": 27_908_974,
    "optical_flow_conv": 41_119_610,
    "optical_flow_conv_separate": 41_783_066,
    "optical_flow_conv_light": 27_971_450,
    "starcraft_units": 11_227_904,  # ours, counted: no number is published for the encoder alone
}


def described(model):
    """Returns a line for each path and shape; the layers of the stack are counted."""
    lines = collections.Counter(
        f"{re.sub(r'block_[0-9]+', 'block_*', weight.path)} {'x'.join(map(str, weight.shape))}"
        for weight in model.weights
        if "seed_generator" not in weight.path
    )
    return [f"{count} of {line}" for line, count in sorted(lines.items())]


@pytest.mark.slow
@pytest.mark.parametrize("name", variants.VARIANTS)
def test_every_parameter_has_its_path_and_shape(name):
    model = without_numbers(PerceiverIOBackbone.from_variant, name)
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


FLOWS = [name for name in variants.VARIANTS if name.startswith("optical_flow")]


@pytest.mark.parametrize("name", FLOWS)
def test_untrained_flow_is_no_motion(name):
    model = PerceiverIOBackbone.from_variant(name, size_px=(8, 8), num_bands=3, **SIZES)
    frames = {"frames": np.random.default_rng(0).normal(size=(1, 2, 7, 11, 3)).astype("float32")}
    flow = array(compiled(lambda x: model(x)["flow"])(frames))
    assert flow.shape == (1, 7, 11, 2) and not flow.any()
    head = model.output_adapters["flow"].head
    last = model.decoder.output_dense if "conv" not in name else head.values_dense
    last.kernel.assign(np.ones(last.kernel.shape))
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
        variant, remat=True, dropout_rate=0.1, attention_dropout_rate=0.2, key_chunk=5, query_chunk=7,
        activation="relu", seed=3,
    )  # fmt: skip
    encoder, decoder = found["encoder"], found["decoder"]
    for part in (encoder, decoder):
        assert (part.remat, part.dropout_rate, part.activation) == (True, 0.1, keras.activations.relu)
        assert part.attention_dropout_rate == 0.2
    assert (encoder.key_chunk, decoder.query_chunk) == (5, 7)


def test_a_dtype_reaches_every_layer_of_a_variant():
    model = PerceiverIOBackbone.from_variant("image_conv", size_px=8, dtype="mixed_bfloat16", **SIZES)
    parts_ = [part for part in model._flatten_layers() if not isinstance(part, keras.layers.InputLayer)]
    assert {part.compute_dtype for part in parts_} == {"bfloat16"}


def test_no_two_dropouts_share_a_seed():
    model = PerceiverIOBackbone.from_variant(
        "language", length=5, embed_dim=8, num_latents=3, latent_dim=8, num_layers=2, num_heads=2,
        query_key_dim=8, dropout_rate=0.1, attention_dropout_rate=0.1,
    )  # fmt: skip
    seeds = [layer.seed for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
    assert len(seeds) == 3 + 2 * 3 + 3 and len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    "variant, audio, elements",
    [
        ("audioset_raw", (480, 128 + 1 + 2 * 64), 13_024),
        ("audioset_mel", (4800, 1 + 2 * (1 + 2 * 64)), 17_344),
    ],
)
def test_audioset_reads_elements_of_487_channels(variant, audio, elements):
    found = parts_of(variant)
    inputs = found["input_adapters"]
    sizes = {name: (adapter.num_elements, adapter.dim) for name, adapter in inputs.items()}
    assert sizes == {"audio": audio, "video": (12_544, 384 + 3 * (1 + 2 * 16))}
    assert sum(count for count, _ in sizes.values()) == elements
    assert max(dim for _, dim in sizes.values()) + found["input_padding"] == 487
    encoder, query = found["encoder"], found["output_adapters"]["label"].queries
    assert (encoder.num_layers, encoder.num_repeats, encoder.num_latents) == (12, 1, 512)
    assert (query.length, query.dim) == (1, 1024)


def test_an_audioset_model_can_read_other_clips_or_one_stream_and_leave_the_classes_to_a_task():
    model = PerceiverIOBackbone.from_variant(
        "audioset_mel",
        audio=streams.Spectrogram(6, 10, patch=(3, 5)),
        video=None,
        audio_bands=2,
        num_classes=None,
        query_dim=7,
        **SIZES,
    )
    assert list(model.streams) == ["audio"]
    assert model.input_adapters["audio"].dim == 3 * 5 + 2 * (1 + 2 * 2)
    assert {name: output.shape for name, output in model.output.items()} == {"label": (None, 7)}


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
