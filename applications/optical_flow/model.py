"""Builds the model that a configuration describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from zorro_keras.applications.optical_flow.config import Config
from zorro_keras.applications.optical_flow.optical_flow import OpticalFlow
from zorro_keras.applications.optical_flow.preprocessor import FlowPreprocessor
from zorro_keras.applications.training.start_weights import StartReport, start_backbone
from zorro_keras.models import PerceiverIOBackbone

# Where the settings that weights depend on are set: the last word of a layer's setting -> configuration key.
_KEYS = {
    "embed_dim": "model.embed_dim",
    "num_bands": "model.num_bands",
    "num_latents": "model.num_latents",
    "latent_dim": "model.latent_dim",
    "num_layers": "model.num_layers",
    "num_heads": "model.num_heads",
    "num_cross_heads": "model.num_cross_heads",
    "query_residual": "model.query_residual",
    "activation": "model.semantics",
    "semantics": "model.semantics",
    "max_resolution": "data.size_px",
    "shape": "data.size_px",
    "grid": "data.size_px",
    "frames": "model.variant",
    "flow_scale": "data.flow_scale",
}


def build_model(config: Config, label_names: Sequence[str] = ()) -> OpticalFlow:
    """Returns the untrained model of a configuration, its preprocessor attached.

    Args:
        config: `Config`.
        label_names: empty: flow has no classes.
    """
    data, model = config.data, config.model
    backbone = PerceiverIOBackbone.from_variant(
        model.variant,
        semantics=model.semantics,
        size_px=data.size_px,
        dropout_rate=model.dropout_rate,
        key_chunk=model.key_chunk,
        query_chunk=model.query_chunk,
        remat=model.remat,
        seed=config.training.seed,
        **model.sizes(),
    )
    return OpticalFlow(backbone, FlowPreprocessor(data.size_px, data.flow_scale), model.loss)


def start_weights(model: OpticalFlow, config: Config) -> StartReport | None:
    """Starts a model from `model.pretrained`, before its first step; without that, does nothing.

    Returns:
        What was copied: all of it, for what flow means is the same everywhere.

    Raises:
        CheckpointError: if it cannot be read, or was made with other sizes, another unit or activation.
    """
    if config.model.pretrained is None:
        return None
    report = start_backbone(
        model.backbone,
        config.model.pretrained,
        semantics=config.model.semantics,
        preprocessing={"flow_scale": model.preprocessor.flow_scale},
        keys=_KEYS,
        heads=("flow",),
    )
    return dataclasses.replace(report, note="The head is kept: its unit is the same.")
