import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytest.importorskip("jax")
if keras.backend.backend() != "jax":
    pytest.skip("a plan is made on JAX", allow_module_level=True)

import jax

from zorro_keras.applications.plan.memory import Footprint, footprint, largest_batch, size_of
from zorro_keras.applications.plan.shapes_only import shaped_model
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.task import named_config, task_module

TASK = "audio_visual_classification"
SMALL = ("model.num_layers=2", "model.hidden_dim=32", "model.mlp_dim=64")


def shaped_of(task, name, batch_size, *overrides):
    config = apply_overrides(named_config(task, name), overrides)
    label_names = task_module(task, "batch_shapes").label_names(name, config)
    return shaped_model(task, config, label_names, batch_size)


def footprint_of(task, name, batch_size, *overrides):
    return footprint(shaped_of(task, name, batch_size, *overrides))


def line(batch_size):
    return Footprint(
        batch_size, weights=60, optimizer=20, gradients=10, batch=batch_size, activations=9 * batch_size
    )


def test_the_largest_batch_is_where_the_line_reaches_the_limit():
    measured = []
    found = largest_batch(lambda size: measured.append(size) or line(size), (line(2), line(4)), 295)
    assert found == line(20) and measured == [20]  # 90 + 10 * 20 fits, and 90 + 10 * 21 does not
    assert largest_batch(line, (line(2), line(4)), 80) is None
    assert largest_batch(line, (line(2), line(4)), 285, multiple=2) == line(18)


def test_a_batch_that_takes_more_than_the_line_says_is_not_taken():
    def steeper(size):
        return line(size) if size < 15 else dataclasses.replace(line(size), activations=12 * size)

    found = largest_batch(steeper, (line(2), line(4)), 295)
    assert found.total <= 295 and 4 < found.batch_size < 20


@pytest.mark.slow
def test_remat_lowers_the_prediction():
    plain, again = (footprint_of(TASK, "tiny", 8, *SMALL, *word) for word in ((), ("model.remat=true",)))
    assert again.activations < 0.75 * plain.activations
    assert dataclasses.replace(again, activations=plain.activations) == plain


def test_averages_of_the_weights_are_counted_with_the_optimizer():
    trained, _, plain, _ = map(size_of, shaped_of(TASK, "tiny", 2, *SMALL).state)
    averaged = size_of(shaped_of(TASK, "tiny", 2, *SMALL, "training.ema_momentum=0.9").state[2])
    assert averaged - plain == trained > 1e5


def test_a_step_in_float16_is_planned_with_the_scale_that_a_run_keeps():
    plain, half = (
        shaped_of(TASK, "tiny", 2, *SMALL, *words) for words in ((), ("training.mixed_precision=float16",))
    )
    assert size_of(half.state[2]) - size_of(plain.state[2]) == 8  # a factor and a count
    _, state = jax.eval_shape(half.model.train_step, half.state, half.data)
    assert jax.tree.map(lambda leaf: leaf.shape, state) == jax.tree.map(lambda leaf: leaf.shape, half.state)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_step_takes_the_memory_that_was_predicted():
    """In a process of its own, whose programs are compiled as those of `fit` are, not as a test's."""
    steps = [f"{TASK} {name} 128 model.num_layers=2" for name in ("tiny", "perceiver_tiny")]
    unchanged = ("JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in unchanged}
    # What is freed goes back at once: kept, glibc's leftovers of earlier steps varied by a tenth of all.
    environment["MALLOC_MMAP_THRESHOLD_"] = "65536"
    script = Path(__file__).with_name("measured_step.py")
    done = subprocess.run(
        [sys.executable, str(script), *steps], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-4000:]
    rows = [json.loads(row) for row in done.stdout.splitlines()]
    assert len(rows) == len(steps)
    for words, (predicted, measured) in zip(steps, rows, strict=True):
        assert predicted > 2e8, words  # much more than what any process takes for itself
        assert abs(predicted / measured - 1.0) < 0.15, (words, predicted, measured)
