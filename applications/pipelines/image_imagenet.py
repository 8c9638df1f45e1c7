"""ImageNet as people have it: extracted folders, Kaggle's layout, or the two tars as downloaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.image_ground_truth import SYNSET, validation_labels
from zorro_keras.applications.pipelines.image_header import IMAGE_SUFFIXES, is_picture
from zorro_keras.applications.pipelines.image_tars import index_tar
from zorro_keras.applications.pipelines.source_rows import SPLITS, RowChecker, SourceRow, raise_problems

TRAIN_TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
_CLS_LOC = (("ILSVRC", "Data", "CLS-LOC"), ("Data", "CLS-LOC"), ("CLS-LOC",))
_WORDS = ("LOC_synset_mapping.txt", "synset_words.txt")


@dataclass(frozen=True)
class Picture:
    """A labelled picture, before its class has an index.

    Attributes:
        id: str. Unique: where it lies, relative to the root.
        path: str. The file, or the tar.
        synset: str. Such as n01440764.
        split: str. "train", "val" or "test".
        offset: optional int. Where its bytes start in the tar; None for a file of its own.
        num_bytes: int.
    """

    id: str
    path: str
    synset: str
    split: str
    offset: int | None
    num_bytes: int


@dataclass(frozen=True)
class ImageNet:
    """ImageNet's pictures and classes.

    Attributes:
        pictures: tuple of `Picture`.
        synsets: tuple of str, sorted: the order of the published models' classes.
        words: dict of synset to what it means; empty where no file says so.
        ignored: tuple of str. Files beside the pictures.
    """

    pictures: tuple[Picture, ...]
    synsets: tuple[str, ...]
    words: dict[str, str]
    ignored: tuple[str, ...] = ()


def read_imagenet(root: str, known_synsets: Sequence[str] = ()) -> ImageNet | None:
    """Reads the ImageNet at `root`, or returns None if there is none.

    Args:
        root: folder with the two tars, or with Kaggle's `ILSVRC/Data/CLS-LOC`, or with `train` (a folder per
            synset) and `val` (folders, or all pictures and a list of labels).
        known_synsets: the classes of a model, where there is one: then `train` need not be there.

    Raises:
        SourceError: if it is there but cannot be used: tars cut short, labels missing, rows that are bad.
    """
    if any(os.path.isfile(os.path.join(root, name)) for name in (TRAIN_TAR, VAL_TAR)):
        return _from_tars(root, known_synsets)
    folder = _picture_folder(root)
    return None if folder is None else _from_folders(root, folder, known_synsets)


def _picture_folder(root: str) -> str | None:
    """The folder that holds `train` and `val` by synset, if this is ImageNet at all."""
    for parts in (*_CLS_LOC, ()):
        folder = os.path.join(root, *parts)
        for split in ("train", "val"):
            names = _folders(os.path.join(folder, split))
            if names and all(SYNSET.fullmatch(name) for name in names):
                return folder
        if parts and os.path.isdir(os.path.join(folder, "val")):
            return folder
    return None


def _from_folders(root: str, folder: str, known_synsets: Sequence[str]) -> ImageNet:
    where = os.path.relpath(folder, root)
    rows: list[tuple[str, str, str]] = []  # split, synset or "", path below the root
    ignored = []
    for split in SPLITS:
        base = os.path.join(folder, split)
        for synset in ("", *_folders(base)):
            for name in _files(os.path.join(base, synset)):
                path = os.path.join(base, synset, name)
                place = os.path.normpath(os.path.join(where, split, synset, name))
                # Outside of a folder only those of `val` can have labels; the challenge's test has none.
                may_count = synset or split == "val"
                if may_count and (name.lower().endswith(IMAGE_SUFFIXES) or is_picture(path)):
                    rows.append((split, synset, place))
                else:
                    ignored.append(place)
    synsets = _synsets([synset for _, synset, _ in rows if synset], known_synsets, _meanings(root))
    flat = [os.path.basename(place) for split, synset, place in rows if split == "val" and not synset]
    labels = validation_labels([root, folder, os.path.join(folder, "val")], flat, synsets) if flat else {}
    checker = RowChecker(root, synsets)
    checked = checker.check(
        SourceRow(place, place, (synset or labels[os.path.basename(place)],), split=split)
        for split, synset, place in rows
    )
    raise_problems(root, checker.problems)
    pictures = (
        Picture(entry.id, entry.path, synsets[entry.label_indices[0]], entry.split, None, entry.num_bytes)
        for _, entry in checked
    )
    return ImageNet(tuple(pictures), synsets, _meanings(root), tuple(ignored))


def _from_tars(root: str, known_synsets: Sequence[str]) -> ImageNet:
    train, val = (
        [member for member in index_tar(path) if member.name.lower().endswith(IMAGE_SUFFIXES)]
        if os.path.isfile(path := os.path.join(root, name))
        else []
        for name in (TRAIN_TAR, VAL_TAR)
    )
    shown = {member.name: SYNSET.match(os.path.basename(member.name)) for member in train}
    nameless = [name for name, match in shown.items() if match is None]
    if nameless:
        raise SourceError(
            f"{len(nameless)} pictures of the training tar name no synset. The first: {nameless[0]}.",
            path=os.path.join(root, TRAIN_TAR), stage="read_source", reason="bad_label",
        )  # fmt: skip
    synsets = _synsets([match[0] for match in shown.values()], known_synsets, _meanings(root))
    names = [os.path.basename(member.name) for member in val]
    labels = validation_labels([root], names, synsets) if val else {}
    synset_of = {
        "train": lambda name: shown[name][0],
        "val": lambda name: labels[os.path.basename(name)],
    }
    pictures = [
        Picture(
            f"{tar}/{member.name}",
            os.path.join(root, tar),
            synset_of[split](member.name),
            split,
            member.offset,
            member.num_bytes,
        )
        for split, tar, members in (("train", TRAIN_TAR, train), ("val", VAL_TAR, val))
        for member in members
    ]
    return ImageNet(tuple(pictures), synsets, _meanings(root))


def _synsets(found: Sequence[str], known: Sequence[str], words: dict[str, str]) -> tuple[str, ...]:
    """All classes, sorted: those of the model, of the training pictures, or of the list of meanings."""
    return tuple(known) or tuple(sorted(set(found) or set(words)))


def _meanings(root: str) -> dict[str, str]:
    """What the synsets mean, where a file says so."""
    for name in _WORDS:
        path = os.path.join(root, name)
        if os.path.isfile(path):
            with open(path, encoding="utf-8-sig") as file:
                pairs = [line.strip().split(maxsplit=1) for line in file if line.strip()]
            return {pair[0]: pair[-1] for pair in pairs}
    return {}


def _folders(folder: str) -> list[str]:
    return _children(folder, lambda entry: entry.is_dir())


def _files(folder: str) -> list[str]:
    return _children(folder, lambda entry: not entry.is_dir())


def _children(folder: str, wanted) -> list[str]:
    """Names in a folder, sorted, without the hidden ones; empty if there is no such folder."""
    if not os.path.isdir(folder):
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and wanted(entry))
