"""A flow data set anyone can have: generated pairs of moving textures, as PNG and `.flo`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.claimed_folder import claim_folder
from zorro_keras.applications.pipelines.flow_drawing import FlowScene, Motion, draw_scene
from zorro_keras.applications.pipelines.flow_field import FlowField
from zorro_keras.applications.pipelines.flow_files import write_flow, write_whole

_NOTE = "flow.json"
_MOST_SHAPES = 3


@dataclass(frozen=True)
class FlowPlan:
    """One generated pair.

    Attributes:
        path: str. Relative to the data set's folder; the files are `PATH_1.png`, `PATH_2.png`,
            `PATH_flow.flo` and `PATH_occlusion.png`.
        seed: tuple of ints. The only source of chance in it.
    """

    path: str
    seed: tuple[int, ...]


def generate_flow(
    out: str | os.PathLike[str],
    *,
    count: int = 1500,
    test_count: int = 200,
    size_px: tuple[int, int] = (48, 64),
    seed: int = 0,
) -> list[FlowPlan]:
    """Writes `out/{train,test}/00000_{1,2}.png` and their flow, in the layout of `flow_triples`.

    One to three textured shapes move, turn and change size over a background that does so, too, and hide each
    other. Pixels depend on `seed` and NumPy's version only. An interrupted run is finished by calling it
    again.

    Args:
        out: folder; made if it does not exist.
        count: int >= 1. Training pairs.
        test_count: int >= 0. Test pairs.
        size_px: two ints >= 16. Height and width. Shapes shift by up to a tenth of the shorter side.
        seed: int >= 0.

    Raises:
        ValueError: if an argument is out of its range.
        ConfigError: if `out` holds pairs made with other arguments.
    """
    if count < 1 or test_count < 0 or seed < 0 or min(size_px) < 16:
        raise ValueError(
            "`count` must be positive, `test_count` and `seed` non-negative, `size_px` at least 16. "
            f"Received: count={count}, test_count={test_count}, seed={seed}, size_px={size_px}"
        )
    out = Path(out)
    settings = {"count": count, "test_count": test_count, "size_px": list(size_px), "seed": seed}
    claim_folder(out / _NOTE, "pairs", settings)
    plans = [
        FlowPlan(f"{split}/{number:05d}", (seed, part, number))
        for part, (split, total) in enumerate((("train", count), ("test", test_count)))
        for number in range(total)
    ]
    for plan in plans:
        path = out / plan.path
        path.parent.mkdir(exist_ok=True)
        if not Path(f"{path}_flow.flo").exists():  # the last of its files
            _write(path, draw_plan(plan, size_px))
    return plans


def draw_plan(plan: FlowPlan, size_px: tuple[int, int]) -> FlowScene:
    """Draws the pair of a plan."""
    rng = np.random.default_rng(plan.seed)
    shift_px = 0.1 * min(size_px)
    motion = Motion(background_px=0.6 * shift_px, shape_px=shift_px)
    return draw_scene(*size_px, int(rng.integers(1, _MOST_SHAPES + 1)), motion, rng)


def _write(path: Path, scene: FlowScene) -> None:
    pictures = {"1": scene.frames[0], "2": scene.frames[1]}
    pictures["occlusion"] = np.where(scene.occluded, 255, 0).astype(np.uint8)[..., None]
    for name, picture in pictures.items():
        write_whole(Path(f"{path}_{name}.png"), tf.io.encode_png(picture).numpy())
    write_flow(f"{path}_flow.flo", FlowField.dense(scene.flow))
