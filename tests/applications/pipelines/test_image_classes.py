"""ImageNet's classes are the same by their synsets, by their words and by their numbers."""

import pytest

from zorro_keras.applications.pipelines.image_classes import numbered_names, same_classes

SYNSETS = ["n01440764", *(f"n{number:08d}" for number in range(2_000_001, 2_000_999)), "n15075141"]
OTHERS = [f"n{number:08d}" for number in range(1000)]  # as many, and not ImageNet's
WORDS = [f"word {number}, other name {number}" for number in range(1000)]
DATA = [f"{synset} {words}" for synset, words in zip(SYNSETS, WORDS, strict=True)]


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        (["ant", "bee"], ["ant", "bee"], True),
        (["ant", "bee"], ["bee", "ant"], False),
        (["ant", "bee"], ["ant"], False),
        (["ant", "bee"], numbered_names(2), False),
        (numbered_names(2), numbered_names(2), True),
        (DATA[:3], WORDS[:3], True),
        (DATA[:3], WORDS[1:4], False),
        (DATA[:3], SYNSETS[:3], True),
        (DATA[:3], [f"{synset} in other words" for synset in SYNSETS[:3]], True),
        (["n00000001 crane"], ["n00000002 crane"], False),
        (SYNSETS[:3], WORDS[:3], False),
        (DATA[:3], numbered_names(3), False),
        (DATA, WORDS, True),
        (DATA, numbered_names(1000), True),
        (DATA, [f"LABEL_{label}" for label in range(1000)], True),
        (SYNSETS, WORDS, True),
        (OTHERS, numbered_names(1000), False),
        (OTHERS, WORDS, False),
        (WORDS, numbered_names(1000), False),
        (DATA, WORDS[::-1], False),
        (["north"], ["th"], False),
    ],
)
def test_classes_are_compared_by_what_their_names_have_in_common(ours, theirs, same):
    assert same_classes(ours, theirs) is same
    assert same_classes(theirs, ours) is same
