"""What is searched for: the sound of a file, a picture, or both, and which embeddings it is compared with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from zorro_keras.applications.audio_visual_pretraining.clip_embedder import ClipEmbedder, check_heads
from zorro_keras.applications.pipelines.faults import ConfigError, MediaError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media import Window, decode_window, probe

# Sound finds pictures, and a picture finds sounds, by the embeddings that were trained to meet.
_PARTNERS = {"audio": {"audio_to_video": "video_to_audio"}, "video": {"video_to_audio": "audio_to_video"}}


def centre_window(path: str | os.PathLike[str], geometry: ClipGeometry, stream: str) -> Window:
    """Decodes one stream of the window in the middle of a file, as clips of an index are read.

    Raises:
        MediaError: whatever is wrong with the file, or if it lacks the stream.
    """
    spare_seconds = max(probe(path).duration_seconds - geometry.seconds, 0.0)
    return decode_window(path, geometry, start_seconds=spare_seconds / 2, streams=(stream,))


def partners(heads: Sequence[str], streams: Sequence[str]) -> dict[str, str]:
    """Returns which embedding of a question is compared with which of the clips.

    A lone stream is compared with the other one. Both are asked together as fusion, which finds its like.

    Args:
        heads: names of the embeddings of the model.
        streams: "audio", "video" or both: what is asked.

    Raises:
        ConfigError: if the model has no such embedding.
    """
    if len(streams) == 1:
        pairs = _PARTNERS[streams[0]]
        check_heads(heads, *pairs)
        return pairs
    fused = {head: head for head in heads if head.startswith("fusion_to_")}
    if not fused:
        raise ConfigError(
            f"The model must compare fusion with a stream. Received: {list(heads)}",
            stage="search", reason="bad_value", advice="Ask by sound or by picture alone.",
        )  # fmt: skip
    return fused


def question_of(embedder: ClipEmbedder, files: Mapping[str, str | os.PathLike[str]]) -> dict[str, np.ndarray]:
    """Returns the embeddings of a question, a dict of head to `(E,)`.

    Args:
        embedder: `ClipEmbedder`.
        files: dict of "audio", "video" or both to the file of which that stream is taken.

    Raises:
        MediaError: if a file cannot be used, or lacks the stream, in its middle or altogether.
    """
    asked = Window(None, None, 0.0)
    for stream, path in files.items():
        window = centre_window(path, embedder.geometry, stream)
        if getattr(window, stream) is None:
            raise _nothing_there(path, stream, window.start_seconds)
        asked = replace(asked, **{stream: getattr(window, stream)})
    ((_, vectors),) = embedder.of_windows([asked])
    return vectors


def _nothing_there(path: str | os.PathLike[str], stream: str, start_seconds: float) -> MediaError:
    return MediaError(
        f"The question has no {stream} in the middle of the file, from {start_seconds:.2f} s on.",
        path=os.fspath(path), stage="search", reason=f"no_{stream}",
        advice=f"Ask with a file whose {stream} lasts until its middle, or with a part cut out of this one.",
    )  # fmt: skip
