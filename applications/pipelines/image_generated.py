"""A data set anyone can have: generated PNG and JPEG files of ten drawn forms, in class folders."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.claimed_folder import claim_folder
from zorro_keras.applications.pipelines.image_drawing import FORMS, draw

IMAGE_CLASSES: tuple[str, ...] = tuple(FORMS)
SIZES_PX = tuple(range(40, 97, 4))
_NOTE = "images.json"


@dataclass(frozen=True)
class ImagePlan:
    """One generated picture.

    Attributes:
        path: str. Relative to the data set's folder, with forward slashes.
        form: str. One of `IMAGE_CLASSES`.
        seed: tuple of ints. The only source of chance in it.
    """

    path: str
    form: str
    seed: tuple[int, ...]


def generate_images(
    out: str | os.PathLike[str], *, count: int = 3000, test_count: int = 500, seed: int = 0
) -> list[ImagePlan]:
    """Writes `out/{train,test}/<class>/<class>-0000.{png,jpg}`, the classes equally often.

    The pixels of PNGs depend on `seed` and NumPy's version only. An interrupted run is finished by calling it
    again.

    Args:
        out: folder; made if it does not exist.
        count: int. Training pictures, at least 10.
        test_count: int. Test pictures, at least 0.
        seed: int. Non-negative.

    Raises:
        ValueError: if an argument is out of its range.
        ConfigError: if `out` holds pictures made with other arguments.
    """
    if count < len(IMAGE_CLASSES) or test_count < 0 or seed < 0:
        raise ValueError(
            f"`count` must be at least {len(IMAGE_CLASSES)}, `test_count` and `seed` non-negative. "
            f"Received: count={count}, test_count={test_count}, seed={seed}"
        )
    out = os.fspath(out)
    settings = {"count": count, "test_count": test_count, "seed": seed}
    claim_folder(os.path.join(out, _NOTE), "pictures", settings)
    plans = [*_plan("train", count, seed), *_plan("test", test_count, seed)]
    for folder in {os.path.dirname(plan.path) for plan in plans}:
        os.makedirs(os.path.join(out, folder), exist_ok=True)
    for plan in plans:
        path = os.path.join(out, plan.path)
        if not os.path.exists(path):
            _write(path, _encoded(plan))
    return plans


def _plan(split: str, count: int, seed: int) -> list[ImagePlan]:
    plans = []
    for number in range(count):
        index, label = divmod(number, len(IMAGE_CLASSES))
        form = IMAGE_CLASSES[label]
        suffix = "png" if index % 2 else "jpg"
        image_seed = (seed, 0 if split == "train" else 1, label, index)
        plans.append(ImagePlan(f"{split}/{form}/{form}-{index:04d}.{suffix}", form, image_seed))
    return plans


def _encoded(plan: ImagePlan) -> bytes:
    rng = np.random.default_rng(plan.seed)
    height_px, width_px = (int(size) for size in rng.choice(SIZES_PX, size=2))
    picture = draw(plan.form, height_px, width_px, rng)
    if plan.path.endswith(".png"):
        return tf.io.encode_png(picture).numpy()
    return tf.io.encode_jpeg(picture, quality=int(rng.integers(70, 96))).numpy()


def _write(path: str, data: bytes) -> None:
    with open(f"{path}.tmp", "wb") as file:
        file.write(data)
    os.replace(f"{path}.tmp", path)
