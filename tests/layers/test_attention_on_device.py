"""On an accelerator attention takes that device's kernel, and gives what it gives without it."""

import keras
import numpy as np
import pytest

from tests.backend import array, gradients
from zorro_keras.applications.doctor import DEVICES
from zorro_keras.layers import attention, kernels
from zorro_keras.layers.attention import attend

ACCELERATED = any("cpu" not in device.lower() for device in DEVICES[keras.config.backend()]())
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not ACCELERATED, reason="needs an accelerator")]


def normal(*shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("lengths", [(512, 512), (128, 4096), (300, 900), (7, 13)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("hidden", [False, True])
def test_values_and_gradients_are_those_of_the_plain_way(lengths, dtype, hidden):
    sizes = zip((*lengths, lengths[1]), range(3), strict=True)
    arrays = [normal(3, length, 2, 64, seed=seed) for length, seed in sizes]
    mask = None
    if hidden:
        mask = np.random.default_rng(3).random((3, 1, lengths[1])) < 0.4
        mask[1] = False

    if attention._fused_kernel(arrays[0], arrays[1], mask) is None:
        pytest.skip("this device has no kernel for these")

    def read(query, key, value):
        return attend(*(keras.ops.cast(x, dtype) for x in (query, key, value)), mask)

    def loss(*arrays):
        return keras.ops.sum(keras.ops.cast(read(*arrays), "float32") ** 2)

    found = array(read(*arrays)), gradients(loss, *arrays)
    keras.config.disable_flash_attention()
    try:
        expected = array(read(*arrays)), gradients(loss, *arrays)
    finally:
        keras.config.enable_flash_attention()
    # A TPU multiplies float32 in bfloat16, too, and a GPU in TensorFloat-32, as both ways do.
    rounding = {"float32": 1e-2, "bfloat16": 3e-2, "float16": 1e-2}[dtype]
    for one, other in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        assert np.abs(one - other).max() <= rounding * np.abs(other).max()


def test_there_is_a_kernel():
    if keras.config.backend() == "tensorflow":
        pytest.skip("TensorFlow has none")
    assert kernels.has_fused_attention()
