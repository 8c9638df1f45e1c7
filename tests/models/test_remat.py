"""With `remat` every branch of every block is computed again in the backward pass, in training alone."""

import keras
import numpy as np
import pytest

from tests.backend import compiled
from zorro_keras import layers, streams
from zorro_keras.layers import block_stack
from zorro_keras.models import PerceiverIOBackbone, ZorroViTBackbone


def perceiver(remat):
    """Four blocks: one that reads the input, two of the stack, one that answers."""
    return PerceiverIOBackbone(
        {"vectors": layers.InputAdapter(streams.Embeddings(5, 3))},
        layers.PerceiverEncoder(num_latents=3, latent_dim=8, num_layers=2, num_heads=2, remat=remat),
        {"label": layers.OutputAdapter(layers.LearnedArray(1, 8), layers.ClassificationHead(3))},
        layers.PerceiverDecoder(remat=remat),
    )


def zorro(remat):
    """Three blocks."""
    return ZorroViTBackbone(
        {"vectors": streams.Embeddings(5, 3)}, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=8, remat=remat
    )


@pytest.mark.parametrize(("build", "num_blocks"), [(perceiver, 4), (zorro, 3)])
def test_training_repeats_attention_and_mlp_of_each_block(build, num_blocks, monkeypatch):
    repeated = []

    def remat(branch):
        def run(*inputs):
            repeated.append(branch)
            return branch(*inputs)

        return run

    monkeypatch.setattr(keras, "remat", remat)
    # A loop would call one block for all of a stack.
    monkeypatch.setattr(block_stack, "loops_over_weights", lambda x: False)
    x = {"vectors": np.ones((2, 5, 3), "float32")}

    def count(**options):
        model = build(options["remat"])
        repeated.clear()
        compiled(lambda x: model(x, training=options["training"]))(x)
        return len(repeated)

    assert count(remat=True, training=True) == 2 * num_blocks
    assert count(remat=True, training=False) == count(remat=False, training=True) == 0
