"""The named sizes of Zorro-ViT: what they count does not depend on the backend."""

import pytest

from zorro_keras import streams as zs
from zorro_keras.models import ZorroViTBackbone


@pytest.mark.slow
def test_the_base_size_has_the_papers_tokens_and_parameters():
    streams = {"audio": zs.Spectrogram(640, 128), "video": zs.Video(8, 224, 224)}
    base = ZorroViTBackbone.from_variant("base", streams)
    assert dict(base.transformer.layout) == {"audio": 320, "video": 1568, "fusion": 16}
    assert base.count_params() == 89_687_040
    heads = 4 * (768 * 527 + 527)
    assert round((base.count_params() + heads) / 1e6, 1) == 91.3


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant, millions",
    [("tiny", 5.8), ("small", 22.4), pytest.param("large", 308.0, marks=pytest.mark.long)],
)
def test_the_other_sizes_have_their_parameters(variant, millions):
    streams = {"audio": zs.Spectrogram(32, 16), "video": zs.Video(1, 16, 16)}
    size = ZorroViTBackbone.from_variant(variant, streams)
    # The trunk's count by its widths: arXiv 2010.11929, Table 1.
    layers, width, mlp = size.num_layers, size.hidden_dim, size.mlp_dim
    trunk = layers * (4 * (width * width + width) + 2 * width * mlp + width + mlp + 4 * width)
    assert sum(block.count_params() for block in size.transformer.blocks) == trunk
    assert size.count_params() / 1e6 == pytest.approx(millions, rel=0.02)
