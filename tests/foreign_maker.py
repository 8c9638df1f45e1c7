"""Writes shards as other libraries do, with TensorFlow's own messages and real encoded media."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.media_maker import quarters, tone
from zorro_keras.applications.pipelines.jpeg_frames import encode_jpegs

WIDTH_PX, HEIGHT_PX = 46, 34


def jpegs(seconds: float, rate_hz: float) -> list[bytes]:
    """The pictures of `media_maker`, as JPEG."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return encode_jpegs(np.stack([quarters(time, HEIGHT_PX, WIDTH_PX) for time in times]))


def samples(seconds: float, rate_hz: int) -> np.ndarray:
    """The sound of `media_maker`, float32."""
    return tone(np.arange(round(seconds * rate_hz)) / rate_hz).astype(np.float32)


def example(context: Mapping[str, object], lists: Mapping[str, Sequence] | None = None) -> bytes:
    """A serialized SequenceExample; strings, bytes, ints and floats, or sequences of them."""
    import tensorflow as tf

    message = tf.train.SequenceExample()
    for key, value in context.items():
        _fill(message.context.feature[key], value)
    for key, steps in (lists or {}).items():
        for step in steps:
            _fill(message.feature_lists.feature_list[key].feature.add(), step)
    return message.SerializeToString()


def write_records(path: Path, records: Sequence[bytes]) -> Path:
    """Writes a TFRecord file with TensorFlow."""
    import tensorflow as tf

    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


def dmvr_record(
    label: str | None,
    number: int = 0,
    *,
    name: str = "a.mp4",
    seconds: float = 1.2,
    rate_hz: float = 10.0,
    sample_rate_hz: int | None = 48_000,
    as_integers: bool = False,
    claimed_seconds: float | None = None,
    **context: object,
) -> bytes:
    """A record as the script of DMVR writes it; `as_integers` with its mistake."""
    context |= {"video/filename": name, "clip/start/timestamp": 2_000_000}
    context |= {"clip/end/timestamp": 2_000_000 + round((claimed_seconds or seconds) * 1e6)}
    if label is not None:
        context |= {"clip/label/index": number, "clip/label/text": label}
    lists = {"image/encoded": [[image] for image in jpegs(seconds, rate_hz)]}
    if sample_rate_hz is not None:
        sound = samples(seconds, sample_rate_hz)
        if as_integers:
            sound = np.frombuffer((sound.astype(np.float64) * 2**31).astype("<i4").tobytes(), np.float32)
        lists["WAVEFORM/feature/floats"] = [list(sound)]
    return example(context, lists)


def write_features(path: Path) -> Path:
    """Writes AudioSet's features of four clips, of three to six seconds and of one label each."""
    random = np.random.default_rng(0)
    records = []
    for number in range(4):
        context = {"video_id": f"{number}", "start_time_seconds": 30.0, "end_time_seconds": 40.0}
        seconds = random.integers(0, 256, (3 + number, 128), np.uint8)
        lists = {"audio_embedding": [[second.tobytes()] for second in seconds]}
        records.append(example({**context, "labels": [number]}, lists))
    return write_records(path, records)


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    """Writes a tar of files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def _fill(feature, value) -> None:
    values = [value] if isinstance(value, str | bytes | int | float) else list(value)
    if isinstance(values[0] if values else 0.0, str | bytes):
        feature.bytes_list.value.extend(item.encode() if isinstance(item, str) else item for item in values)
    elif all(isinstance(item, int) for item in values):
        feature.int64_list.value.extend(values)
    else:
        feature.float_list.value.extend(values)
