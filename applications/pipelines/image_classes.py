"""Whether two lists of names are of the same classes of pictures: ImageNet's go by several names."""

from __future__ import annotations

import re
from collections.abc import Sequence

_IMAGENET = (1000, "n01440764", "n15075141")  # how many classes, the first and the last
# A synset, words, or both: `n01440764 tench, Tinca tinca`. A class without a name goes by its number.
_NAME = re.compile(r"(?P<synset>n\d{8}(?:\s+|$))?(?P<words>.*)")
_NUMBERED = re.compile(r"class_\d{4}|LABEL_\d+")  # ours, and Hugging Face's


def numbered_names(num_classes: int) -> tuple[str, ...]:
    """Returns names that stand for none: `class_0000` and so on."""
    return tuple(f"class_{label:04d}" for label in range(num_classes))


def same_classes(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Returns whether two lists name the same classes in the same order.

    Names of ImageNet are compared by their synsets where both have one, else by their words: data say
    `n01440764 tench, Tinca tinca`, published weights `tench, Tinca tinca`. Where one of them has no words
    either, as `class_0000` or `n01440764`, its place tells, if it is one of ImageNet's thousand.

    Args:
        ours, theirs: sequences of str.
    """
    if len(ours) != len(theirs):
        return False
    is_imagenet = _IMAGENET in (_ends(ours), _ends(theirs))
    return all(same_class(*pair, place_tells=is_imagenet) for pair in zip(ours, theirs, strict=True))


def _ends(names: Sequence[str]) -> tuple[int, str, str] | None:
    return (len(names), _parts(names[0])[0], _parts(names[-1])[0]) if names else None


def same_class(one: str, other: str, *, place_tells: bool = False) -> bool:
    """Returns whether two names are of one class; `place_tells` where a name without words counts as any."""
    (synset, words), (other_synset, other_words) = _parts(one), _parts(other)
    if one == other or (synset and other_synset):
        return one == other or synset == other_synset
    if not (synset or other_synset):
        return False
    return words == other_words if words and other_words else place_tells


def _parts(name: str) -> tuple[str, str]:
    """The synset and the words of a name; empty where it has none."""
    match = _NAME.fullmatch(name.strip())
    words = "" if match is None or _NUMBERED.fullmatch(match["words"]) else match["words"]
    return (match["synset"] or "").strip() if match else "", words
