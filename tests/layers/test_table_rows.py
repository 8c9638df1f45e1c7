"""What is taken of a table more than once trains as what is taken of it in one product."""

import keras
import numpy as np
import pytest
from keras import ops

from zorro_keras import layers, streams

IDS = np.array([[0, 0, 1], [0, 2, 0]], "int32")


class Sum(keras.Model):
    """Adds up all that a layer gives, each number times another, so that no gradient vanishes."""

    def __init__(self, layer, **options):
        super().__init__()
        self.layer, self.options = layer, options

    def call(self, x):
        given = self.layer(x, **self.options)
        return ops.reshape(ops.mean(given * ops.cos(ops.arange(given.shape[-1], dtype="float32"))), (1,))


class Rows(keras.layers.Layer):
    """What a learned array has at the places that it is given."""

    def __init__(self, array, **kwargs):
        super().__init__(**kwargs)
        self.array = array

    def build(self, shape):
        self.array.build(shape)

    def call(self, x):
        return self.array(x, rows=x)


class Biases(keras.layers.Layer):
    """The biases of a window of attention, whatever is in it."""

    def __init__(self, attention, **kwargs):
        super().__init__(**kwargs)
        self.attention = attention

    def build(self, shape):
        self.attention.build(shape)
        self.attention.projections.trainable = False  # they are not asked

    def call(self, x):
        return self.attention._bias(self.attention.window)


@pytest.fixture
def mixed_bfloat16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def window_attention():
    layer = layers.WindowAttention(num_heads=2, window=(2, 3))
    layer.build((2, 4, 6, 8))
    layer.projections.trainable = False  # its gradient is much longer than that of the biases
    return layer, np.random.default_rng(0).normal(size=(2, 4, 6, 8)).astype("float32"), {}


MODELS = {
    "ids": lambda: (layers.TokenEmbedding(4, 5), IDS, {}),
    "tokens of a Zorro": lambda: (layers.Tokenizer(streams.Tokens(3, 4), 5), IDS, {}),
    "queries of each example": lambda: (layers.LearnedArray(4, 5), IDS, {"rows": IDS}),
    "queries of all examples": lambda: (layers.LearnedArray(4, 5), IDS, {"rows": IDS[0]}),
    "columns of entities": lambda: (
        layers.EntityFeatures([streams.EntityFeature("kind", "categorical", 4)], 5), IDS[..., None], {},
    ),
    "biases of windows": window_attention,
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_step_has_the_length_to_which_its_gradient_is_clipped(name):
    layer, x, options = MODELS[name]()
    model = Sum(layer, **options)
    model.compile(keras.optimizers.SGD(1.0, global_clipnorm=1e-3), loss=lambda _, mean: ops.mean(mean))
    model(x)
    before = model.get_weights()
    model.train_on_batch(x, np.zeros((len(x), 1)))
    steps = [new - old for new, old in zip(model.get_weights(), before, strict=True)]
    assert np.sqrt(sum((step.astype("float64") ** 2).sum() for step in steps)) == pytest.approx(
        1e-3, rel=1e-3
    )


MANY = np.zeros((1, 1000), "int32")
TABLES = {
    "ids": (lambda: layers.TokenEmbedding(1, 1), "embeddings", MANY),
    "queries": (lambda: Rows(layers.LearnedArray(1, 1)), "array", MANY),
    "columns of entities": (
        lambda: layers.EntityFeatures([streams.EntityFeature("kind", "categorical", 1)], 1),
        "table",
        MANY[..., None],
    ),
    "biases of windows": (lambda: Biases(layers.WindowAttention(1, (1000,))), "bias_table", MANY[..., None]),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_gradients_of_a_row_are_added_up_in_float32(name, mixed_bfloat16):
    """In bfloat16 a sum of ones ends at 256. Of a window's biases a token's own is taken by every token."""
    make, variable_name, x = TABLES[name]
    model = keras.Sequential([keras.Input(x.shape[1:], dtype="int32"), make()])
    (table,) = (variable for variable in model.variables if variable.name == variable_name)
    model.compile(keras.optimizers.SGD(1.0), loss=lambda _, given: ops.sum(ops.cast(given, "float32")))
    before = ops.convert_to_numpy(table)
    model.train_on_batch(x, np.zeros((1, 1)))
    assert (before - ops.convert_to_numpy(table)).max() == pytest.approx(1000, rel=1e-4)


def test_adam_squares_the_whole_gradient_of_an_id():
    layer = layers.TokenEmbedding(4, 1, embeddings_initializer="zeros")
    model = keras.Sequential([keras.Input((3,), dtype="int32"), layer])
    model.compile(keras.optimizers.Adam(1.0, beta_1=0.0, epsilon=1.0), loss=lambda _, answer: ops.sum(answer))
    model.train_on_batch(IDS, np.zeros((2, 3, 1)))
    root = np.array([4.0, 1.0, 1.0, 0.0]) * 0.001**0.5  # of the second moments, from the ids' gradients
    assert ops.convert_to_numpy(layer.embeddings)[:, 0] == pytest.approx(-root / (root + 1), rel=1e-4)
