"""On TensorFlow copied to two devices, a step is that of one device: figures and weights."""

import functools

import pytest

from tests.applications.training.distribution.devices import run

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

QUICK = ("vit, contrastive", "masked language")
SLOW = (
    "vit, supervised",
    "perceiver io",
    "swin, supervised",
    "hip, supervised",
    "swin, contrastive",
    "hip, contrastive",
)


@functools.cache
def measured(names):
    return run("copied_steps.py", *names, backend="tensorflow")


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in SLOW)])
def test_two_copies_take_the_steps_of_one_model(name):
    found = measured(QUICK if name in QUICK else SLOW)["steps"][name]
    assert found["replicas"] == [1, 2]
    one, two = found["figures"]
    assert two.keys() == one.keys()
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-6)
    for figure in one:
        assert two[figure] == pytest.approx(one[figure], rel=1e-5), figure
    assert found["step"] > 0.001 and found["difference"] < 1e-5 * found["step"]


def test_copies_draw_apart_and_the_first_as_one_device():
    first, second = measured(QUICK)["seeds"]
    assert first == [5, 0] and second == [5 + 2**32, 0]
