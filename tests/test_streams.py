import json

import numpy as np
import pytest

from zorro_keras import routing, streams

FEATURES = (
    streams.EntityFeature("kind", "categorical", num_values=5),
    streams.EntityFeature("x", "scaled", scale=64.0),
    streams.EntityFeature("tag", "ignored"),
)


@pytest.mark.parametrize("stream, grid, shape", [
    (streams.Spectrogram(640, 128), (40, 8), (640, 128)),
    (streams.Video(8, 224, 224), (8, 14, 14), (8, 224, 224, 3)),
    (streams.Video(8, 32, 48, patch=(2, 16, 8)), (4, 2, 6), (8, 32, 48, 3)),
    (streams.Image(32, 48, channels=1), (2, 3), (32, 48, 1)),
    (streams.Embeddings(7, 5), (7,), (7, 5)),
    (streams.Tokens(7, 11), (7,), (7,)),
    (streams.Entities(7, FEATURES), (7,), (7, 3)),
])  # fmt: skip
def test_a_stream_knows_its_grid_of_tokens_and_its_shape(stream, grid, shape):
    assert (stream.grid, stream.shape) == (grid, shape)
    assert type(stream).from_config(stream.get_config()) == stream


def test_a_patch_must_divide_the_stream():
    with pytest.raises(
        ValueError, match=r"`patch` must divide the stream's shape \(640, 100\). Received: patch=\(16, 16\)"
    ):
        streams.Spectrogram(640, 100)
    with pytest.raises(ValueError, match="one positive size for each axis"):
        streams.Spectrogram(640, 128, patch=(0, 16))


def test_a_patch_is_no_number():
    with pytest.raises(ValueError, match=r"one positive size for each axis of .* Received: patch=8"):
        streams.Image(32, 32, patch=8)


def test_sizes_may_be_numbers_of_numpy():
    stream = streams.Spectrogram(*np.array([32, 32]), patch=np.array([8, 8]))
    assert stream == streams.Spectrogram(32, 32, patch=(8, 8))
    assert json.loads(json.dumps(stream.get_config())) == {"frames": 32, "bins": 32, "patch": [8, 8]}
    assert routing.TokenLayout({"audio": np.int64(4)}) == {"audio": 4}


def test_a_vocabulary_must_not_be_empty():
    with pytest.raises(ValueError, match="`vocabulary_size` must be positive. Received: 0"):
        streams.Tokens(7, 0)


@pytest.mark.parametrize("arguments, message", [
    ({"kind": "number"}, r"`kind` of the feature `x` must be one of .*Received: kind='number'"),
    ({"kind": "categorical"}, "`num_values` of the feature `x` must be positive if it is categorical"),
    ({"kind": "categorical", "num_values": 0}, "Received: kind='categorical', num_values=0"),
    ({"kind": "binary", "num_values": 2}, "and None if not"),
    ({"kind": "scaled", "scale": 0.0}, "`scale` of the feature `x` must be positive"),
    ({"kind": "binary", "scale": 2.0}, "and 1 if not. Received: kind='binary', scale=2.0"),
])  # fmt: skip
def test_a_feature_says_what_is_wrong_with_it(arguments, message):
    with pytest.raises(ValueError, match=message):
        streams.EntityFeature("x", **arguments)


def test_a_table_takes_plain_data_and_refuses_names_twice():
    plain = [feature.get_config() for feature in FEATURES]
    assert streams.Entities(7, plain) == streams.Entities(7, FEATURES)
    with pytest.raises(ValueError, match="`features` must have names that differ"):
        streams.Entities(7, FEATURES + FEATURES[:1])
    with pytest.raises(ValueError, match="one at least that is not ignored"):
        streams.Entities(7, FEATURES[2:])
