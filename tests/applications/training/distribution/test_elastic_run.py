"""A run that was killed on eight devices goes on on eight, two or one as if it had been on one all along."""

import pytest

from tests.applications.training.distribution.devices import run

pytestmark = pytest.mark.slow

pytest.importorskip("jax")


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    return run("elastic_run.py", str(tmp_path_factory.mktemp("elastic")))


@pytest.mark.parametrize("way", ["8", "2", "1", "split"])
def test_a_run_of_eight_devices_goes_on_on(way, ended):
    of_tensors, of_metrics, started, went_on = ended[way]
    assert "Training on 8 devices" in started and "epoch 2/4" in started and "epoch 3/4" not in started
    assert "Going on after epoch 2 of 4" in went_on and "epoch 2/4" not in went_on
    assert ("devices: 8 -> " in went_on) == (way in ("2", "1"))
    assert ("Each device holds" in started) == ("Each device holds" in went_on) == (way == "split")
    # Weights, moments, averages and seeds, and every metric of every epoch: so the examples were the same.
    assert of_tensors < 1e-5 and of_metrics < 1e-5
