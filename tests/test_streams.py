import pytest

from zorro_keras import streams


@pytest.mark.parametrize("stream, grid, shape", [
    (streams.Spectrogram(640, 128), (40, 8), (640, 128)),
    (streams.Video(8, 224, 224), (8, 14, 14), (8, 224, 224, 3)),
    (streams.Video(8, 32, 48, patch=(2, 16, 8)), (4, 2, 6), (8, 32, 48, 3)),
    (streams.Image(32, 48, channels=1), (2, 3), (32, 48, 1)),
    (streams.Embeddings(7, 5), (7,), (7, 5)),
    (streams.Tokens(7, 11), (7,), (7,)),
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


def test_a_vocabulary_must_not_be_empty():
    with pytest.raises(ValueError, match="`vocabulary_size` must be positive. Received: 0"):
        streams.Tokens(7, 0)
