"""A table of entities embedded: equal to one linear layer on one-hot and scaled values."""

import numpy as np
import pytest

from tests.backend import array
from zorro_keras import layers, streams

FEATURES = (
    streams.EntityFeature("kind", "categorical", num_values=3),
    streams.EntityFeature("x", "scaled", scale=4.0),
    streams.EntityFeature("tag", "ignored"),
    streams.EntityFeature("order", "categorical", num_values=600),
    streams.EntityFeature("is_near", "binary"),
)
ENTITIES = np.array([[[2, 3, 77, 598, 1], [0, -1, np.nan, 599, 0]]], "float32")


@pytest.fixture(scope="module")
def layer():
    layer = layers.EntityFeatures(FEATURES, 7)
    layer.build((None, None, 5))
    layer.bias.assign(np.arange(7.0))
    return layer


def test_it_is_a_linear_layer_on_one_hot_binary_and_scaled_values_side_by_side(layer):
    shown = [
        np.concatenate([np.eye(3)[int(kind)], np.eye(600)[int(order)], [x / 4.0, is_near]])
        for kind, x, _, order, is_near in ENTITIES[0]
    ]
    matrix = np.concatenate([array(layer.table), array(layer.kernel)])
    np.testing.assert_allclose(array(layer(ENTITIES))[0], shown @ matrix + np.arange(7.0), atol=1e-5)


@pytest.mark.parametrize("value", [-1, 3, 1.5, 1e9, np.nan])
def test_a_category_that_is_not_known_adds_nothing(layer, value):
    known, unknown = ENTITIES.copy(), ENTITIES.copy()
    unknown[0, 0, 0] = value
    expected = array(layer(known))
    expected[0, 0] -= array(layer.table)[2]
    np.testing.assert_allclose(array(layer(unknown)), expected, atol=1e-5)


def test_ids_that_bfloat16_cannot_tell_apart_stay_apart():
    stream = streams.Entities(2, FEATURES)
    adapter = layers.InputAdapter(stream, 7, dtype="mixed_bfloat16")
    entities = np.zeros((1, 2, 5), "float32")
    entities[0, :, 3] = 598, 599  # as bfloat16 both are 600
    embedded = array(adapter(entities))
    table = array(adapter.stem.table)
    assert np.abs(table[3 + 598] - table[3 + 599]).max() > 0.01
    np.testing.assert_allclose(embedded[0, 0] - embedded[0, 1], table[3 + 598] - table[3 + 599], atol=0.03)


def test_other_columns_and_no_channels_are_refused():
    with pytest.raises(ValueError, match="must have 5 columns, one a feature. Received: shape"):
        layers.EntityFeatures(FEATURES, 7)(np.zeros((2, 3, 4), "float32"))
    with pytest.raises(ValueError, match="`embed_dim` must be positive. Received: embed_dim=0"):
        layers.EntityFeatures(FEATURES, 0)
    with pytest.raises(ValueError, match="ids or entities needs a positive `embed_dim`"):
        layers.InputAdapter(streams.Entities(2, FEATURES))
