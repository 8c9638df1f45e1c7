"""Files that are one clip together: sound and pictures in folders beside each other, pictures one by one."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from zorro_keras.applications.pipelines.clip_listing import walk_files

SOUND_FOLDERS = ("audio", "audios", "flac", "sound", "wav", "wavs")
PICTURE_FOLDERS = ("mp4", "video", "videos")
PICTURE_SUFFIXES = (".jpeg", ".jpg", ".png")
_FRAME_FOLDER = re.compile(r"frame_?(\d+)", re.ASCII)
_SOUND_SUFFIXES = (".flac", ".m4a", ".mp3", ".ogg", ".wav")


def sounds_of(paths: Iterable[str]) -> dict[str, str]:
    """The sound of each film, for films in a folder `video` and sounds in a folder `audio` beside it.

    Files belong together where their paths are the same but for that folder and the suffix: `audio/dog/1.wav`
    and `video/dog/1.mp4`, or `train/audio/1.flac` and `train/video/1.mp4`. A film without such a sound keeps
    its own.

    Args:
        paths: relative to the root.
    """
    films, sounds = {}, {}
    for path in paths:
        is_sound = path.lower().endswith(_SOUND_SUFFIXES)
        for key in _keys(path, SOUND_FOLDERS if is_sound else PICTURE_FOLDERS):
            (sounds if is_sound else films).setdefault(key, path)
    return {film: sounds[key] for key, film in films.items() if key in sounds}


def folders_of_kinds(sounds: Mapping[str, str]) -> set[str]:
    """The folders that say of each file of a pair which of them it is, such as `train/audio`."""
    kinds = set()
    for pair in sounds.items():
        parts = [path.split(os.sep) for path in pair]
        place = next(place for place, (one, other) in enumerate(zip(*parts, strict=True)) if one != other)
        kinds |= {os.sep.join(part[: place + 1]) for part in parts}
    return kinds


def without_kind(path: str, kinds: Collection[str]) -> str:
    """A path without the folder out of `folders_of_kinds` that it lies in, if it does."""
    parts = path.split(os.sep)
    for place in range(len(parts) - 1):
        if os.sep.join(parts[: place + 1]) in kinds:
            return os.sep.join([*parts[:place], *parts[place + 1 :]])
    return path


def pictures_of(root: str, ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The pictures of each clip, in order, by id: `frame_0/ID.jpg` as CAV-MAE has them, or `ID/0001.jpg`.

    Args:
        root: str. Folder of all files.
        ids: of the clips.

    Returns:
        Dict of id to paths relative to the root.
    """
    found = defaultdict(list)
    for where, names in walk_files(root):
        folder = os.path.basename(where)
        frame = _FRAME_FOLDER.fullmatch(folder)
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() not in PICTURE_SUFFIXES:
                continue
            path = os.path.normpath(os.path.join(where, name))
            if frame and stem in ids:
                found[stem].append((int(frame[1]), path))
            elif folder in ids:
                found[folder].append((_number_of(stem), path))
    return {clip_id: tuple(path for _, path in sorted(pictures)) for clip_id, pictures in found.items()}


def _keys(path: str, kinds: tuple[str, ...]) -> Iterable[str]:
    """What the two files of a pair have in common, for each folder that may be the one they differ in."""
    *folders, name = path.split(os.sep)
    stem = os.path.splitext(name)[0]
    for place, folder in enumerate(folders):
        if folder.lower() in kinds:
            yield os.sep.join([*folders[:place], "", *folders[place + 1 :], stem])


def _number_of(stem: str) -> int:
    """The last number in the name of a picture; all alike without one, so that names decide."""
    numbers = re.findall(r"\d+", stem)
    return int(numbers[-1]) if numbers else 0
