"""Clips that are not one file: pictures and sound in a file each, or pictures one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from zorro_keras.applications.pipelines.embedded_media import film_of
from zorro_keras.applications.pipelines.faults import MediaError, OnError
from zorro_keras.applications.pipelines.media_bytes import MediaBytes
from zorro_keras.applications.pipelines.media_files import open_local_file
from zorro_keras.applications.pipelines.media_probe import probe

MAX_FILM_BYTES = 1 << 30  # a worker holds the pictures in memory
Result = TypeVar("Result")


@dataclass(frozen=True)
class ClipParts:
    """The files of a clip; all begin at the same moment.

    Attributes:
        pictures: str or tuple of str. A media file; or JPEG or PNG files in their order, each shown as long
            as the others: together as long as the sound, or without one a second each.
        sound: optional str. A media file.
    """

    pictures: str | tuple[str, ...]
    sound: str | None = None

    def files(self, streams: tuple[str, ...]) -> list[tuple[str | ClipParts, tuple[str, ...]]]:
        """What is opened for some streams, and what is read of it: a file, or these parts for their film."""
        pictures = self.pictures if isinstance(self.pictures, str) else self
        files = [(pictures, ("video",)), (self.sound, ("audio",))]
        return [(file, each) for file, each in files if file is not None and each[0] in streams]

    def film(self, root: str) -> MediaBytes:
        """The single pictures as one file.

        Raises:
            MediaError: if they cannot be read, or the sound that says how long they are shown.
        """
        seconds = len(self.pictures) if self.sound is None else probe(self.sound, root=root).duration_seconds
        times = [seconds * number / len(self.pictures) for number in range(len(self.pictures) + 1)]
        return film_of(self.pictures[0], _read_all(self.pictures, root), times)


def of_each_file(
    files: Sequence[tuple[Any, tuple[str, ...]]],
    root: str,
    on_error: OnError,
    work: Callable[[str | MediaBytes, tuple[str, ...]], Result],
) -> tuple[list[Result], tuple[tuple[str, MediaError], ...]]:
    """Does the same with each file of a clip.

    Args:
        files: as `ClipParts.files` gives them, or with media files alone.
        root: str. Folder that all must lie in.
        on_error: as for `decode_window`. With "drop_modality" a file may be damaged where another is not.
        work: function of a media file and the streams to read of it.

    Returns:
        (results, (stream, error) of each file that was left out).

    Raises:
        MediaError: the first error, where it is not left out, or all files are damaged.
    """
    results, lost = [], []
    for file, streams in files:
        try:
            results.append(work(file.film(root) if isinstance(file, ClipParts) else file, streams))
        except MediaError as error:
            if on_error != "drop_modality":
                raise
            lost.append((streams[0], error))
    if lost and not results:
        raise lost[0][1]
    return results, tuple(lost)


def _read_all(paths: Sequence[str], root: str) -> list[bytes]:
    images, num_left = [], MAX_FILM_BYTES
    for path in paths:
        with open_local_file(path, root=root, max_bytes=num_left) as file:
            images.append(file.read(num_left + 1))
        num_left -= len(images[-1])
        if num_left < 1:
            raise MediaError(
                f"The pictures of the clip have more than {MAX_FILM_BYTES} bytes.",
                path=path, stage="open", reason="too_large",
            )  # fmt: skip
    return images
