"""What the encoders of units cost: by hand, by the compiler, and beside what was published."""

import keras
import numpy as np
import pytest

from zorro_keras.applications.starcraft_units.config import PAPER, PAPER_TRANSFORMER
from zorro_keras.applications.starcraft_units.flops import encoder_flops
from zorro_keras.applications.starcraft_units.model import build_model


@pytest.fixture(scope="module")
def paper():
    return {
        config.model.encoder: encoder_flops(build_model(config).backbone)
        for config in (PAPER, PAPER_TRANSFORMER)
    }


def test_the_transformer_costs_what_was_published(paper):
    units, width, pair = 512, 256, 2 * 128  # 2 heads of 128
    a_unit = 3 * width * pair + pair * width + 2 * width * 1024 + 2 * units * pair
    assert paper["transformer"]["layers"] == 2 * 3 * units * a_unit
    assert paper["transformer"]["layers"] / 1e9 == pytest.approx(3.22, abs=0.01)
    assert paper["transformer"]["total"] / 1e9 == pytest.approx(3.3, rel=0.03)  # published


def test_the_perceiver_costs_what_was_published(paper):
    units, latents, width, wide = 512, 32, 128, 512
    found = paper["perceiver"]
    assert found["latents"] == 2 * 3 * latents * (4 * wide**2 + 2 * wide * 2048 + 2 * latents * wide)
    read = latents * (2 * wide * width + 2 * wide**2) + units * 2 * width**2 + 2 * units * latents * width
    assert found["read"] == 2 * read
    answer = units * (2 * width * wide + 2 * width**2) + latents * 2 * wide**2 + 2 * units * latents * wide
    assert found["answer"] == 2 * answer
    assert found["features"] == 2 * units * width * 33  # binary and scaled; categories are looked up
    assert found["total"] / 1e9 == pytest.approx(0.93, abs=0.005)  # published
    assert found["total"] == sum(count for part, count in found.items() if part != "total")


@pytest.mark.parametrize("name", ["config", "transformer_config"])
def test_the_compiler_counts_about_as_much(name, request):
    if keras.backend.backend() != "jax":
        pytest.skip("the count is the compiler's of JAX")
    import jax

    backbone = build_model(request.getfixturevalue(name)).backbone
    units = np.zeros((1, 24, 8), "float32")
    weights = [variable.value for variable in backbone.variables]

    def answer(weights, units):
        mapping = list(zip(backbone.variables, weights, strict=True))
        with keras.StatelessScope(mapping):
            return backbone({"units": units})

    counted = jax.jit(answer).lower(weights, units).cost_analysis()["flops"]
    found = encoder_flops(backbone, 24)["total"]
    assert found < counted < 1.6 * found  # which counts norms, softmax, activations and sums too


def test_units_cost_the_perceiver_less_and_less(paper, config, transformer_config):
    growth = {}
    for each in (config, transformer_config):
        backbone = build_model(each).backbone
        growth[each.model.encoder] = [encoder_flops(backbone, units)["total"] for units in (8, 16, 24)]
    first, second, third = growth["perceiver"]
    assert third - second == second - first  # linear in the units
    first, second, third = growth["transformer"]
    assert third - second > second - first  # quadratic
