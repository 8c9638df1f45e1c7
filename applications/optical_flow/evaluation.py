"""Measures a model on whole pairs, region by region, and keeps the worst to be looked at."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from zorro_keras import metrics
from zorro_keras.applications.optical_flow.asking import finite_flow
from zorro_keras.applications.optical_flow.tiled_flow import TiledFlow
from zorro_keras.applications.pipelines.accounted_reading import Reading, accounted
from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.pipelines.flow_entry import FlowEntry
from zorro_keras.applications.pipelines.flow_field import FlowField
from zorro_keras.applications.pipelines.flow_pairs import FlowPair, read_pair
from zorro_keras.applications.pipelines.flow_pictures import flow_colours
from zorro_keras.applications.pipelines.order import evaluation_order

_NUM_WORST = 12
# Whole pairs are large, and a model is slower than any disk: more that wait would only take memory.
_PAIRS_AHEAD = 4


@dataclass
class _Sums:
    """Of the pixels of a region, over all pairs."""

    pixels: int = 0
    error: float = 0.0
    outliers: float = 0.0
    zero_error: float = 0.0

    def add(self, pair: FlowPair, answer: np.ndarray, region: np.ndarray) -> None:
        count = int(region.sum())
        if count:
            self.pixels += count
            self.error += count * metrics.end_point_error(pair.flow, answer, region)
            self.outliers += count * metrics.fl_all(pair.flow, answer, region)
            self.zero_error += count * metrics.end_point_error(pair.flow, np.zeros_like(answer), region)

    def means(self) -> dict[str, Any]:
        """Over the pixels; None for a region that no pair has."""
        sums = {
            "end_point_error": self.error,
            "fl_all": self.outliers,
            "zero_flow_error": self.zero_error,
        }
        means = {name: value / self.pixels if self.pixels else None for name, value in sums.items()}
        return {"pixels": self.pixels, **means}


@dataclass
class _Pass:
    """Of the pairs whose frames one pass of a renderer made."""

    sums: _Sums = field(default_factory=_Sums)
    errors: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        means = self.sums.means()
        return {"num_pairs": len(self.errors), **means, "mean_of_pairs": float(np.mean(self.errors))}


@dataclass
class Evaluation:
    """What a model gets wrong.

    Every pixel of every pair counts once, whatever the sizes of the pairs; `mean_of_pairs` is the mean of the
    pairs' own end-point errors, which is what is published for KITTI. Passes of Sintel and FlyingThings3D
    are also measured apart, as published for Sintel.

    Args:
        flow: `TiledFlow` of the model.
    """

    flow: TiledFlow
    regions: dict[str, _Sums] = field(default_factory=dict)
    passes: dict[str, _Pass] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    unusable: list[str] = field(default_factory=list)
    worst: list[tuple[float, str, dict[str, np.ndarray]]] = field(default_factory=list)

    def add_all(self, entries: Sequence[FlowEntry], reading: Reading) -> None:
        """Measures pairs, each accounted for.

        Raises:
            ZorroError: for a pair that cannot be read, as `reading` says.
            TrainingError: if none could be read, or the model gives a number that is not finite.
        """

        def read(index: int) -> FlowPair:
            return read_pair(entries[index], root=reading.root, max_pixels=reading.max_pixels)

        reading = replace(reading, num_ahead=_PAIRS_AHEAD)
        ids = [entry.id for entry in entries]
        for _, index, pair in accounted(ids, partial(evaluation_order, len(ids)), read, reading):
            if pair is None:
                self.unusable.append(ids[index])
            else:
                self.add(ids[index], pair, entries[index].rendering)
        if not self.errors:
            raise TrainingError(
                "Not one pair of the split could be used.", stage="evaluate", reason="empty_source",
                advice="Mend the files that `faults.jsonl` in the folder of the run names.",
            )  # fmt: skip

    def add(self, name: str, pair: FlowPair, rendering: str = "") -> None:
        """Measures one pair, and for the pass that made its frames."""
        answer = finite_flow(self.flow, *pair.frames, name, "evaluate")
        for region, mask in metrics.flow_regions(pair.flow, pair.valid, pair.matched).items():
            self.regions.setdefault(region, _Sums()).add(pair, answer, mask)
        self.errors[name] = metrics.end_point_error(pair.flow, answer, pair.valid)
        of_pass = self.passes.setdefault(rendering, _Pass())
        of_pass.sums.add(pair, answer, pair.valid)
        of_pass.errors.append(self.errors[name])
        pictures = {
            "first frame": pair.frames[0],
            "true flow": flow_colours(FlowField(pair.flow, pair.valid)),
            "estimated flow": flow_colours(FlowField.dense(answer)),
        }
        # Names are unique, so pictures are never compared.
        heapq.heappush(self.worst, (self.errors[name], name, pictures))
        if len(self.worst) > _NUM_WORST:
            heapq.heappop(self.worst)

    def figures(self) -> dict[str, Any]:
        """Returns what JSON holds: errors in pixels, shares, counts; by region, and the worst pairs.

        `passes` is empty where there are not several.
        """
        passes = self.passes if len(self.passes) > 1 else {}
        regions = {name: sums.means() for name, sums in self.regions.items()}
        overall = regions["all"]
        return {
            "num_pairs": len(self.errors),
            "end_point_error": overall["end_point_error"],
            "fl_all": overall["fl_all"],
            "zero_flow_error": overall["zero_flow_error"],
            "mean_of_pairs": float(np.mean(list(self.errors.values()))),
            "passes": {name: passes[name].figures() for name in sorted(passes)},
            "regions": regions,
            "worst_pairs": [{"id": name, "end_point_error": error} for error, name, _ in self._sorted()],
            "unusable_pairs": self.unusable,
        }

    def pictures(self) -> dict[str, dict[str, np.ndarray]]:
        """Returns id -> title -> uint8 `(Y, X, 3)` of the worst pairs, the worst first."""
        return {name: pictures for _, name, pictures in self._sorted()}

    def _sorted(self) -> list[tuple[float, str, dict[str, np.ndarray]]]:
        return sorted(self.worst, key=lambda item: (-item[0], item[1]))
