"""A signal becomes a request to `fit`; the second one acts as if nobody listened."""

import os
import signal
import threading
from types import SimpleNamespace

import pytest

from zorro_keras.applications.pipelines.faults import RunStoppedError
from zorro_keras.applications.training.stopping import stop_requests

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_lets_the_step_under_way_be_the_last(number):
    model = SimpleNamespace(stop_training=False)
    before = [signal.getsignal(number) for number in SIGNALS]
    with stop_requests(model) as request:
        request.raise_if_asked(6)
        assert not model.stop_training
        send(number)
        assert model.stop_training
        with pytest.raises(
            RunStoppedError, match=f"{number.name} came: the run stopped after step 7"
        ) as stopped:
            request.raise_if_asked(7)
    assert stopped.value.exit_code == 5 and "Give the same command again" in str(stopped.value)
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.fixture
def interruptible():
    """Python's own answer to SIGINT, which a shell takes from what it starts in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_second_signal_does_not_wait(interruptible):
    with pytest.raises(KeyboardInterrupt), stop_requests(SimpleNamespace()):
        send(signal.SIGINT)
        send(signal.SIGINT)
        pytest.fail("The second signal was held back.")


def test_a_thread_leaves_signals_alone():
    before, asked = signal.getsignal(signal.SIGTERM), []

    def work():
        with stop_requests(SimpleNamespace()) as request:
            asked.append((signal.getsignal(signal.SIGTERM), request.signal))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [(before, None)]
