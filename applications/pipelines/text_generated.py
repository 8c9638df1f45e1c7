"""English sentences made from word lists: small, grammatical, and such that a hidden word can be guessed.

Every sentence says something twice: a number and the ending of a noun and its verb, a trade and its tools, a
day and the next. So a model that reads the rest of a sentence knows most of a word hidden in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

# name, possessive, pronoun
_PEOPLE = (
    ("Anna", "her", "she"), ("Maria", "her", "she"), ("Peter", "his", "he"), ("Martin", "his", "he"),
)  # fmt: skip
# person, verb, object, place
_TRADES = (
    ("baker", "bakes", "bread", "bakery"),
    ("farmer", "grows", "wheat", "field"),
    ("teacher", "explains", "grammar", "school"),
    ("captain", "steers", "ships", "harbour"),
    ("painter", "paints", "portraits", "studio"),
    ("writer", "writes", "novels", "library"),
)
# animal, verb of one, verb of several, where
_ANIMALS = (
    ("dog", "barks", "bark", "in the yard"),
    ("cow", "grazes", "graze", "on the meadow"),
    ("duck", "swims", "swim", "in the pond"),
    ("eagle", "flies", "fly", "above the mountain"),
    ("horse", "gallops", "gallop", "along the river"),
)
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# thing, quality, other thing, opposite
_OPPOSITES = (
    ("fire", "hot", "ice", "cold"),
    ("lead", "heavy", "a feather", "light"),
    ("day", "bright", "night", "dark"),
    ("honey", "sweet", "a lemon", "sour"),
    ("stone", "hard", "wool", "soft"),
)


def generated_texts(count: int, seed: int = 0) -> list[str]:
    """Returns sentences of at most 64 letters, the same for the same arguments on every machine.

    Args:
        count: int >= 1. Sentences; 370 different ones can be made.
        seed: int. Another seed gives other sentences of the same kinds.
    """
    chance = random.Random(seed)
    return [chance.choice(_SENTENCES)(chance) for _ in range(count)]


def write_generated_texts(path: Path, count: int = 8000, seed: int = 0) -> Path:
    """Writes generated texts as a plain text file, a blank line between two. Returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(generated_texts(count, seed)) + "\n", encoding="utf-8")
    return path


def _trade(chance: random.Random) -> str:
    (name, possessive, _), (person, verb, thing, place) = chance.choice(_PEOPLE), chance.choice(_TRADES)
    return f"On {chance.choice(_DAYS)} {name} the {person} {verb} {thing} in {possessive} {place}."


def _reason(chance: random.Random) -> str:
    (name, _, pronoun), (person, verb, thing, place) = chance.choice(_PEOPLE), chance.choice(_TRADES)
    return f"{name} is a {person}, so {pronoun} {verb} {thing} in the {place}."


def _animals(chance: random.Random) -> str:
    number, (animal, one, several, where) = chance.randrange(10), chance.choice(_ANIMALS)
    animal, verb = (animal, one) if number == 0 else (f"{animal}s", several)
    return f"{_NUMBERS[number].capitalize()} {animal} {verb} {where}."


def _sum(chance: random.Random) -> str:
    first, second = chance.randrange(2, 6), chance.randrange(2, 6)
    one, two, total = (_NUMBERS[number - 1] for number in (first, second, first + second))
    animal = chance.choice(_ANIMALS)[0]
    return f"{one.capitalize()} {animal}s and {two} {animal}s are {total} {animal}s."


def _days(chance: random.Random) -> str:
    day, (name, _, _) = chance.randrange(7), chance.choice(_PEOPLE)
    return f"Today is {_DAYS[day]}, so {name} will rest on {_DAYS[(day + 1) % 7]}."


def _opposites(chance: random.Random) -> str:
    (name, _, _), (thing, quality, other, opposite) = chance.choice(_PEOPLE), chance.choice(_OPPOSITES)
    return f"{name} says that {thing} is {quality} and that {other} is {opposite}."


_SENTENCES: tuple[Callable[[random.Random], str], ...] = (
    _trade, _reason, _animals, _sum, _days, _opposites,
)  # fmt: skip
