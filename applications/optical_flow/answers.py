"""Files of what a model sees between pictures: flow, its colours, and both beside the frame."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import tensorflow as tf

from zorro_keras.applications.optical_flow.asking import finite_flow
from zorro_keras.applications.optical_flow.tiled_flow import TiledFlow
from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4
from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.flow_field import FlowField
from zorro_keras.applications.pipelines.flow_files import write_flow, write_whole
from zorro_keras.applications.pipelines.flow_pairs import read_frames
from zorro_keras.applications.pipelines.flow_pictures import flow_colours, side_by_side
from zorro_keras.applications.pipelines.media import probe
from zorro_keras.applications.pipelines.media_frames import video_frames
from zorro_keras.applications.training.output_folder import output_folder

_USUAL_RATE_HZ = 25.0
_SLOWEST_HZ = 0.001  # of what an MP4 is written with


def write_pair(
    flow: TiledFlow, first: str | os.PathLike[str], second: str | os.PathLike[str], out: Path
) -> list[Path]:
    """Writes the flow from one picture to another. Returns the files: flow, colours, side by side.

    Raises:
        MediaError: if a picture cannot be read, or they differ in size.
        ConfigError: if the folder cannot be made; the released grid does not exist at their size.
    """
    frames = read_frames(first, second)
    field = _field(flow, frames[0], frames[1], first)
    output_folder(out)
    stem = Path(first).stem
    # Not `_flow.png`: left in a folder of pairs that would be taken for the flow of one.
    files = [out / f"{stem}.flo", out / f"{stem}_colours.png", out / f"{stem}_side_by_side.png"]
    write_flow(files[0], field)
    colours = flow_colours(field)
    _write_png(files[1], colours)
    _write_png(files[2], np.concatenate([frames[0], colours], axis=1))
    return files


def write_video(flow: TiledFlow, path: Path, out: Path) -> list[Path]:
    """Writes the flow from each frame of a video to the next, in constant memory.

    Frames that an earlier video left in the folder go away before; what was written stays if this one fails.

    Returns:
        The folders of flow and colours, and the video of both, at the rate of the file.

    Raises:
        MediaError: if it cannot be read, or holds a single frame.
        ConfigError: if the folder cannot be made; the released grid does not exist at its size.
    """
    rate_hz = max(probe(path).frame_rate_hz or _USUAL_RATE_HZ, _SLOWEST_HZ)
    fields = _fields(flow, path)
    first = next(fields, None)
    if first is None:
        raise MediaError(
            "The video holds a single frame: there is no motion to see.",
            path=path, stage="predict", reason="empty_stream", advice="Give two pictures, or a longer video.",
        )  # fmt: skip
    folders = [output_folder(out / name) for name in ("flow", "colours")]
    _clear(*folders)
    film = out / f"{path.stem}_side_by_side.mp4"
    encode_mp4(str(film), _rows(chain([first], fields), folders), rate_hz, None, None)
    return [*folders, film]


def _clear(flow: Path, colours: Path) -> None:
    """Takes away the frames of an earlier film, which may be longer: numbers that both folders hold.

    A number in one of them alone may be a file of the user's own.
    """
    for path in flow.glob("*.flo"):
        picture = colours / f"{path.stem}.png"
        if re.fullmatch("[0-9]{6,}", path.stem) and picture.is_file():
            path.unlink()
            picture.unlink()


def _fields(flow: TiledFlow, path: Path) -> Iterator[tuple[np.ndarray, FlowField]]:
    """Yields each frame of a video but the last, and its flow."""
    for number, (first, second) in enumerate(pairwise(video_frames(path))):
        yield first, _field(flow, first, second, f"{path}, frame {number}")


def _rows(fields: Iterable[tuple[np.ndarray, FlowField]], folders: list[Path]) -> Iterator[np.ndarray]:
    """Writes the files of each frame and its flow, and yields its picture side by side."""
    for number, (frame, field) in enumerate(fields):
        colours = flow_colours(field)
        write_flow(folders[0] / f"{number:06d}.flo", field)
        _write_png(folders[1] / f"{number:06d}.png", colours)
        yield side_by_side(frame, colours)


def _field(flow: TiledFlow, first: np.ndarray, second: np.ndarray, name: object) -> FlowField:
    return FlowField.dense(finite_flow(flow, first, second, str(name), "predict"))


def _write_png(path: Path, pixels: np.ndarray) -> None:
    write_whole(path, tf.io.encode_png(pixels).numpy())
