"""The clips in tars as WebDataset and video2dataset write them: files in a row that share a key are one clip.

The key is the path up to the first dot of the file's name, what follows is the suffix. Media are told by the
last part of the suffix; labels are in `.cls` or `.json`. A `.txt` is a caption, as video2dataset writes it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.foreign_entry import EmbeddedClip, ForeignEntry, FoundClip
from zorro_keras.applications.pipelines.image_tars import TarMember, walk_tar
from zorro_keras.applications.pipelines.media_bytes import MediaBytes
from zorro_keras.applications.pipelines.media_open import DEFAULT_LIMITS

VIDEO_SUFFIXES = ("mp4", "mkv", "webm", "mov", "avi", "m4v")
SOUND_SUFFIXES = ("flac", "wav", "mp3", "ogg", "m4a")
LABEL_KEYS = ("label", "labels", "class", "classes", "category", "tags")  # of a `.json`, the first one found
MAX_LABEL_BYTES = 1 << 20
MAX_MEDIA_BYTES = 1 << 30  # a worker holds them in memory
_CODES = re.compile(r"(\d+|/\w+/\w+)(\s*[,;]\s*(\d+|/\w+/\w+))*")


@dataclass(frozen=True)
class SampleEntry(ForeignEntry):
    """A clip that is some files of a tar.

    Attributes:
        video, audio: optional `TarMember`. Without `audio` the sound is looked for in `video`.
        problem: (message, reason) of what is wrong with the tar from here on; empty for a clip.
    """

    video: TarMember | None = None
    audio: TarMember | None = None
    problem: tuple[str, str] | tuple[()] = ()

    def load(self, root: str) -> EmbeddedClip:
        if self.problem:
            raise self.fault(*self.problem)
        video = self._file(root, self.video) or self._file(root, self.audio)
        audio = video if self.audio is None or self.video is None else self._file(root, self.audio)
        if video is None:
            raise self.fault("The clip has neither a video nor a sound file.", "no_streams")
        return EmbeddedClip(video, audio, _printable(_key_of((self.video or self.audio).name)[0]))

    def _file(self, root: str, member: TarMember | None) -> MediaBytes | None:
        if member is None:
            return None
        if member.num_bytes > min(MAX_MEDIA_BYTES, DEFAULT_LIMITS.max_file_bytes):
            raise self.fault(f"{member.name} has {member.num_bytes} bytes, too many for a clip.", "too_large")
        data = self.read(root, member.offset, member.num_bytes)
        if len(data) < member.num_bytes:
            raise self.fault(f"The tar ends within {member.name}.", "truncated")
        return MediaBytes(f"{self.path} ({member.name})", data)


def find_samples(shards: Sequence[str], root: str) -> tuple[str, list[FoundClip]]:
    """Finds the clips of tars.

    Args:
        shards: paths.
        root: str. Folder that holds them.

    Returns:
        ("WebDataset", clips). A tar that was cut ends with one that stands for what is lost.

    Raises:
        SourceError: if no file of any tar is a video or sound.
    """
    found, seen = [], []
    for shard in shards:
        name = os.path.relpath(shard, root).replace(os.sep, "/")
        for position, sample in enumerate(_samples(shard)):
            place = f"{name}#{position}"
            if isinstance(sample, SourceError):
                problem = (sample.message, sample.reason)
                lost = SampleEntry(place, place, (), None, None, "", 0, shard, problem=problem)
                found.append(FoundClip(lost))
                continue
            seen.extend(sample.values() if len(seen) < 12 else ())
            found.append(_found(place, shard, sample))
    if not any(clip.entry.video or clip.entry.audio for clip in found):
        raise SourceError(
            f"The tars must hold files that end in one of {[*VIDEO_SUFFIXES, *SOUND_SUFFIXES]}. "
            f"Received: {[_printable(member.name) for member in seen[:12]]}",
            path=shards[0], stage="read_source", reason="bad_schema",
        )  # fmt: skip
    return "WebDataset", found


def _samples(shard: str) -> Iterator[dict[str, TarMember] | SourceError]:
    """The files of each clip by suffix, and, after the last, what is wrong with the tar."""
    key, sample = None, {}
    for member in _members(shard):
        if isinstance(member, SourceError):
            yield from [sample, member] if sample else [member]
            return
        own_key, suffix = _key_of(member.name)
        if not suffix or os.path.basename(member.name).startswith("."):  # notes of a Mac, and the like
            continue
        if sample and (own_key != key or suffix in sample):
            yield sample
            sample = {}
        key, sample[suffix] = own_key, member
    if sample:
        yield sample


def _members(shard: str) -> Iterator[TarMember | SourceError]:
    try:
        yield from walk_tar(shard)
    except SourceError as error:
        if error.reason == "refused_format":
            raise
        yield error


def _key_of(name: str) -> tuple[str, str]:
    folder, base = os.path.split(name)
    stem, _, suffix = base.partition(".")
    return os.path.join(folder, stem), suffix.lower()


def _found(place: str, shard: str, sample: dict[str, TarMember]) -> FoundClip:
    files = {suffix.rpartition(".")[2]: member for suffix, member in sample.items()}
    video = next((files[suffix] for suffix in VIDEO_SUFFIXES if suffix in files), None)
    audio = next((files[suffix] for suffix in SOUND_SUFFIXES if suffix in files), None)
    num_bytes = sum(member.num_bytes for member in (video, audio) if member is not None)
    entry = SampleEntry(place, place, (), None, None, "", num_bytes, shard, video, audio)
    labels = _labels(shard, files)
    return FoundClip(
        entry,
        label_names=tuple(label for label in labels if isinstance(label, str)),
        label_numbers=tuple(label for label in labels if not isinstance(label, str)),
        media_name=_printable(_key_of(next(iter(sample.values())).name)[0]),
    )


def _labels(shard: str, files: dict[str, TarMember]) -> list[str | int]:
    """The labels of a clip; none where they are missing or unreadable."""
    if "cls" in files:
        text = _text(shard, files["cls"])
        # Names have commas, such as VGGSound's "playing violin, fiddle"; numbers and AudioSet's ids do not.
        return _of_text(text.replace(",", ";") if _CODES.fullmatch(text.strip()) else text)
    if "json" not in files:
        return []
    try:
        described = json.loads(_text(shard, files["json"]))
    except (ValueError, RecursionError):
        return []
    if not isinstance(described, dict):
        return []
    value = next((described[name] for name in LABEL_KEYS if name in described), [])
    return [label for part in (value if isinstance(value, list) else [value]) for label in _of_value(part)]


def _of_value(value: Any) -> list[str | int]:
    if isinstance(value, str):
        return _of_text(value)
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


def _of_text(text: str) -> list[str | int]:
    labels = [_printable(label.strip()) for label in text.split(";")]
    return [int(label) if label.isdecimal() and len(label) < 7 else label for label in labels if label]


def _printable(text: str) -> str:
    """`text` as UTF-8 can hold it: names in a tar, and escapes in JSON, may be anything."""
    return text.encode("utf-8", "backslashreplace").decode()


def _text(shard: str, member: TarMember) -> str:
    if member.num_bytes > MAX_LABEL_BYTES:
        return ""
    with open(shard, "rb") as file:
        file.seek(member.offset)
        return file.read(member.num_bytes).decode("utf-8-sig", "replace")
