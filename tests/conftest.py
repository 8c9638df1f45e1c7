"""What every test shares: the backend, fixed seeds, and skips where an optional package is absent."""

import importlib.util
import os
import random
import sys
import zlib
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# A test's program is compiled once and run a few times on tiny arrays: what it costs is its compilation.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
if importlib.util.find_spec("jaxlib") and tuple(map(int, version("jaxlib").split(".")[:2])) >= (0, 10):
    # The older generators of code take half the time. An XLA that does not know a flag ends the process.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
if os.environ["KERAS_BACKEND"] == "torch":
    import torch  # TensorFlow loaded first makes the process crash

    # Threads that wait for each other spin: beside another process they made a small step ten times as slow.
    torch.set_num_threads(1)

import numpy as np
import pytest
from hypothesis import settings

APPLICATION_TESTS = Path(__file__).parent / "applications"
OPTIONAL_PACKAGES = {"tensorflow": "tensorflow", "tfio": "tensorflow_io", "torch": "torch"}  # marker: module
MISSING_MARKERS = {
    name for name, module in OPTIONAL_PACKAGES.items() if importlib.util.find_spec(module) is None
}
NO_TENSORFLOW = "tensorflow is not installed"

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")


def pytest_report_header(config: pytest.Config) -> str:
    absent = ", ".join(sorted(MISSING_MARKERS)) or "none"
    return f"keras backend: {os.environ['KERAS_BACKEND']}; optional packages absent: {absent}"


@pytest.fixture(autouse=True)
def seeds_from_the_test_name(request: pytest.FixtureRequest) -> None:
    """Seed every generator, so that a test sees the same numbers alone, in any order and on any worker.

    Keras (which is slow to import) is left alone until a test module has imported it: its own default seed is
    drawn from Python's generator.
    """
    seed = zlib.crc32(request.node.nodeid.encode()) % 2**31
    random.seed(seed)
    np.random.seed(seed)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(seed)


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what `-m` does not ask for
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.slow)
    # Files with slow tests first: with several workers none is left with one at the end while others idle.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    slow.add(Path(__file__).with_name("test_examples.py"))  # none is slow, all together are
    items.sort(key=lambda item: item.path not in slow)
    for item in items:
        for name in MISSING_MARKERS & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.skip(reason=f"{OPTIONAL_PACKAGES[name]} is not installed"))


@pytest.fixture
def well_compiled(monkeypatch: pytest.MonkeyPatch):
    """For tests that train for long: their programs are compiled as a user's are."""
    monkeypatch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS", raising=False)
    if os.environ["KERAS_BACKEND"] != "jax":
        yield
        return
    import jax

    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


def needs_absent_tensorflow(path: Path, error: BaseException | None) -> bool:
    """Whether `error` only says that an application test met the absence of TensorFlow.

    `applications/` may use TensorFlow anywhere, so its tests skip where it is absent. The library may not:
    there the same error is a failure.
    """
    if "tensorflow" not in MISSING_MARKERS or not path.is_relative_to(APPLICATION_TESTS):
        return False
    while error is not None:
        if isinstance(error, ImportError) and "tensorflow" in f"{error.name} {error}":
            return True
        error = error.__cause__ or error.__context__
    return False


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    if report.failed and needs_absent_tensorflow(collector.path, report.call.excinfo.value):
        report.outcome, report.longrepr = "skipped", (str(collector.path), 0, f"Skipped: {NO_TENSORFLOW}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item):
    return (yield from skip_where_tensorflow_is_absent(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    return (yield from skip_where_tensorflow_is_absent(item))


def skip_where_tensorflow_is_absent(item: pytest.Item):
    try:
        return (yield)
    except Exception as error:
        if needs_absent_tensorflow(item.path, error):
            pytest.skip(NO_TENSORFLOW)
        raise
