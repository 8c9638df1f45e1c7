"""Decodes one stream of an open container in one thread, and notices damage decoders pass over in silence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import av

from zorro_keras.applications.pipelines.media_open import OpenMedia, faults_of

# How much earlier than announced a stream may end before it counts as cut: encoders pad, players round.
_END_SLACK_SECONDS = 0.3
# The reader of MP3 guesses times from the bit rate after a seek, so MP3 is always read from its start.
_NOT_SEEKABLE = frozenset({"mp3"})


def decoded_frames(
    media: OpenMedia, stream: av.stream.Stream, stage: str, *, start_seconds: float = 0.0
) -> Iterator[av.frame.Frame]:
    """Decodes one stream of a freshly opened container to its end.

    Args:
        media: OpenMedia.
        stream: the stream.
        stage: str. What errors are to call this.
        start_seconds: float. Start at the last key frame at or before this time, where the container allows
            it.

    Yields:
        Frames in the order of their times.

    Raises:
        MediaError: `corrupt` on any damage, flagged or raised; `empty_stream` if a stream read from its start
            holds not one frame.
    """
    is_whole = not _seek(media, stream, start_seconds)
    # Threads that decode frames ahead hang when reading stops early, and compete with the other workers.
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "SLICE"
    for other in media.container.streams:
        if other is not stream:
            other.discard = av.stream.Discard.all
    num_frames = 0
    with closing(_raw_frames(media, stream)) as frames:
        while True:
            with faults_of(media.path, stage):
                frame = next(frames, None)
            if frame is None:
                break
            if frame.is_corrupt:
                raise media.fault(f"Frame {num_frames} of the {stream.type} is damaged.", "corrupt", stage)
            num_frames += 1
            yield frame
    if not num_frames and is_whole:
        raise media.fault(f"The {stream.type} stream holds not a single frame.", "empty_stream", stage)


def check_not_cut(media: OpenMedia, stream: av.stream.Stream, end_seconds: float | None, stage: str) -> None:
    """Raises MediaError `truncated` if a stream was read to its end well before the end it announces.

    Args:
        media: OpenMedia.
        stream: the stream.
        end_seconds: when its last frame ends; None if no frame came, as after a seek past the end.
        stage: str. What the error is to call this.
    """
    declared = media.declared_end_seconds(stream)
    if None not in (declared, end_seconds) and end_seconds < declared - _END_SLACK_SECONDS:
        message = f"The {stream.type} ends at {end_seconds:.3f} s although it announces {declared:.3f} s."
        raise media.fault(message, "truncated", stage)


def _raw_frames(media: OpenMedia, stream: av.stream.Stream) -> Iterator[av.frame.Frame]:
    for packet in media.container.demux(stream):
        if packet.is_corrupt:
            raise media.fault(f"A packet of the {stream.type} is damaged.", "corrupt", "demux")
        yield from packet.decode()


def _seek(media: OpenMedia, stream: av.stream.Stream, seconds: float) -> bool:
    """Moves to the last key frame at or before a time. Returns False if reading goes on from the start."""
    if seconds <= 0 or media.kind in _NOT_SEEKABLE:
        return False
    with faults_of(media.path, "seek"):
        offset = int((seconds + media.origin_seconds) / stream.time_base)
        media.container.seek(offset, stream=stream, backward=True)
    return True
