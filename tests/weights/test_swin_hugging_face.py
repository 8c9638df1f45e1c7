"""Against the Swin of Hugging Face's transformers: its weights in, its numbers out."""

import numpy as np
import pytest

from tests.weights.published import needs_transformers
from tests.weights.swin_weights import normal, our_outputs
from zorro_keras import streams as zs
from zorro_keras import weights

pytestmark = needs_transformers


def their_model():
    """Returns a new model: a grid that fits into one window stops its shifting for good."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.SwinConfig(
        image_size=12, patch_size=2, embed_dim=6, depths=[2, 2], num_heads=[2, 3], window_size=3
    )
    model = transformers.SwinModel(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * torch.randn(weight.shape)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("rows, columns", [(12, 12), (20, 14)])  # dividing, and filled up
def test_their_weights_give_their_numbers(rows, columns, tmp_path):
    import torch

    theirs = their_model()
    theirs.save_pretrained(tmp_path)
    streams = {"image": zs.Image(rows, columns, patch=(2, 2))}
    ours = weights.convert_swin(tmp_path, streams, read_padding=True).backbone
    x = normal(2, rows, columns, 3)
    with torch.no_grad():
        pixels = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
        answer = theirs(pixels, interpolate_pos_encoding=True)
    found = our_outputs(ours, x)
    grid = answer.last_hidden_state.numpy().reshape(found["grid"].shape)
    assert np.abs(grid).max() > 0.3
    np.testing.assert_allclose(found["grid"], grid, atol=1e-4)
    np.testing.assert_allclose(found["pooled"], answer.pooler_output.numpy(), atol=1e-4)
