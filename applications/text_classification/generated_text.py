"""Sentences of our own making, in GLUE's folders, whose labels hang on the order of the words.

Acceptability: whoever ignores the order is right half of the time. Sentiment: seven times in eight, since
some sentences are simple, so that a small model finds a way in.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from pathlib import Path

Example = tuple[tuple[str, ...], int]

COUNTS = {"train": 2000, "dev": 400, "test": 100}
COLOURS = ("red", "blue", "old", "big", "wet", "tall")
NOUNS = ("dog", "cat", "boy", "girl", "bird", "cook", "king", "nurse")
VERBS = ("runs", "sings", "sleeps", "jumps", "eats", "talks")
PLACES = ("near", "behind", "beside", "above")
SUBJECTS = ("plot", "film", "song", "cast", "end", "book", "play", "joke")
GOOD = ("good", "warm", "fun", "fine")
BAD = ("bad", "dull", "cold", "slow")
AGES = ("old", "new", "long", "short", "last", "first")
VOICES = ("i say", "we think", "they say", "you know", "he feels", "she told me")


def acceptability(draw: random.Random) -> Example:
    """A sentence, 1, or one in which two neighbouring words changed places, 0."""
    subject, other = draw.sample(NOUNS, 2)
    words = ["the", draw.choice(COLOURS), subject, draw.choice(VERBS), draw.choice(PLACES), "the", other]
    label = draw.random() < 0.5
    if not label:
        place = draw.randrange(len(words) - 1)
        words[place : place + 2] = words[place : place + 2][::-1]
    return (" ".join(words),), int(label)


def sentiment(draw: random.Random) -> Example:
    """A judgement of one thing, 1 if it is a good one: said plainly, by a denial, or both in either order."""
    label = draw.random() < 0.5
    held, denied = (draw.choice(GOOD), draw.choice(BAD))[:: 1 if label else -1]
    denied = f"not {denied}"
    both = " and ".join((held, denied)[:: draw.choice((1, -1))])
    said = draw.choice((held, held, denied, both))
    subject, voice = f"the {draw.choice(AGES)} {draw.choice(SUBJECTS)}", draw.choice(VOICES)
    return (f"{said} , {subject} , {voice}",), int(label)


# Task -> its grammar, the header of its labelled files, and a row of them.
_TASKS: dict[str, tuple[Callable[[random.Random], Example], str, Callable[[str, int], str]]] = {
    "CoLA": (acceptability, "", lambda text, label: f"made\t{label}\t{'' if label else '*'}\t{text}"),
    "SST-2": (sentiment, "sentence\tlabel", lambda text, label: f"{text}\t{label}"),
}


def write_generated_glue(out: str | Path) -> Path:
    """Writes two small tasks in the folders and columns of CoLA and SST-2.

    Every sentence is drawn once, so that none of `dev.tsv` stands in `train.tsv`. `test.tsv` has no labels.
    The same bytes are written each time.

    Args:
        out: folder to write into.

    Returns:
        The folder.
    """
    out = Path(out)
    for task, (grammar, header, row) in _TASKS.items():
        folder = out / task
        folder.mkdir(parents=True, exist_ok=True)
        examples = _drawn(grammar, sum(COUNTS.values()), seed=zlib.crc32(task.encode()))
        for split, count in COUNTS.items():
            part, examples = examples[:count], examples[count:]
            if split == "test":
                lines = ["index\tsentence", *(f"{index}\t{text}" for index, ((text,), _) in enumerate(part))]
            else:
                lines = [header] if header else []
                lines += [row(text, label) for (text,), label in part]
            (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return out


def _drawn(grammar: Callable[[random.Random], Example], count: int, seed: int) -> list[Example]:
    """`count` examples that all differ in their texts."""
    draw, found = random.Random(seed), {}
    while len(found) < count:
        texts, label = grammar(draw)
        found[texts] = label
    return list(found.items())
