"""What the stems share that make elements of the cells of a grid."""

import keras

from zorro_keras.layers.initializers import fan_in_kernel


class GridStem(keras.layers.Layer):
    """Cuts an array into cells, in ways that its subclasses tell; a linear layer may follow.

    Args:
        argument: name of the subclass's argument that gives the sizes of a cell.
        sizes: tuple of int, along the first axes after the batch.
        embed_dim: int, channels that a cell is projected to; `None` keeps its values as they are.
    """

    def __init__(self, argument, sizes, embed_dim=None, **kwargs):
        super().__init__(**kwargs)
        if not sizes or min(*sizes, 1 if embed_dim is None else embed_dim) < 1:
            raise ValueError(
                f"`{argument}` must have positive sizes, `embed_dim` be positive or None. "
                f"Received: {argument}={sizes}, embed_dim={embed_dim}"
            )
        self.embed_dim = embed_dim
        self.projection = None
        if embed_dim is not None:
            self.projection = keras.layers.Dense(
                embed_dim, kernel_initializer=fan_in_kernel(), dtype=self.dtype_policy, name="projection"
            )

    def cells(self, x):
        """Returns the values of every cell, `(B, *grid, P)`."""
        raise NotImplementedError

    def grid(self, x_shape):
        """Returns how many cells there are along each axis; `None` where only running tells."""
        raise NotImplementedError

    def num_values(self, x_shape):
        """Returns P, the number of values of a cell."""
        raise NotImplementedError

    def build(self, x_shape):
        if self.projection is not None:
            self.projection.build((None, None, self.num_values(x_shape)))

    def call(self, x):
        cells = self.cells(x)
        return cells if self.projection is None else self.projection(cells)

    def compute_output_shape(self, x_shape):
        return (x_shape[0], *self.grid(x_shape), self.embed_dim or self.num_values(x_shape))

    def get_config(self):
        return {**super().get_config(), "embed_dim": self.embed_dim}
