"""Pictures and samples of a record as media files in memory: what holds for files then holds for records.

The pictures are not decoded here. They become the frames of a QuickTime film, each with its time, so that one
decoder, behind one set of limits, reads clips of every origin.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
import soundfile

from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.image_header import ImageHeader, looks_cut, read_header
from zorro_keras.applications.pipelines.media_bytes import MediaBytes
from zorro_keras.applications.pipelines.media_open import DEFAULT_LIMITS, check_limit, faults_of

_TICKS_HZ = 90_000
_CODECS = {"jpeg": ("mjpeg", "yuvj420p"), "png": ("png", "rgb24")}


def film_of(name: str, images: Sequence[bytes], times: Sequence[float]) -> MediaBytes:
    """Pictures as a film.

    Args:
        name: str. What errors call it.
        images: sequence of bytes, at least one. JPEG or PNG, all of one kind.
        times: ascending sequence of float. When each is shown, in seconds from 0; one more says when the last
            is over.

    Raises:
        MediaError: if a picture is cut, too large, or no JPEG and no PNG.
    """
    headers = [_checked_header(f"{name}, frame {number}", image) for number, image in enumerate(images)]
    if len({header.kind for header in headers}) > 1:
        raise _fault(name, "The frames are pictures of several formats.", "unsupported_codec")
    codec, pixel_format = _CODECS[headers[0].kind]
    film = io.BytesIO()
    with faults_of(name, "open"), av.open(film, "w", format="mov") as container:
        stream = container.add_stream(codec)
        stream.width, stream.height = headers[0].width_px, headers[0].height_px
        stream.pix_fmt, stream.codec_context.time_base = pixel_format, Fraction(1, _TICKS_HZ)
        stream.time_base = Fraction(1, _TICKS_HZ)
        ticks = [round(seconds * _TICKS_HZ) for seconds in times]
        for image, begin, end in zip(images, ticks, ticks[1:], strict=False):
            packet = av.Packet(image)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, _TICKS_HZ), True
            packet.pts = packet.dts = begin
            packet.duration = max(end - begin, 1)
            container.mux(packet)
    return MediaBytes(f"{name} (pictures)", film.getvalue())


def sound_file_of(name: str, samples: np.ndarray, sample_rate_hz: float) -> MediaBytes:
    """Samples as a sound file that holds the same floats.

    Args:
        name: str. What errors call it.
        samples: float32 `(S,)`, at least one.
        sample_rate_hz: float. A whole number of Hz.
    """
    file = io.BytesIO()
    with faults_of(name, "open"):
        soundfile.write(file, samples, round(sample_rate_hz), format="WAV", subtype="FLOAT")
    return MediaBytes(f"{name} (sound)", file.getvalue())


def _checked_header(name: str, image: bytes) -> ImageHeader:
    header = read_header(image, name)
    check_limit(name, header.height_px * header.width_px, DEFAULT_LIMITS.max_pixels, "pixels")
    if header.kind not in _CODECS:
        raise _fault(name, f"Frames must be JPEG or PNG. Received: {header.kind}", "unsupported_codec")
    if looks_cut(image, header.kind):
        raise _fault(name, f"The {header.kind.upper()} ends before its end mark.", "truncated")
    return header


def _fault(name: str, message: str, reason: str) -> MediaError:
    return MediaError(message, path=name, stage="open", reason=reason)
