"""Rows of a table as vectors: what the columns of an entity mean."""

import keras
from keras import ops

from zorro_keras.layers.initializers import learned_array
from zorro_keras.layers.kernels import rows_of
from zorro_keras.streams import EntityFeature


@keras.saving.register_keras_serializable("zorro_keras")
class EntityFeatures(keras.layers.Layer):
    """Embeds the features of entities: a linear layer on one-hot, binary and scaled values side by side.

    The columns of the linear layer that one-hot values would pick are looked up instead, which is the same
    and costs no multiplication. Values are read in float32 in any dtype policy: bfloat16 holds whole numbers
    up to 256 only.

    Args:
        features: sequence of `zorro_keras.streams.EntityFeature`, or of dicts of their arguments.
        embed_dim: int, E.

    Call arguments:
        entities: float or int tensor `(..., F)`, one column a feature. A categorical value that is no whole
            number in [0, num_values) counts as unknown: it adds nothing. Readers of data refuse it.

    Returns:
        Tensor `(..., embed_dim)`.

    Raises:
        ValueError: if `embed_dim` is not positive, or there is another number of columns.

    Reference:
        AlphaStar, doi 10.1038/s41586-019-1724-z, supplement: the entity encoder's one-hot and scaled
        features. Starting values are ours: every feature that is shown weighs the same.
    """

    def __init__(self, features, embed_dim, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if embed_dim < 1:
            raise ValueError(f"`embed_dim` must be positive. Received: embed_dim={embed_dim}")
        self.features = tuple(EntityFeature(**f) if isinstance(f, dict) else f for f in features)
        self.embed_dim = embed_dim
        self.categories = {}  # column -> (first row of the table, number of rows)
        self.numbers = [
            column for column, feature in enumerate(self.features) if feature.kind in ("binary", "scaled")
        ]
        num_rows = 0
        for column, feature in enumerate(self.features):
            if feature.kind == "categorical":
                self.categories[column] = (num_rows, feature.num_values)
                num_rows += feature.num_values
        self.num_rows = num_rows

    def build(self, entities_shape):
        if entities_shape[-1] != len(self.features):
            raise ValueError(
                f"Entities must have {len(self.features)} columns, one a feature. "
                f"Received: shape {tuple(entities_shape)}"
            )
        start = learned_array(stddev=(len(self.categories) + len(self.numbers)) ** -0.5)
        self.table = self.kernel = None
        if self.categories:
            self.table = self.add_weight(
                name="table", shape=(self.num_rows, self.embed_dim), initializer=start, autocast=False
            )  # see `rows_of`
        if self.numbers:
            shape = (len(self.numbers), self.embed_dim)
            self.kernel = self.add_weight(name="kernel", shape=shape, initializer=start.clone())
        self.bias = self.add_weight(name="bias", shape=(self.embed_dim,), initializer="zeros")

    def call(self, entities):
        entities = ops.cast(entities, "float32")
        embedded = ops.cast(self.bias, self.compute_dtype)
        for column, (first_row, num_values) in self.categories.items():
            embedded = embedded + self._looked_up(entities[..., column], first_row, num_values)
        if self.numbers:
            scales = [self.features[column].scale for column in self.numbers]
            numbers = ops.stack([entities[..., column] for column in self.numbers], axis=-1)
            numbers = ops.cast(numbers / ops.convert_to_tensor(scales, "float32"), self.compute_dtype)
            embedded = embedded + ops.matmul(numbers, ops.cast(self.kernel, self.compute_dtype))
        return embedded

    def _looked_up(self, values, first_row, num_values):
        ids = ops.clip(ops.cast(values, "int32"), 0, num_values - 1)
        known = ops.equal(ops.cast(ids, "float32"), values)[..., None]
        rows = ops.cast(rows_of(self.table, ids + first_row), self.compute_dtype)
        return ops.where(known, rows, ops.zeros_like(rows))

    def compute_output_shape(self, entities_shape):
        return (*entities_shape[:-1], self.embed_dim)

    def compute_output_spec(self, entities):
        return keras.KerasTensor(self.compute_output_shape(entities.shape), dtype=self.compute_dtype)

    def get_config(self):
        features = [feature.get_config() for feature in self.features]
        return {**super().get_config(), "features": features, "embed_dim": self.embed_dim}
