"""The models of the report: one backbone in all, but for its routing, its tokens and its streams."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from zorro_keras.applications.audio_visual_classification import AudioVisualClassifier
from zorro_keras.applications.audio_visual_pretraining import AudioVisualPretrainer
from zorro_keras.applications.reproduce.drawn_batches import DrawnBatches
from zorro_keras.applications.reproduce.plan import Plan
from zorro_keras.applications.reproduce.small_clips import SmallClips, clip_config
from zorro_keras.applications.training.clip_backbones import described_streams
from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.optimizer import build_optimizer
from zorro_keras.models import ZorroViTBackbone
from zorro_keras.routing import Routing


@dataclass(frozen=True)
class BackboneRow:
    """In what a backbone differs from the others.

    Args:
        routing: "zorro", "early", "late" or "bottleneck".
        num_fusion_tokens: optional int. `None` is the plan's; routings without a fusion stream have none.
        streams: names of what it reads.
    """

    routing: str = "zorro"
    num_fusion_tokens: int | None = None
    streams: tuple[str, ...] = ("audio", "video")


def build_backbone(row: BackboneRow, plan: Plan, seed: int) -> ZorroViTBackbone:
    """Returns the untrained backbone of a row; its weights are decided by `seed`."""
    keras.utils.set_random_seed(seed)
    described = described_streams(clip_config())
    streams = {name: described[name] for name in row.streams}
    return ZorroViTBackbone(
        streams,
        num_layers=plan.num_layers,
        num_heads=plan.num_heads,
        hidden_dim=plan.hidden_dim,
        mlp_dim=2 * plan.hidden_dim,
        routing=getattr(Routing, row.routing)(streams),
        num_fusion_tokens=row.num_fusion_tokens or plan.num_fusion_tokens,
        stochastic_depth_rate=0.05,
        seed=seed,
    )


def classify(
    backbone: ZorroViTBackbone, clips: SmallClips, chosen: np.ndarray, plan: Plan, num_steps: int, seed: int
) -> AudioVisualClassifier:
    """Returns a classifier of the backbone, which is trained with it on the labels of the chosen clips."""
    model = AudioVisualClassifier(backbone, int(clips.labels.max()) + 1)
    size = min(plan.batch_size, len(chosen))
    batches = DrawnBatches(clips, chosen, tuple(backbone.streams), size, num_steps, seed)
    _fit(model, batches, plan)
    return model


def pretrain(
    backbone: ZorroViTBackbone, clips: SmallClips, pairs: tuple[str, ...], plan: Plan, seed: int
) -> AudioVisualPretrainer:
    """Returns a pre-trainer of the backbone, which is trained with it, without labels.

    Args:
        pairs: the outputs that are compared, such as "audio,video".
    """
    weights = dict.fromkeys(pairs, 1.0)
    model = AudioVisualPretrainer(
        backbone, None, weights, projection_dim=plan.projection_dim, temperature=plan.temperature
    )
    everything, streams = np.arange(len(clips)), tuple(backbone.streams)
    size, num_steps = plan.pretraining_batch_size, plan.pretraining_steps
    _fit(model, DrawnBatches(clips, everything, streams, size, num_steps, seed, labelled=False), plan)
    return model


def _fit(model: keras.Model, batches: DrawnBatches, plan: Plan) -> None:
    recipe = TrainingConfig(learning_rate=plan.learning_rate, warmup_fraction=0.1)
    model.compile(optimizer=build_optimizer(model, recipe, len(batches)))
    model.fit(batches, epochs=1, shuffle=False, verbose=0)
