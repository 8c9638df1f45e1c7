"""The published sizes of HiP, counted: nothing is computed and no number drawn."""

import pytest

from tests.without_numbers import without_numbers
from zorro_keras import streams as zs
from zorro_keras.models import HiPBackbone

STREAMS = {  # of the published tests: two data sets that one model is called with in turn
    "imagenet_image": zs.Embeddings(1024, 3),
    "imagenet_label": zs.Embeddings(32, 1),
    "audioset_audio": zs.Embeddings(128, 16),
    "audioset_label": zs.Embeddings(16, 16),
}
LABELS = {name: stream for name, stream in STREAMS.items() if "label" in name}
OTHERS = {name: stream for name, stream in STREAMS.items() if name not in LABELS}

# The published tests switch on a linear layer of E x E without bias for each stream of a call that no label
# bypasses: two in HiP, one in the class bottleneck. We have none, and they count here.
PUBLISHED_PARAMETERS = {  # variant: with those layers
    "mini": 18_709_668,
    "16": 99_224_996,
    "256": 95_585_188,
    "16x3": 233_240_356,
}
PUBLISHED_LEVELS = {
    "mini": [702_752, 15_061_632, 2_858_496],
    "16": [702_752, 2_073_472, 57_796_352, 28_937_728, 6_962_176, 1_973_760, 691_968],
    "16x3": [702_752, 229_394_048, 3_056_768],
    "256": [
        *[585_552, 544_960, 735_840, 2_073_472, 57_796_352],
        28_937_728,
        *[3_746_048, 593_792, 247_744, 161_760, 139_248],
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", PUBLISHED_PARAMETERS)
def test_each_size_has_the_published_parameters_level_by_level(variant):
    size = without_numbers(HiPBackbone.from_variant, variant, STREAMS)
    parts = size.parts
    levels = [level.count_params() for level in [*parts.encoder, parts.processor, *parts.decoder]]
    assert levels == PUBLISHED_LEVELS[variant]
    projections = 2 * size.embed_dim**2
    assert size.count_params() + projections == PUBLISHED_PARAMETERS[variant]


@pytest.mark.slow
@pytest.mark.parametrize("variant, published", [("mini", 21_114_788), ("16", 102_943_012)])
def test_labels_before_the_processor_have_the_published_parameters(variant, published):
    size = without_numbers(HiPBackbone.from_variant, variant, OTHERS, labels=LABELS)
    assert size.count_params() + size.embed_dim**2 == published


@pytest.mark.slow
@pytest.mark.parametrize("variant, millions", [("16", 89.51), ("256", 90.67)])
def test_the_encoding_half_reads_pixels_with_fewer_parameters(variant, millions):
    levels_alone = without_numbers(
        HiPBackbone.from_variant, variant, {"image": zs.Image(32, 32, patch=(1, 1))}, decoder_levels=[]
    )
    parts = levels_alone.parts
    counted = sum(level.count_params() for level in [*parts.encoder, parts.processor])
    assert counted / 1e6 == pytest.approx(millions, abs=0.005)
    assert set(levels_alone.output) == {"latents"}


@pytest.mark.slow
def test_raw_video_and_sound_fill_the_groups_of_the_largest_size_exactly():
    streams = {"video": zs.Video(8, 224, 224, patch=(1, 1, 1)), "audio": zs.Waveform(122_880, patch=(1,))}
    size = without_numbers(HiPBackbone.from_variant, "256", streams)
    layout = size.parts.layout(streams)
    assert layout.groups == {"video": 196, "audio": 60} and not any(layout.padding.values())
    assert size.output["video"].shape == (None, 401_408, 3)
    assert size.output["audio"].shape == (None, 122_880, 1)


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="`variant` must be one of .* Received: variant='17'"):
        HiPBackbone.from_variant("17", STREAMS)
