"""Every configuration round-trips, every paper one has the published size, and nonsense is refused."""

import dataclasses

import pytest

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.text_tokens import Bytes
from zorro_keras.applications.text_classification import preprocessor
from zorro_keras.applications.text_classification.config import (
    CONFIGS,
    TINY,
    Config,
    DataConfig,
    ModelConfig,
)
from zorro_keras.applications.text_classification.glue_tasks import GLUE_TASKS, MULTITASK
from zorro_keras.applications.training.config import apply_overrides, from_json, to_json


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_is_rebuilt_from_its_json(name):
    assert from_json(Config, to_json(CONFIGS[name])) == CONFIGS[name]


def test_the_paper_recipe_is_the_papers():
    for name in ("glue", "glue_multitask", "glue_sentencepiece"):
        training = CONFIGS[name].training
        assert (training.optimizer, training.epochs, training.warmup_steps) == ("lamb", 10, 200)
        assert training.weight_decay == 0.01 and training.batch_size in (16, 32, 64)
        assert training.learning_rate in (1e-4, 5e-5, 2e-5, 1e-5)
    assert CONFIGS["glue_multitask"].data.tasks == MULTITASK


def test_the_paper_recipe_warms_up_for_its_number_of_steps_however_long_the_run():
    from zorro_keras.applications.training.optimizer import learning_rate_schedule

    training = CONFIGS["glue"].training
    for total_steps in (770, 122_720):
        schedule = learning_rate_schedule(training, total_steps)
        rates = [float(schedule(step)) for step in (0, 100, 200, total_steps)]
        assert rates[0] < rates[1] < rates[2] == pytest.approx(5e-5) and rates[3] == pytest.approx(
            0, abs=1e-9
        )
    short = learning_rate_schedule(training, 50)  # a run of fewer steps is warmed up to its end
    assert float(short(49)) == pytest.approx(5e-5)


# The language model's own: arXiv 2107.14795, section 4.1, counted in the released weights; and 223M.
BYTES, PIECES = 201_108_230, 223_155_456
NAMES = {
    "glue": ("RTE/entailment", "RTE/not_entailment"),
    "glue_sentencepiece": ("RTE/entailment", "RTE/not_entailment"),
    "glue_multitask": tuple(f"{task}/{name}" for task in MULTITASK for name in GLUE_TASKS[task].label_names),
}


@pytest.mark.parametrize(
    ("name", "published", "length", "vocabulary_size"),
    [
        ("glue", BYTES, 2048, 262),
        ("glue_multitask", BYTES, 2048, 262),
        ("glue_sentencepiece", PIECES, 512, 32_000),
    ],
)
def test_a_paper_model_has_the_published_number_of_parameters(
    name, published, length, vocabulary_size, monkeypatch
):
    """Of one layer, which is counted as often as there are layers."""
    from zorro_keras.applications.text_classification.model import build_model

    monkeypatch.setattr(Bytes, "vocabulary_size", vocabulary_size)
    monkeypatch.setattr(preprocessor, "load_tokenizer", lambda _: Bytes())
    config, width = CONFIGS[name], 768
    one_layer = dataclasses.replace(config, model=dataclasses.replace(config.model, num_layers=1))
    model = build_model(one_layer, NAMES[name])
    (block,) = model.backbone.encoder.blocks
    found = model.count_params() + (config.model.num_layers - 1) * block.count_params()
    heads = [width * width + width + (width + 1) * outputs for outputs in model.num_outputs.values()]
    # A query and a head of two layers for each task stand for the places that are asked and their bias.
    queries = len(heads) * width
    assert found == published - length * width - vocabulary_size + queries + sum(heads)


def test_fields_are_set_from_text():
    config = apply_overrides(TINY, ["data.tasks=RTE,STS-B", "model.pretrained=runs/a/preset"])
    assert config.data.tasks == ("RTE", "STS-B") and config.model.pretrained == "runs/a/preset"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DataConfig(tasks=("RTE", "RTE")), "`tasks` must be names that differ"),
        (lambda: DataConfig(length=2), "`length` must be at least 3"),
        (lambda: DataConfig(test_fraction=0.0), r"`test_fraction` must be within \(0, 1\)"),
        (lambda: DataConfig(max_bad_fraction=1.5), r"`max_bad_fraction` must be within \[0, 1\]"),
        (lambda: ModelConfig(num_layers=0), "`num_layers` must be at least 1"),
        (lambda: ModelConfig(dropout_rate=1.0), r"`dropout_rate` must be within \[0, 1\)"),
        (lambda: ModelConfig(num_heads=7), "`embed_dim` must be a positive multiple of `num_heads` = 7"),
        (
            lambda: dataclasses.replace(TINY, data=DataConfig(length=100)),
            "`data.length` must be at most `model.num_positions`, 64. Received: data.length=100",
        ),
    ],
)
def test_values_out_of_range_are_named(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
