"""From output queries to an output: what a Perceiver is asked, and how its answers are read."""

import keras
from keras import ops

from zorro_keras.layers.initializers import fan_in_kernel


@keras.saving.register_keras_serializable("zorro_keras")
class OutputAdapter:
    """The queries of one output, and the head that turns their answers into it: two layers that go together.

    Args:
        queries: layer of queries, such as `LearnedArray` or `FourierPositions`; or the name of an input,
            whose elements, positions included, are the queries.
        head: layer on the answers `(B, O, E)`: `keras.layers.Dense` for one result a query, or
            `ClassificationHead`, `TiedEmbedding`, `PictureHead`, `ConvexUpsampling`; `None` to leave them as
            they are.
        leading: int, how many places of the first axis of the input's grid ask, such as one frame of two;
            `None` for all elements.

    Raises:
        ValueError: if `queries` are neither a layer nor a name, or `leading` is not positive or not of an
            input.

    Reference:
        Perceiver IO, arXiv 2107.14795, section 3.2 and Figure 3.
    """

    def __init__(self, queries, head=None, leading=None):
        if not isinstance(queries, (keras.layers.Layer, str)):
            raise ValueError(f"`queries` must be a layer or the name of an input. Received: {queries!r}")
        if leading is not None and (leading < 1 or not isinstance(queries, str)):
            raise ValueError(
                "`leading` must be positive, and `queries` the name of an input. "
                f"Received: leading={leading}, queries={queries!r}"
            )
        self.queries = queries
        self.head = head
        self.leading = leading

    @property
    def layers(self):
        """The layers that it is made of: the queries, unless an input asks, and the head, if there is one."""
        return [part for part in (self.queries, self.head) if isinstance(part, keras.layers.Layer)]

    def get_config(self):
        """Returns plain data from which `from_config` builds an equal adapter."""
        return {
            "queries": keras.saving.serialize_keras_object(self.queries),
            "head": keras.saving.serialize_keras_object(self.head),
            "leading": self.leading,
        }

    @classmethod
    def from_config(cls, config):
        """Builds the adapter that `get_config` described."""
        return cls(
            **{
                part: keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
                for part, value in config.items()
            }
        )


@keras.saving.register_keras_serializable("zorro_keras")
class ClassificationHead(keras.layers.Layer):
    """Class scores from the first answer.

    Args:
        num_classes: int, K.
        activation: name or callable on the scores; `None` for logits.

    Call arguments:
        answers: float tensor `(B, O, E)`.

    Returns:
        Tensor `(B, K)`.
    """

    def __init__(self, num_classes, activation=None, **kwargs):
        super().__init__(**kwargs)
        if num_classes < 1:
            raise ValueError(f"`num_classes` must be positive. Received: num_classes={num_classes}")
        self.num_classes = num_classes
        self.activation = keras.activations.get(activation)

    def build(self, answers_shape):
        self.dense = keras.layers.Dense(
            self.num_classes,
            activation=self.activation,
            kernel_initializer=fan_in_kernel(),
            dtype=self.dtype_policy,
            name="scores",
        )
        self.dense.build((None, answers_shape[-1]))

    def call(self, answers):
        return self.dense(answers[:, 0])

    def compute_output_shape(self, answers_shape):
        return (answers_shape[0], self.num_classes)

    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "num_classes": self.num_classes, "activation": activation}


@keras.saving.register_keras_serializable("zorro_keras")
class TiedEmbedding(keras.layers.Layer):
    """A score for each id of a vocabulary: the answer times the id's embedding in an input, plus a bias.

    Args:
        stream: name of the input of ids whose table it shares.
        vocabulary_size: int, V.

    Call arguments:
        answers: float tensor `(B, O, E)`.
        table: float array `(V, E)`.

    Returns:
        Tensor `(B, O, V)`, logits.

    Raises:
        ValueError: if the table has another vocabulary than V, or vectors of another width than the answers.
    """

    def __init__(self, stream, vocabulary_size, **kwargs):
        super().__init__(**kwargs)
        self.stream = stream
        self.vocabulary_size = vocabulary_size

    def build(self, answers_shape, table_shape=None):
        self.bias = self.add_weight(name="bias", shape=(self.vocabulary_size,), initializer="zeros")

    def call(self, answers, table):
        self._check(answers, table)
        table = ops.cast(table, answers.dtype)
        return ops.matmul(answers, ops.transpose(table)) + ops.cast(self.bias, answers.dtype)

    def _check(self, answers, table):
        if tuple(table.shape) != (expected := (self.vocabulary_size, answers.shape[-1])):
            raise ValueError(
                f"The table of input `{self.stream}` must hold `vocabulary_size` vectors as wide as the "
                f"answers, {expected}. Received: {tuple(table.shape)}"
            )

    def compute_output_spec(self, answers, table):
        self._check(answers, table)
        shape = (*answers.shape[:-1], self.vocabulary_size)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "stream": self.stream,
            "vocabulary_size": self.vocabulary_size,
        }
