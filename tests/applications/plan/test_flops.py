"""Counts of small programs by hand, and of Zorro's base size by the formula of the benchmarks."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

from zorro_keras.applications.plan.flops import flops_by_scope, total_flops

jax = pytest.importorskip("jax")
if keras.backend.backend() != "jax":
    pytest.skip("a plan is made on JAX", allow_module_level=True)

from jax import lax  # noqa: E402

from zorro_keras.applications.plan.shapes_only import shaped_model  # noqa: E402
from zorro_keras.applications.plan.stages import forward_program, stages_of, training_program  # noqa: E402
from zorro_keras.applications.training.task import named_config, task_module  # noqa: E402


def flops(function, *shapes):
    return total_flops(jax.make_jaxpr(function)(*(np.zeros(shape, "float32") for shape in shapes)))


def test_a_product_counts_two_operations_for_each_pair_of_numbers():
    assert flops(lambda a, b: a @ b, (2, 3, 5), (2, 5, 7)) == 2 * 2 * 3 * 5 * 7
    assert flops(lambda a, b: a + b, (3, 5), (3, 5)) == 0


def test_a_loop_counts_as_often_as_it_runs_and_a_branch_as_its_dearest():
    def loop(a):
        return lax.scan(lambda carry, _: (carry @ a, None), a, None, length=11)[0]

    def branch(a):
        return lax.cond(a[0, 0] > 0, lambda: a @ a @ a, lambda: a @ a)

    assert flops(loop, (3, 3)) == 11 * 2 * 27
    assert flops(branch, (3, 3)) == 2 * 2 * 27


def test_what_is_computed_again_counts_again():
    def once(a):
        return jax.numpy.sum(jax.numpy.sin(jax.numpy.sin(a @ a) @ a))

    assert flops(jax.grad(once), (5, 5)) == 3 * 2 * 2 * 125
    assert flops(jax.grad(jax.checkpoint(once)), (5, 5)) == 4 * 2 * 2 * 125


def test_a_convolution_counts_its_kernel_at_each_place():
    def convolved(picture, kernel):
        axes = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(picture, kernel, (2, 2), "VALID", dimension_numbers=axes)

    places = 2 * 3 * 4
    assert flops(convolved, (2, 7, 9, 3), (3, 3, 3, 5)) == 2 * places * 3 * 3 * 3 * 5


def test_operations_are_told_apart_by_the_layer_they_are_called_in():
    def named(a):
        with jax.named_scope("first"):
            a = jax.jit(lambda a: a @ a)(a)
        with jax.named_scope("second"):
            return a @ a @ a

    jaxpr = jax.make_jaxpr(named)(np.zeros((3, 3), "float32"))
    found = flops_by_scope(jaxpr, lambda scope: scope.split("/")[1])
    assert found == {"first": 54, "second": 108}


@pytest.fixture(scope="module")
def base():
    name, task = "base", "audio_visual_classification"
    config = named_config(task, name)
    label_names = task_module(task, "batch_shapes").label_names(name, config)
    return shaped_model(task, config, label_names, 1)


@pytest.mark.slow
def test_the_count_of_base_is_that_of_the_formula(base):
    """The formula leaves out the read-out and the heads; the stages say what they cost."""
    path = Path(__file__).parents[3] / "benchmarks" / "attention.py"
    spec = importlib.util.spec_from_file_location("attention_benchmark", path)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path.parent))
        spec.loader.exec_module(benchmark := importlib.util.module_from_spec(spec))
    stages = {stage.name: stage for stage in stages_of(base)}
    assert stages["block_0 ... block_11"].count == 12
    last = [stage.forward_flops for name, stage in stages.items() if name.endswith(("readout", "_logits"))]
    assert len(last) == 5
    counted = total_flops(forward_program(base)) - sum(last)
    assert counted == benchmark.forward_flops(base.model.backbone)


def test_the_stages_add_up(base):
    stages = stages_of(base)
    assert sum(stage.count * stage.parameters for stage in stages) == base.model.count_params()
    whole = total_flops(forward_program(base))
    assert sum(stage.count * stage.forward_flops for stage in stages) == whole
    # Base trains with `remat`: backward is twice as much as forward, and most of forward is done again.
    assert 3.5 * whole < total_flops(training_program(base)) < 4 * whole
