"""Labels of ImageNet's validation pictures, in the forms in which people keep them."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence

from zorro_keras.applications.pipelines.faults import ConfigError, SourceError

SYNSET = re.compile(r"n\d{8}")
# In order of trust. The numbers of the development kit are in an order of their own, which meta.mat tells.
_SOLUTION = "LOC_val_solution.csv"
_SYNSETS = "imagenet_2012_validation_synset_labels.txt"
_PAIRS = ("val.txt", "val_labels.txt", "val_map.txt", "val_annotations.txt")
_NUMBERS = "ILSVRC2012_validation_ground_truth.txt"
_FOLDERS = ("", "val", "data", "devkit/data", "ILSVRC2012_devkit_t12/data")


def validation_labels(
    roots: Sequence[str], file_names: Sequence[str], synsets: Sequence[str]
) -> dict[str, str]:
    """Finds what each picture of a flat validation folder or tar shows.

    Looks for `LOC_val_solution.csv` (Kaggle: picture, then synset and box),
    `imagenet_2012_validation_synset_labels.txt` (a synset per line, in order of the names), `val.txt` (name,
    then synset or its index among the sorted synsets) and `ILSVRC2012_validation_ground_truth.txt` (the
    development kit's numbers, read with `meta.mat` beside it).

    Args:
        roots: folders to look in.
        file_names: names of the pictures.
        synsets: all classes, sorted.

    Returns:
        dict of file name to synset.

    Raises:
        SourceError: `missing_file` if no list is found; `bad_label` if it says nothing, or nonsense, about a
            picture.
    """
    names = sorted(file_names)
    path, read = _find(roots)
    with open(path, encoding="utf-8-sig", newline="") as file:
        labels = read(path, file.read().splitlines(), names, synsets)
    known = set(synsets)
    wrong = [name for name in names if labels.get(name) not in known]
    if wrong:
        shown = ", ".join(f"{name}: {labels.get(name)}" for name in wrong[:5])
        raise SourceError(
            f"{len(wrong)} of {len(names)} validation pictures have no known synset. The first: {shown}.",
            path=path, stage="read_source", reason="bad_label",
        )  # fmt: skip
    return {name: labels[name] for name in names}


def _find(roots: Sequence[str]):
    readers = [(_SOLUTION, _read_solution), (_SYNSETS, _read_in_order)]
    readers += [(name, _read_pairs) for name in _PAIRS] + [(_NUMBERS, _read_numbers)]
    for name, read in readers:
        for root in roots:
            for folder in _FOLDERS:
                path = os.path.join(root, folder, name)
                if os.path.isfile(path):
                    return path, read
    wanted = ", ".join(name for name, _ in readers)
    raise SourceError(
        f"The validation pictures lie in one folder, and no list says what they show. Looked for: {wanted}.",
        path=roots[0], stage="read_source", reason="missing_file",
        advice="Put one of these files beside the pictures, or sort the pictures into synset folders.",
    )  # fmt: skip


def _read_solution(path: str, lines: list[str], names: list[str], synsets: Sequence[str]) -> dict[str, str]:
    rows = {row[0]: row[1].split()[0] for row in csv.reader(lines[1:]) if len(row) > 1 and row[1].strip()}
    return {name: rows.get(os.path.splitext(name)[0]) for name in names}


def _read_in_order(path: str, lines: list[str], names: list[str], synsets: Sequence[str]) -> dict[str, str]:
    found = [line.strip() for line in lines if line.strip()]
    _check_count(path, found, names)
    return dict(zip(names, found, strict=True))


def _read_pairs(path: str, lines: list[str], names: list[str], synsets: Sequence[str]) -> dict[str, str]:
    labels = {}
    for line in lines:
        words = line.replace(",", " ").split()
        if len(words) < 2:
            continue
        label = words[1]
        if label.isdecimal() and int(label) < len(synsets):
            label = synsets[int(label)]
        labels[os.path.basename(words[0])] = label
    return labels


def _read_numbers(path: str, lines: list[str], names: list[str], synsets: Sequence[str]) -> dict[str, str]:
    numbers = [line.strip() for line in lines if line.strip()]
    _check_count(path, numbers, names)
    by_number = _synsets_by_number(os.path.join(os.path.dirname(path), "meta.mat"))
    return {name: by_number.get(number) for name, number in zip(names, numbers, strict=True)}


def _synsets_by_number(path: str) -> dict[str, str]:
    """The synset of each of the development kit's numbers, which are not in the order of the synsets."""
    if not os.path.isfile(path):
        raise SourceError(
            f"{_NUMBERS} numbers the classes in an order that only meta.mat tells, and it is not there.",
            path=path, stage="read_source", reason="missing_file",
            advice=f"Put the development kit's meta.mat beside it, or {_SYNSETS}.",
        )  # fmt: skip
    try:
        from scipy.io import loadmat
    except ImportError:
        raise ConfigError(
            "Reading meta.mat needs scipy.",
            path=path, stage="read_source", reason="missing_dependency",
            advice=f"pip install scipy, or supply {_SYNSETS} instead.",
        ) from None  # fmt: skip
    rows = loadmat(path, squeeze_me=True, struct_as_record=True)["synsets"]
    return {str(int(row["ILSVRC2012_ID"])): str(row["WNID"]) for row in rows}


def _check_count(path: str, labels: list[str], names: list[str]) -> None:
    if len(labels) != len(names):
        raise SourceError(
            f"The list says what {len(labels)} pictures show, but there are {len(names)}: it goes by their "
            "order, so none can be missing.",
            path=path, stage="read_source", reason="bad_label",
        )  # fmt: skip
