"""What is trained: each experiment is a row of data, and one file of results for each seed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zorro_keras.applications.reproduce.models import BackboneRow, build_backbone, classify, pretrain
from zorro_keras.applications.reproduce.plan import Plan
from zorro_keras.applications.reproduce.probe import probe
from zorro_keras.applications.reproduce.small_clips import SmallClips
from zorro_keras.applications.training.modality_figures import main_head
from zorro_keras.applications.training.run_folder import write_atomically

_WITH_FUSION = ("audio,video", "fusion,audio", "fusion,video")


@dataclass(frozen=True)
class Experiment:
    """A model, and how it learns.

    Args:
        text: what the report calls it.
        learns: "labels", "few labels", or "pairs": without labels, then fine-tuned on few.
        backbone: `BackboneRow`.
        pairs: outputs that are compared where it learns from pairs.
    """

    text: str
    learns: str = "labels"
    backbone: BackboneRow = field(default_factory=BackboneRow)
    pairs: tuple[str, ...] = ()


EXPERIMENTS = {
    "zorro": Experiment("Zorro"),
    "early": Experiment("vanilla", backbone=BackboneRow("early")),
    "audio": Experiment("sound only", backbone=BackboneRow("late", streams=("audio",))),
    "video": Experiment("pictures only", backbone=BackboneRow("late", streams=("video",))),
    "pairs_zorro": Experiment("Zorro, pre-trained", "pairs", pairs=_WITH_FUSION),
    "pairs_early": Experiment("vanilla, pre-trained", "pairs", BackboneRow("early"), ("audio,video",)),
    "few_labels": Experiment("Zorro, few labels from scratch", "few labels"),
    "late": Experiment("no fusion token", backbone=BackboneRow("late")),
    "bottleneck": Experiment("bottleneck", backbone=BackboneRow("bottleneck")),
    "tokens_1": Experiment("Zorro, 1 fusion token", backbone=BackboneRow(num_fusion_tokens=1)),
    "tokens_4": Experiment("Zorro, 4 fusion tokens", backbone=BackboneRow(num_fusion_tokens=4)),
    "pairs_plain": Experiment("Zorro, pre-trained without fusion's terms", "pairs", pairs=_WITH_FUSION[:1]),
}


def result_of(
    name: str, seed: int, clips: tuple[SmallClips, SmallClips], plan: Plan, folder: Path
) -> dict[str, Any]:
    """Returns the results of an experiment, from its file if it has one.

    Returns:
        Dict with `hits`, a dict of measure to a list with 1 for each held-out clip that is right and 0 for
        each that is not; and `seconds`.
    """
    file = folder / f"{name}-seed{seed}.json"
    if file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    started = time.perf_counter()
    hits = _HOW[EXPERIMENTS[name].learns](EXPERIMENTS[name], seed, *clips, plan)
    plain = {measure: np.asarray(right).astype(int).tolist() for measure, right in hits.items()}
    result = {"name": name, "seed": seed, "hits": plain, "seconds": round(time.perf_counter() - started, 1)}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(result) + "\n")
    keras.utils.clear_session(free_memory=True)
    return result


def _from_labels(row: Experiment, seed: int, train: SmallClips, test: SmallClips, plan: Plan):
    backbone = build_backbone(row.backbone, plan, seed)
    return _answers(classify(backbone, train, np.arange(len(train)), plan, plan.steps, seed), test)


def _from_few_labels(row: Experiment, seed: int, train: SmallClips, test: SmallClips, plan: Plan):
    backbone = build_backbone(row.backbone, plan, seed)
    probed = _probed(backbone, train, test)
    few = train.few(plan.label_share, seed)
    return {**probed, **_answers(classify(backbone, train, few, plan, plan.few_label_steps, seed), test)}


def _from_pairs(row: Experiment, seed: int, train: SmallClips, test: SmallClips, plan: Plan):
    backbone = build_backbone(row.backbone, plan, seed)
    found = _found(pretrain(backbone, train, row.pairs, plan, seed), test)
    probed = _probed(backbone, train, test)
    few = train.few(plan.label_share, seed)
    fine_tuned = classify(backbone, train, few, plan, plan.few_label_steps, seed)
    return {**found, **probed, **_answers(fine_tuned, test)}


_HOW = {"labels": _from_labels, "few labels": _from_few_labels, "pairs": _from_pairs}


def _subsets(streams: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The inputs to ask with, by the name of their measure."""
    lone = {name: (name,) for name in streams}
    return {**lone, "both": tuple(streams)} if len(streams) > 1 else lone


def _answers(model: keras.Model, test: SmallClips) -> dict[str, np.ndarray]:
    """Which clips a classifier gets right from each subset of its streams; others are not given to it."""
    hits = {}
    for measure, streams in _subsets(model.backbone.streams).items():
        logits = _predict(model, test, streams)
        hits[measure] = logits[main_head(streams, list(logits))].argmax(axis=1) == test.labels
        if measure == "both":
            hits["both_global"] = logits["global"].argmax(axis=1) == test.labels
    return hits


def _probed(backbone: keras.Model, train: SmallClips, test: SmallClips) -> dict[str, np.ndarray]:
    """Which clips a linear probe gets right: from each stream's output alone, and from both together."""
    hits = {}
    for measure, streams in _subsets(backbone.streams).items():
        known, asked = (
            np.concatenate([features[name] for name in streams], axis=1)
            for features in (_predict(backbone, clips, streams) for clips in (train, test))
        )
        hits[f"probe_{measure}"] = probe(known, train.labels, asked) == test.labels
    return hits


def _found(model: keras.Model, test: SmallClips) -> dict[str, np.ndarray]:
    """Which sounds find their own picture first among all, with both given, or each side alone."""
    has_both = np.logical_and(*test.presence.values())
    together = _predict(model, test, ("audio", "video"))
    apart = {**_predict(model, test, ("audio",)), **_predict(model, test, ("video",))}
    hits = {}
    for measure, embeddings in (("pairs_together", together), ("pairs_apart", apart)):
        likeness = embeddings["audio_to_video"][has_both] @ embeddings["video_to_audio"][has_both].T
        hits[measure] = likeness.argmax(axis=1) == np.arange(len(likeness))
    return hits


def _predict(model: keras.Model, clips: SmallClips, streams: tuple[str, ...]) -> dict[str, np.ndarray]:
    return model.predict(clips.centre(streams), batch_size=160, verbose=0)
