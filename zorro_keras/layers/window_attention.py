"""Attention inside the windows of a grid of any rank, with learned biases for relative positions."""

import math

import keras
from keras import ops

from zorro_keras.layers.attention import Attention, attend
from zorro_keras.layers.initializers import learned_array
from zorro_keras.layers.kernels import rows_of
from zorro_keras.layers.patches import cut_patches, join_patches, pad_to_multiples
from zorro_keras.layers.windows import relative_position_index, visible_groups, window_layout


@keras.saving.register_keras_serializable("zorro_keras")
class WindowAttention(keras.layers.Layer):
    """Every token reads the tokens of its window, near ones and far ones by a learned bias.

    Shifted windows lie half a window further, so that block after block the windows overlap. They are cut
    from the grid rolled around its edges; tokens that only this brought together do not read each other. On
    an axis that fits into one window, the window is the axis, and is not shifted. Where windows do not divide
    the grid, it is filled up at its end.

    The weights fit a grid of any size: a smaller window takes the rows of the table for its own offsets.

    Args:
        num_heads: int, heads; must divide the channels of the tokens.
        window: tuple of int, the largest window along each axis of the grid.
        shifted: bool, whether the windows lie half a window further.
        read_padding: bool, whether what fills up the grid is read, as in the official code. It is zero
            before the projections.
        slice_index: bool, whether a window that is smaller than `window` takes the offsets of the first
            tokens of the large one, as in the official code: other than its own where another axis than the
            first is smaller.
        kernel_initializer: initializer of the kernels.

    Call arguments:
        x: float tensor `(B, *grid, D)`, of a grid that is known and has as many axes as the window.

    Returns:
        Tensor `(B, *grid, D)`.

    Raises:
        ValueError: for sizes that are not positive, heads that do not divide the channels, or a grid of
            another rank.

    Reference:
        Swin, arXiv 2103.14030, section 3.2 and equation 4; Video Swin, arXiv 2106.13230, section 3.2.
    """

    def __init__(
        self,
        num_heads,
        window,
        shifted=False,
        read_padding=False,
        slice_index=False,
        kernel_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not window or min(window) < 1 or num_heads < 1:
            raise ValueError(
                "`num_heads` must be positive, and `window` have positive sizes. "
                f"Received: num_heads={num_heads}, window={window}"
            )
        self.num_heads = num_heads
        self.window = tuple(window)
        self.shifted = shifted
        self.read_padding = read_padding
        self.slice_index = slice_index
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, x_shape):
        channels = x_shape[-1]
        if len(x_shape) != len(self.window) + 2 or channels % self.num_heads:
            raise ValueError(
                f"`window` must have a size for each axis of the grid, and `num_heads` divide the channels. "
                f"Received: window={self.window}, num_heads={self.num_heads}, x.shape={tuple(x_shape)}"
            )
        self.projections = Attention(
            self.num_heads,
            channels // self.num_heads,
            kernel_initializer=self.kernel_initializer,
            dtype=self.dtype_policy,
            name="projections",
        )
        self.projections.build((None, None, channels))
        self.bias_table = self.add_weight(
            name="bias_table",
            shape=(math.prod(2 * size - 1 for size in self.window), self.num_heads),
            initializer=learned_array(),
            autocast=False,  # see `rows_of`
        )

    def call(self, x):
        grid = tuple(x.shape[1:-1])
        axes = tuple(range(1, len(grid) + 1))
        x = pad_to_multiples(x, self._window_on(grid))
        layout = window_layout(grid, self.window, self.shifted)
        if any(layout.shift):
            x = ops.roll(x, tuple(-shift for shift in layout.shift), axes)
        x = self._read(x, layout)
        if any(layout.shift):
            x = ops.roll(x, layout.shift, axes)
        return x[(slice(None), *map(slice, grid))]

    def _window_on(self, grid):
        sizes = zip(grid, self.window, strict=True)
        return tuple(window if size is None else min(size, window) for size, window in sizes)

    def _read(self, x, layout):
        """Returns what the tokens of a rolled grid read in their windows, as a grid of the same shape."""
        count, size, channels = *layout.groups.shape, x.shape[-1]
        windows = ops.reshape(cut_patches(x, layout.window), (-1, size, channels))  # B * W, T, D
        query = self.projections.queries(windows)
        key, value = self.projections.keys_and_values(windows)
        query, key, value = (
            ops.reshape(part, (-1, count, size, self.num_heads, channels // self.num_heads))  # B W T N H
            for part in (query, key, value)
        )
        context = attend(query, key, value, self._mask(layout), bias=self._bias(layout.window))
        context = ops.reshape(context, (-1, size, *context.shape[-2:]))  # B * W, T, N, H
        windows = ops.reshape(self.projections.output(context), (-1, *layout.counts, size * channels))
        return join_patches(windows, layout.window)

    def _mask(self, layout):
        """Returns bool `(1, W, T, T)`, or `None` where all may read all."""
        queries, keys = visible_groups(layout, self.read_padding)
        if keys is None:
            return None
        # Compared here, they are a few numbers in the program and not T times as many.
        return ops.equal(queries[None, :, :, None], keys[None, :, None, :])

    def _bias(self, window):
        """Returns the bias of every pair of tokens of a window, `(N, T, T)`: the same in all windows."""
        size = math.prod(window)
        if self.slice_index:
            rows = relative_position_index(self.window)[:size, :size]
        else:
            rows = relative_position_index(window, self.window)
        bias = rows_of(self.bias_table, rows.reshape(-1))
        return ops.transpose(ops.reshape(bias, (size, size, self.num_heads)), (2, 0, 1))

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "window": list(self.window),
            "shifted": self.shifted,
            "read_padding": self.read_padding,
            "slice_index": self.slice_index,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
