"""What a classifier says about image files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from zorro_keras.applications.pipelines.faults import MediaError, SourceError
from zorro_keras.applications.pipelines.image_crops import evaluation_image
from zorro_keras.applications.pipelines.image_decode import decode_image, read_bytes
from zorro_keras.applications.pipelines.image_header import IMAGE_SUFFIXES, is_picture
from zorro_keras.applications.training.asking_batch import asking_batch_size
from zorro_keras.applications.training.probabilities import to_probabilities


def answers(
    task: keras.Model, paths: Sequence[str | os.PathLike], *, batch_size: int | None = None
) -> Iterator[tuple[Path, np.ndarray | MediaError]]:
    """Answers image files, each seen as evaluation sees it.

    Args:
        task: `ImageClassifier` with its preprocessor.
        paths: sequence of files.
        batch_size: optional int >= 1. Files that are answered at a time, at most 32 and fewer large ones by
            default; all batches have one shape.

    Yields:
        (path, probabilities float32 `(K,)`) in order; a `MediaError` in place of the probabilities of a file
        that cannot be read.

    Raises:
        ConfigError: if `batch_size` is not positive.
    """
    size_px = task.preprocessor.size_px
    batch_size = min(asking_batch_size(size_px**2, batch_size), max(len(paths), 1))
    for start in range(0, len(paths), batch_size):
        chosen = [Path(path) for path in paths[start : start + batch_size]]
        images = np.zeros((batch_size, size_px, size_px, 3), np.float32)
        faults: dict[int, MediaError] = {}
        for row, path in enumerate(chosen):
            try:
                images[row] = _seen(path, task.preprocessor)
            except MediaError as error:
                faults[row] = error
        inputs = {"image": np.asarray(task.preprocessor({"image": images})["image"])}
        # `keras.Model`'s, because that of a KerasHub task would preprocess the batch again.
        logits = np.asarray(keras.Model.predict_on_batch(task, inputs)["label"])
        for row, path in enumerate(chosen):
            yield path, faults.get(row, to_probabilities(logits[row], multi_label=False))


def pictures_of(source: str | os.PathLike) -> list[Path]:
    """The file `source`, or all pictures of the folder `source` and of those below it, sorted.

    Raises:
        SourceError: if there is no such file, or no picture in the folder.
    """
    source = Path(source)
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise SourceError(
            "The source must be a picture or a folder.", path=source, stage="predict", reason="missing_file"
        )
    paths = sorted(
        path for path in source.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES or is_picture(path)
    )
    if not paths:
        raise SourceError(
            "The folder holds no pictures.", path=source, stage="predict", reason="empty_source"
        )
    return paths


def _seen(path: Path, preprocessor: keras.Layer) -> np.ndarray:
    pixels = decode_image(read_bytes(path), path).pixels
    return evaluation_image(pixels, preprocessor.size_px, preprocessor.crop_fraction).numpy()
