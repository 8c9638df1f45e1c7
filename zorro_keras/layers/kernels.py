"""The one place where the library asks which backend runs it."""

import functools
import itertools

import keras


def has_fused_attention():
    """Returns whether there is a kernel of attention that never writes all logits to memory.

    True on torch, and on JAX with a GPU, by `keras.ops.dot_product_attention`, and on JAX with a TPU.
    TensorFlow has none, nor has JAX on a CPU; and none is used after `keras.config.disable_flash_attention`.
    """
    if keras.config.is_flash_attention_enabled() is False:
        return False
    return keras.config.backend() == "torch" or _jax_finds("gpu") or runs_on_tpu()


def runs_on_tpu():
    return _jax_finds("tpu")


@functools.cache
def _jax_finds(kind):
    if keras.config.backend() != "jax":
        return False
    return any(kind in device.lower() for device in keras.distribution.list_devices())


def fuses_lengths(*lengths):
    """Returns whether `keras.ops.dot_product_attention` fuses attention of so many queries and keys.

    JAX 0.10 refuses to differentiate cuDNN's attention of odd lengths, as if there were a bias. Keras would
    log the traceback at each of them and then write all logits after all.
    """
    if keras.config.backend() == "torch":
        return True
    return all(isinstance(length, int) and length % 2 == 0 for length in lengths)


@functools.cache
def _compiled_for_cpu_alone():
    """Whether XLA for processors, as JAX calls it, compiles all that runs."""
    if keras.config.backend() != "jax":
        return False
    return all("cpu" in device.lower() for device in keras.distribution.list_devices())


def computed_once(x):
    """Returns `x`, and makes the compiler keep it, and its gradient, instead of computing them again.

    Every block adds to what the blocks before it have made. XLA, on a CPU, inlines such sums into each of
    their uses: block after block all of them are added up again, which costs the square of the depth. A
    division counts as too dear to repeat, and by one it changes no bit; a barrier keeps the one from being
    folded away.
    """
    if not _compiled_for_cpu_alone():
        return x
    import jax

    return x / jax.lax.optimization_barrier(keras.ops.ones((), x.dtype))


def split_at(x, cuts, axis):
    """Returns the pieces of a tensor between cuts, ints in rising order: its gradient is one concatenation.

    For torch, Keras makes a tensor of the cuts, on the device, and reads it back. That waits for a GPU. And
    where a functional model is put together of shapes alone there is nothing to be read: then Keras runs the
    model instead, on 83 examples and on 89.
    """
    if not cuts:
        return [x]
    if keras.config.backend() != "torch" or isinstance(x, keras.KerasTensor):
        return keras.ops.split(x, cuts, axis=axis)
    places = [0, *cuts, x.shape[axis]]
    return list(x.split([end - start for start, end in itertools.pairwise(places)], dim=axis))


def rows_of(table, indices):
    """Returns rows of a table `(K, C)`, `(*indices.shape, C)`: its gradient is that of the whole table.

    TensorFlow's gradient of rows lists one as often as it was taken. Keras' optimizers square each alone, for
    Adam's second moment and for the norm that is clipped, as if they were not added up. By a product the
    gradient becomes dense; in graphs the product by one is folded away, eager calls copy the table.

    Args:
        table: trainable variable, made with `autocast=False`: its dtype is that in which gradients are added.
        indices: int tensor.
    """
    if keras.config.backend() == "tensorflow":
        table = keras.ops.multiply(table, 1.0)
    return keras.ops.take(table, indices, axis=0)


def by_rows(dense, x):
    """Returns what a dense layer makes of the last axis, as if all axes before it were one.

    That is what it does anyway. But for the gradient of its kernel XLA, on a CPU, copies a tensor of three
    axes into another order and multiplies it by a slower kernel than it has for matrices: a training step of
    a Perceiver took a twelfth longer.
    """
    if len(x.shape) < 3 or not _compiled_for_cpu_alone():
        return dense(x)
    rows = dense(keras.ops.reshape(x, (-1, x.shape[-1])))
    return keras.ops.reshape(rows, (*keras.ops.shape(x)[:-1], rows.shape[-1]))


def runs_op_by_op():
    """Returns whether nothing joins operations that follow each other: torch compiles nothing here."""
    return keras.config.backend() == "torch"


def recomputes_in_loops():
    """Returns whether the backward pass of a loop can compute again what `keras.remat` wraps in its body.

    TensorFlow 2.21 does not find the variables that the body reads, and XLA not the length of what it keeps.
    """
    return keras.config.backend() != "tensorflow"


def loops_over_weights(x):
    """Returns whether a program that is being compiled can run blocks as a loop over their weights.

    TensorFlow 2.21 keeps all that a loop's body computes for the backward pass; torch compiles nothing here.
    """
    if keras.config.backend() != "jax":
        return False
    import jax

    return isinstance(x, jax.core.Tracer)


def repeated(step, times, x, draws=False):
    """Returns what a step makes of `x` when it is applied so many times.

    On JAX a loop, which compiles the step once. Its backward pass keeps the results of the layers' products
    and computes again what is made of them, attention included: less than half of the memory.

    Args:
        step: function of a tensor to one of the same shape and dtype, such as a stack of layers.
        times: int.
        x: tensor.
        draws: bool, whether the step draws random numbers, which differ between turns: then there is no loop.
    """
    if times > 1 and not draws and keras.config.backend() == "jax":
        import jax

        kept = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
        step = jax.checkpoint(step, policy=kept)
        return keras.ops.fori_loop(0, times, lambda _, x: step(x), x)
    for _ in range(times):
        x = step(x)
    return x
