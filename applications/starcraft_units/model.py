"""Builds the model that a configuration describes."""

from __future__ import annotations

from collections.abc import Sequence

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.starcraft_units.config import Config
from zorro_keras.applications.starcraft_units.feature_tables import feature_table
from zorro_keras.applications.starcraft_units.preprocessor import UnitPreprocessor
from zorro_keras.applications.starcraft_units.unit_selector import TransformerUnitSelector, UnitSelector
from zorro_keras.layers import InputAdapter
from zorro_keras.models import EntityTransformerBackbone, PerceiverIOBackbone


def build_model(config: Config, label_names: Sequence[str] = ()) -> UnitSelector:
    """Returns the untrained model of a configuration, its preprocessor attached.

    Args:
        config: `Config`.
        label_names: empty: units are chosen, not classified.

    Raises:
        ConfigError: if there are label names, or the table of features cannot be read.
    """
    if label_names:
        raise ConfigError(
            f"Units are chosen, not classified. Received: label_names={list(label_names)[:5]}",
            stage="config", reason="bad_value",
        )  # fmt: skip
    model = config.model
    features = feature_table(config.data.features)
    preprocessor = UnitPreprocessor(features, config.data.num_units, config.data.alone)
    shared = {
        "num_layers": model.num_layers,
        "num_heads": model.num_heads,
        "mlp_dim": model.mlp_dim,
        "dropout_rate": model.dropout_rate,
        "remat": model.remat,
        "seed": config.training.seed,
    }
    if model.encoder == "transformer":
        adapter = InputAdapter(preprocessor.stream, model.embed_dim, name="unit_input")
        backbone = EntityTransformerBackbone({"units": adapter}, **shared)
        return TransformerUnitSelector(backbone, preprocessor, model.head_dim, model.key_dim)
    backbone = PerceiverIOBackbone.from_variant(
        "starcraft_units",
        num_units=config.data.num_units,
        features=preprocessor.features,
        embed_dim=model.embed_dim,
        num_latents=model.num_latents,
        latent_dim=model.latent_dim,
        **shared,
    )
    return UnitSelector(backbone, preprocessor, model.head_dim, model.key_dim)
