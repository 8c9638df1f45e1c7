"""One packed clip as a SequenceExample, under the keys that DMVR and MediaSequence readers know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zorro_keras.applications.pipelines.jpeg_frames import encode_jpegs
from zorro_keras.applications.pipelines.sequence_example import encode_sequence_example

ID = "example/id"
DATA_PATH = "clip/data_path"
START_MICROSECONDS = "clip/start/timestamp"
END_MICROSECONDS = "clip/end/timestamp"
LABEL_INDEX = "clip/label/index"
LABEL_TEXT = "clip/label/text"  # DMVR's word for the label's name
LABEL_STRING = "clip/label/string"  # MediaSequence's
FRAMES = "image/encoded"
FRAME_MICROSECONDS = "image/timestamp"
FRAME_RATE_HZ = "image/frame_rate"
WAVEFORM = "WAVEFORM/feature/floats"  # one step that holds all samples, as DMVR writes it
SAMPLE_RATE_HZ = "WAVEFORM/feature/sample_rate"


@dataclass(frozen=True)
class PackedClip:
    """A clip ready to be packed.

    Attributes:
        id: str.
        data_path: str. The media file, relative to the root of its source.
        label_indices, label_names: what the clip shows, index and name of each.
        start_seconds: float. Where in the file the clip begins.
        duration_seconds: float. How much of it is packed.
        audio: float32 `(S,)` or `None` where there is no sound.
        sample_rate_hz: int.
        frames: uint8 `(F, Y, X, 3)` or `None` where there is no picture.
        frame_rate_hz: float.
    """

    id: str
    data_path: str
    label_indices: Sequence[int]
    label_names: Sequence[str]
    start_seconds: float
    duration_seconds: float
    audio: np.ndarray | None
    sample_rate_hz: int
    frames: np.ndarray | None
    frame_rate_hz: float


def encode_clip_record(clip: PackedClip) -> bytes:
    """The serialized SequenceExample of a clip. A stream that is absent has no keys at all."""
    start, end = (
        round(seconds * 1e6) for seconds in (clip.start_seconds, clip.start_seconds + clip.duration_seconds)
    )
    context = {
        ID: [clip.id],
        DATA_PATH: [clip.data_path],
        START_MICROSECONDS: [start],
        END_MICROSECONDS: [end],
        LABEL_INDEX: list(clip.label_indices),
        LABEL_TEXT: list(clip.label_names),
        LABEL_STRING: list(clip.label_names),
    }
    lists = {}
    if clip.frames is not None:
        num_frames, height_px, width_px = clip.frames.shape[:3]
        context |= {
            "image/format": ["JPEG"],
            "image/height": [height_px],
            "image/width": [width_px],
            FRAME_RATE_HZ: np.array([clip.frame_rate_hz], np.float32),
        }
        times = [start + round((frame + 0.5) * 1e6 / clip.frame_rate_hz) for frame in range(num_frames)]
        lists[FRAMES] = [[image] for image in encode_jpegs(clip.frames)]
        lists[FRAME_MICROSECONDS] = [[time] for time in times]
    if clip.audio is not None:
        context |= {
            SAMPLE_RATE_HZ: np.array([clip.sample_rate_hz], np.float32),
            "WAVEFORM/feature/num_channels": [1],
            "WAVEFORM/feature/num_samples": [clip.audio.size],
        }
        lists[WAVEFORM] = [clip.audio]
    return encode_sequence_example(context, lists)
