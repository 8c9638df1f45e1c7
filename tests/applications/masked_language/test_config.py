import dataclasses

import pytest

from zorro_keras.applications.masked_language import model as model_module
from zorro_keras.applications.masked_language.config import CONFIGS, PAPER, TINY, DataConfig, ModelConfig
from zorro_keras.applications.masked_language.model import build_model
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.text_tokens import Bytes
from zorro_keras.applications.training.config import from_json, to_json


@pytest.mark.parametrize("name", list(CONFIGS))
def test_a_configuration_survives_json(name):
    assert from_json(type(CONFIGS[name]), to_json(CONFIGS[name])) == CONFIGS[name]


def test_the_tiny_model_is_tiny(config):
    model = build_model(TINY)
    assert model.count_params() < 400_000 and model.preprocessor.length == TINY.data.length


# arXiv 2107.14795, section 4.1: 201M, counted in the released weights; and 223M.
@pytest.mark.parametrize(
    ("name", "vocabulary_size", "expected"),
    [("paper", 262, 201_108_230), ("paper_sentencepiece", 32_000, 223_155_456)],
)
def test_a_paper_model_has_the_published_number_of_parameters(name, vocabulary_size, expected, monkeypatch):
    """Of one layer, which is counted as often as there are layers."""
    tokenizer = Bytes()
    tokenizer.vocabulary_size = vocabulary_size
    monkeypatch.setattr(model_module, "load_tokenizer", lambda _: tokenizer)
    config = CONFIGS[name]
    one_layer = dataclasses.replace(config, model=dataclasses.replace(config.model, num_layers=1))
    model = build_model(one_layer)
    (block,) = model.backbone.encoder.blocks
    found = model.count_params() + (config.model.num_layers - 1) * block.count_params()
    assert (config.model.num_layers, found) == (26, expected)


def test_the_recipe_is_that_of_the_paper():
    recipe = PAPER.training
    assert recipe.epochs * recipe.steps_per_epoch == 500_000 and recipe.batch_size == 2048
    assert recipe.warmup_steps == 1000 and recipe.learning_rate == 1.25e-3
    assert (recipe.optimizer, recipe.weight_decay) == ("lamb", 0.01)
    assert (PAPER.data.length, PAPER.data.mask_rate, PAPER.data.texts_per_row) == (2048, 0.15, 10)


def test_the_sentence_piece_recipe_is_that_of_the_bytes_but_for_its_pieces():
    config = CONFIGS["paper_sentencepiece"]
    assert (config.data.length, config.model.vocabulary_size) == (512, 32_000)
    assert dataclasses.replace(config.model, vocabulary_size=None) == PAPER.model
    assert config.training == PAPER.training


def test_a_vocabulary_that_is_not_the_tokenizers_is_refused(config):
    wrong = dataclasses.replace(config, model=dataclasses.replace(config.model, vocabulary_size=300))
    with pytest.raises(ConfigError, match="must be that of the tokenizer, 262"):
        build_model(wrong)
    with pytest.raises(ConfigError, match="has no classes"):
        build_model(config, ["cat"])


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (DataConfig, {"length": 0}, "`length` must be at least 1"),
        (DataConfig, {"mask_rate": 0.0}, r"`mask_rate` must be within \(0, 1\)"),
        (DataConfig, {"test_fraction": 1.0}, r"`test_fraction` must be within \(0, 1\)"),
        (ModelConfig, {"embed_dim": 9}, "`embed_dim` must be a positive multiple of `num_heads` = 8"),
        (ModelConfig, {"embedding_stddev": 0.0}, "`embedding_stddev` must be positive"),
        (ModelConfig, {"dropout_rate": 1.0}, "`dropout_rate`"),
        (ModelConfig, {"vocabulary_size": 3}, "`vocabulary_size` must be None or at least 7"),
    ],
)
def test_a_value_out_of_range_is_named(kind, values, message):
    with pytest.raises(ConfigError, match=message):
        kind(**values)
