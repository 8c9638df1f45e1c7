"""The kernel for TPUs, run by its interpreter here: no TPU is needed."""

import functools

import keras
import numpy as np
import pytest

from tests.applications.training.distribution.devices import run
from tests.backend import array, gradients
from zorro_keras.layers import attention as attention_module
from zorro_keras.layers import tpu_attention
from zorro_keras.layers.attention import attend, attend_along
from zorro_keras.layers.tpu_attention import LANES, attend_on_tpu, suits_tpu
from zorro_keras.routing import ReadPlan, Routing, TokenLayout

if keras.config.backend() != "jax":
    pytest.skip("the kernel is JAX's", allow_module_level=True)
from jax.experimental.pallas.ops.tpu import splash_attention


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.fixture
def as_on_a_tpu(monkeypatch):
    """What asks for a device is answered as a TPU would, and the kernel is interpreted."""
    make = functools.partial(splash_attention.make_splash_mha, interpret=True)
    monkeypatch.setattr(splash_attention, "make_splash_mha", make)
    monkeypatch.setattr(attention_module, "has_fused_attention", lambda: True)
    monkeypatch.setattr(attention_module, "runs_on_tpu", lambda: True)


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("lengths", [(130, 300), (300, 130)])
def test_the_kernel_gives_the_values_and_gradients_of_the_plain_way(as_on_a_tpu, lengths, hidden):
    """Also where blocks have to be filled up, values are wider than keys, and one example sees nothing."""
    num_queries, num_keys = lengths
    arrays = (
        normal(3, num_queries, 2, 7),
        normal(3, num_keys, 2, 7, seed=1),
        normal(3, num_keys, 2, 11, seed=2),
    )
    mask = None
    if hidden:
        mask = np.random.default_rng(3).random((3, 1, num_keys)) < 0.4
        mask[1] = False

    def loss(read):
        return lambda *arrays: keras.ops.sum(read(*arrays, mask) ** 2)

    def plain(query, key, value, mask):
        return attend(query, key, value, mask, key_chunk=num_keys)  # which asks for no kernel

    np.testing.assert_allclose(array(attend_on_tpu(*arrays, mask)), array(plain(*arrays, mask)), atol=2e-6)
    pairs = zip(gradients(loss(attend_on_tpu), *arrays), gradients(loss(plain), *arrays), strict=True)
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, atol=3e-6 * np.abs(expected).max())
    if hidden:
        assert (array(attend_on_tpu(*arrays, mask))[1] == 0).all()


@pytest.mark.parametrize("length", [LANES, LANES + 1, 512, 513, 1568, 50176])
def test_blocks_fill_up_little(length):
    block = tpu_attention._block(length)
    assert block % LANES == 0 and block <= 512
    assert -length % block < min(length, 256)


def test_what_the_kernel_does_not_take_or_what_is_too_short_for_it_is_read_the_plain_way():
    query, key = np.zeros((2, 512, 1, 4)), np.zeros((2, 600, 1, 4))
    assert suits_tpu(query, key) and suits_tpu(query, key, np.ones((2, 1, 600), bool))
    assert not suits_tpu(query, key, np.ones((2, 512, 600), bool))
    assert not suits_tpu(query[:, :16], key)
    assert not suits_tpu(query[:, :300], key)
    assert not suits_tpu(query, keras.KerasTensor((2, None, 1, 4)))


def test_a_stream_that_is_long_enough_reads_itself_by_the_kernel(as_on_a_tpu, monkeypatch):
    """Fusion, which is not, reads everything the plain way, and sees what the kernel has not touched."""
    lengths = []
    monkeypatch.setattr(
        attention_module,
        "attend_on_tpu",
        lambda query, *rest: lengths.append(query.shape[1]) or attend_on_tpu(query, *rest),
    )
    layout = TokenLayout({"audio": 20, "video": 520, "fusion": 3})
    plan = ReadPlan(Routing.zorro(["audio", "video"]), layout, layout)
    query, key, value = (normal(1, 543, 1, 4, seed=seed) for seed in range(3))
    found = array(attend_along(plan, query, key, value))
    assert lengths == [520]
    monkeypatch.setattr(attention_module, "has_fused_attention", lambda: False)
    np.testing.assert_allclose(found, array(attend_along(plan, query, key, value)), atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["data", "model", "uneven"])
def test_eight_devices_read_what_one_reads(way):
    """Each its examples, and its heads where the model is split; an uneven batch goes the plain way."""
    found = _spread()[way]
    assert found["kernel"] == (way != "uneven")
    assert found["difference"] < 3e-6


@functools.cache
def _spread():
    return run("spread_attention.py")
