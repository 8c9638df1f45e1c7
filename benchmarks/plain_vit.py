"""A vision transformer of Keras' own layers: the peer of Zorro that mixes all streams from the start."""

import math

import keras
import keras_hub


def plain_vit(streams: dict, num_layers: int, num_heads: int, hidden_dim: int, mlp_dim: int) -> keras.Model:
    """Returns a pre-norm transformer over the tokens of all streams, from dict of arrays to `(B, D)`."""
    inputs = {name: keras.Input(stream.shape, name=name) for name, stream in streams.items()}
    tokens = [_embedded(stream, inputs[name], hidden_dim) for name, stream in streams.items()]
    x = tokens[0] if len(tokens) == 1 else keras.layers.Concatenate(axis=1)(tokens)
    for _ in range(num_layers):
        normed = keras.layers.LayerNormalization(epsilon=1e-6)(x)
        x = x + keras.layers.MultiHeadAttention(num_heads, hidden_dim // num_heads)(normed, normed)
        normed = keras.layers.LayerNormalization(epsilon=1e-6)(x)
        x = x + keras.layers.Dense(hidden_dim)(keras.layers.Dense(mlp_dim, activation="gelu")(normed))
    x = keras.layers.LayerNormalization(epsilon=1e-6)(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(x))


def _embedded(stream, x, hidden_dim: int):
    """Returns tokens `(B, T, D)`: a product for each patch, and a learned position."""
    rank = len(stream.patch)
    if len(stream.shape) == rank:
        x = keras.layers.Reshape((*stream.shape, 1))(x)
    convolution = {2: keras.layers.Conv2D, 3: keras.layers.Conv3D}[rank]
    x = convolution(hidden_dim, stream.patch, strides=stream.patch)(x)
    x = keras.layers.Reshape((stream.num_tokens, hidden_dim))(x)
    return x + keras_hub.layers.PositionEmbedding(stream.num_tokens)(x)


def forward_flops(
    streams: dict, num_layers: int, hidden_dim: int, mlp_dim: int, num_more_tokens: int = 0
) -> int:
    """Multiplications and additions of one example, every token reading every other."""
    tokens = sum(stream.num_tokens for stream in streams.values()) + num_more_tokens
    block = tokens * (8 * hidden_dim**2 + 4 * hidden_dim * mlp_dim) + 4 * hidden_dim * tokens**2
    values = sum(math.prod(stream.shape) for stream in streams.values())
    return num_layers * block + 2 * values * hidden_dim
