"""Files of what a model sees between pictures: flow, its colours, and both beside the frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import tensorflow as tf

from zorro_keras.applications.optical_flow.tiled_flow import TiledFlow
from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4
from zorro_keras.applications.pipelines.faults import MediaError, TrainingError
from zorro_keras.applications.pipelines.flow_field import FlowField
from zorro_keras.applications.pipelines.flow_files import write_flow, write_whole
from zorro_keras.applications.pipelines.flow_pairs import read_frames
from zorro_keras.applications.pipelines.flow_pictures import flow_colours, side_by_side
from zorro_keras.applications.pipelines.media import probe
from zorro_keras.applications.pipelines.media_frames import video_frames

_USUAL_RATE_HZ = 25


def write_pair(
    flow: TiledFlow, first: str | os.PathLike[str], second: str | os.PathLike[str], out: Path
) -> list[Path]:
    """Writes the flow from one picture to another. Returns the files: flow, colours, side by side.

    Raises:
        MediaError: if a picture cannot be read, or they differ in size.
    """
    frames = read_frames(first, second)
    field = _field(flow, frames[0], frames[1], first)
    stem = Path(first).stem
    files = [out / f"{stem}.flo", out / f"{stem}_flow.png", out / f"{stem}_side_by_side.png"]
    write_flow(files[0], field)
    colours = flow_colours(field)
    _write_png(files[1], colours)
    _write_png(files[2], np.concatenate([frames[0], colours], axis=1))
    return files


def write_video(flow: TiledFlow, path: Path, out: Path) -> list[Path]:
    """Writes the flow from each frame of a video to the next, in constant memory.

    Returns:
        The folders of flow and colours, and the video of both, at the rate of the file.

    Raises:
        MediaError: if it cannot be read, or holds a single frame.
    """
    folders = [out / "flow", out / "colours"]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    film = out / f"{path.stem}_side_by_side.mp4"
    rate_hz = round(probe(path).frame_rate_hz or _USUAL_RATE_HZ) or 1
    rows = _rows(flow, path, folders)
    first = next(rows, None)
    if first is None:
        raise MediaError(
            "The video holds a single frame: there is no motion to see.",
            path=path, stage="predict", reason="empty_stream", advice="Give two pictures, or a longer video.",
        )  # fmt: skip
    encode_mp4(str(film), chain([first], rows), rate_hz, None, None)
    return [*folders, film]


def _rows(flow: TiledFlow, path: Path, folders: list[Path]) -> Iterator[np.ndarray]:
    """Writes the files of each pair of frames, and yields its picture side by side."""
    for number, (first, second) in enumerate(pairwise(video_frames(path))):
        field = _field(flow, first, second, f"{path}, frame {number}")
        colours = flow_colours(field)
        write_flow(folders[0] / f"{number:06d}.flo", field)
        _write_png(folders[1] / f"{number:06d}.png", colours)
        yield side_by_side(first, colours)


def _field(flow: TiledFlow, first: np.ndarray, second: np.ndarray, name: object) -> FlowField:
    values = flow(first, second)
    if not np.isfinite(values).all():
        raise TrainingError(
            "The model gives a number that is not finite.",
            row=str(name), stage="predict", reason="non_finite",
            advice="Check that the training ended well.",
        )  # fmt: skip
    return FlowField.dense(values)


def _write_png(path: Path, pixels: np.ndarray) -> None:
    write_whole(path, tf.io.encode_png(pixels).numpy())
