"""Lists of labelled pictures: ImageNet in any of its forms, class folders, or a CSV. Checked before use."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.image_classes import same_class, same_classes
from zorro_keras.applications.pipelines.image_ground_truth import SYNSET
from zorro_keras.applications.pipelines.image_header import IMAGE_SUFFIXES, is_picture
from zorro_keras.applications.pipelines.image_imagenet import ImageNet, read_imagenet
from zorro_keras.applications.pipelines.sources import read_source


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One picture of a source.

    Attributes:
        id: str. Unique in the source: where it lies, relative to the root.
        path: str. The file, or the tar it lies in.
        label_index: int, into the source's `label_names`.
        split: str. "train", "val" or "test".
        num_bytes: int.
        offset: optional int. Where its bytes start in the tar; None for a file of its own.
    """

    id: str
    path: str
    label_index: int
    split: str
    num_bytes: int
    offset: int | None = None


@dataclass(frozen=True)
class ImageSource:
    """A checked list of pictures.

    Attributes:
        entries: tuple of `ImageEntry`, in order of their ids.
        label_names: tuple of str: sorted, unless the caller gave them.
        root: str. Folder that holds all files.
        ignored: tuple of str. Files beside the pictures: none by their suffix or by what they begin with.
    """

    entries: tuple[ImageEntry, ...]
    label_names: tuple[str, ...]
    root: str
    ignored: tuple[str, ...] = ()

    def split(self, name: str) -> tuple[ImageEntry, ...]:
        """The pictures of a split.

        Raises:
            SourceError: if there are none.
        """
        entries = tuple(entry for entry in self.entries if entry.split == name)
        if not entries:
            filled = sorted({entry.split for entry in self.entries})
            raise SourceError(
                f"`split` must be one that holds pictures: {filled}. Received: split={name!r}",
                path=self.root, stage="open", reason="empty_source",
                advice="Put pictures to learn from under `train/` and others to measure on under `val/`, or "
                "give folders of classes with two pictures or more each, of which `data.test_fraction`, if "
                "it is not 0, is held out.",
            )  # fmt: skip
        return entries

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over names, ids, labels, splits and sizes: the same data, wherever they lie."""
        digest = hashlib.sha256(json.dumps(self.label_names).encode())
        for entry in self.entries:
            digest.update(json.dumps([entry.id, entry.label_index, entry.split, entry.num_bytes]).encode())
        return digest.hexdigest()


def read_image_source(
    path: str | os.PathLike,
    *,
    label_names: Sequence[str] | None = None,
    test_fraction: float = 0.1,
    seed: int = 0,
) -> ImageSource:
    """Reads and checks a list of pictures.

    Args:
        path: str or path. ImageNet (extracted, Kaggle's layout, or the folder of the two tars); a folder of
            class folders, which may stand under `train`, `val` and `test`; or a CSV with the columns `path`,
            `label` and optionally `split`.
        label_names: optional sequence of str. The classes of a model, in its order. Classes of ImageNet are
            compared by their synsets; with those of a model that does not name them as `same_classes` does.
        test_fraction: float in [0, 1). Share of each class put into the split "test" where the source names
            no splits.
        seed: int. Chooses that share.

    Raises:
        SourceError: if the source cannot be read, is empty, or has bad rows, all of which are named; or if
            the classes of ImageNet are not the model's.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        synsets = [name.split(" ")[0] for name in label_names or ()]
        imagenet = read_imagenet(path, synsets if all(map(SYNSET.fullmatch, synsets)) else ())
        if imagenet is not None:
            return _of_imagenet(path, imagenet, label_names)
    source = read_source(
        path,
        label_names=label_names,
        test_fraction=test_fraction,
        seed=seed,
        suffixes=IMAGE_SUFFIXES,
        is_clip=is_picture,
    )
    wrong = next((entry for entry in source.entries if len(entry.label_indices) != 1), None)
    if wrong is not None:
        raise SourceError(
            "Each picture must have exactly one label.",
            path=wrong.path, row=wrong.id, stage="read_source", reason="bad_label",
        )  # fmt: skip
    entries = (
        ImageEntry(entry.id, entry.path, entry.label_indices[0], entry.split, entry.num_bytes)
        for entry in source.entries
    )
    return ImageSource(tuple(entries), source.label_names, source.root, source.ignored)


def _of_imagenet(path: str, imagenet: ImageNet, label_names: Sequence[str] | None) -> ImageSource:
    if not imagenet.pictures:
        raise SourceError(
            "The source holds no pictures.", path=path, stage="read_source", reason="empty_source"
        )
    indices = {synset: index for index, synset in enumerate(imagenet.synsets)}
    entries = (
        ImageEntry(
            picture.id,
            picture.path,
            indices[picture.synset],
            picture.split,
            picture.num_bytes,
            picture.offset,
        )
        for picture in imagenet.pictures
    )
    # Two synsets may share their words (crane, maillot), so the synset stays part of the name.
    names = [f"{synset} {imagenet.words.get(synset, '')}".strip() for synset in imagenet.synsets]
    if label_names and not same_classes(names, label_names):
        raise SourceError(
            f"The {len(names)} classes of the data are not the model's {len(label_names)}. "
            f"{_first_difference(names, label_names)}",
            path=path, stage="read_source", reason="bad_label",
            advice="Both must be in one order. Where the data have no words for their synsets, put "
            "LOC_synset_mapping.txt or synset_words.txt beside them.",
        )  # fmt: skip
    return ImageSource(
        entries=tuple(sorted(entries, key=lambda entry: entry.id)),
        label_names=tuple(label_names or names),
        root=os.path.realpath(path),
        ignored=imagenet.ignored,
    )


def _first_difference(names: Sequence[str], label_names: Sequence[str]) -> str:
    for index, (name, label_name) in enumerate(zip(names, label_names, strict=False)):
        if not same_class(name, label_name):
            return f"Class {index} is {name!r} of the data, {label_name!r} of the model."
    return "One goes on where the other ends."
