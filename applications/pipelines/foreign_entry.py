"""A clip inside a shard of another library: where it lies, and what comes out when it is read."""

from __future__ import annotations

from dataclasses import dataclass

from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.media_bytes import MediaBytes
from zorro_keras.applications.pipelines.media_files import open_local_file
from zorro_keras.applications.pipelines.source_rows import ClipEntry

_ANY_SIZE = 1 << 62  # of the shard; what is read of it is checked


@dataclass(frozen=True)
class EmbeddedClip:
    """The media of one clip, encoded; both begin at the same moment.

    Attributes:
        video, audio: optional `MediaBytes`. One and the same object for a file that may hold both.
        media_name: str. What the shard calls the clip, or the file it was cut from; may be empty.
        start_seconds: float. Where the clip begins in that file.
        window: (start, end) in seconds: the part of the media that is the clip. `None` for its end.
        remarks: tuple of str. What is uncommon about it, such as a repair, for the report.
    """

    video: MediaBytes | None
    audio: MediaBytes | None
    media_name: str = ""
    start_seconds: float = 0.0
    window: tuple[float, float | None] = (0.0, None)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignEntry(ClipEntry):
    """A clip in a shard. Its `id` and `path` are the shard, relative to the root, `#`, and the place in it.

    Attributes:
        shard_path: str. The shard, ready to be opened.
    """

    shard_path: str = ""

    def load(self, root: str) -> EmbeddedClip:
        """Reads the clip, in a worker process.

        Raises:
            MediaError: if it is damaged, or holds neither sound nor pictures.
        """
        raise NotImplementedError

    def read(self, root: str, offset_bytes: int, num_bytes: int) -> bytes:
        """A stretch of the shard; fewer bytes where the shard ends within it."""
        with open_local_file(self.shard_path, root=root, max_bytes=_ANY_SIZE) as file:
            file.seek(offset_bytes)
            return file.read(num_bytes)

    def fault(self, message: str, reason: str) -> MediaError:
        """An error about this clip."""
        return MediaError(message, path=self.path, stage="read_record", reason=reason)


@dataclass(frozen=True)
class FoundClip:
    """A clip found in a shard, before its labels have indices.

    Attributes:
        entry: `ForeignEntry`, without labels and split.
        label_names, label_numbers: tuples. As the shard gives them.
        media_name: str. Clips of one file stay in one split.
    """

    entry: ForeignEntry
    label_names: tuple[str, ...] = ()
    label_numbers: tuple[int, ...] = ()
    media_name: str = ""
