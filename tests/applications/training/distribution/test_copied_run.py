"""On TensorFlow a run that was killed on four devices goes on on two, and on one, as if on one all along."""

import pytest

from tests.applications.training.distribution.devices import run

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("copied"))
    first, second = (run("copied_run.py", folder, count, backend="tensorflow") for count in ("4", "2"))
    return {**first, **second}


def test_a_run_of_four_devices_goes_on_on_two_and_ends_on_one(ended):
    on_four, on_two, on_one = ended["on_four"], ended["on_two"], ended["on_one"]
    assert "Training on 4 devices" in on_four and "epoch 1/4" in on_four and "epoch 2/4" not in on_four
    assert "Going on after epoch 1 of 4" in on_two and "devices: 4 -> 2" in on_two
    assert "epoch 2/4" in on_two and "epoch 3/4" not in on_two
    assert "Going on after epoch 2 of 4" in on_one and "devices: 2 -> 1" in on_one and "epoch 4/4" in on_one
    # Weights, moments, averages and seeds, and every metric of every epoch: so the examples were the same.
    assert ended["of_tensors"] < 1e-5 and ended["of_metrics"] < 1e-5


def test_all_copies_refuse_a_step_that_is_not_finite(ended):
    faulty = ended["faulty"]
    assert "epoch 1/4" in faulty and "epoch 2/4" not in faulty
    assert "not finite at step 9. The update was discarded." in faulty
