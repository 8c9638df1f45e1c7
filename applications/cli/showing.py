"""Commands that show what works here, and what the models learn."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tyro.conf import Positional

from zorro_keras.applications.cli.words import Backend, require


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Says what is installed, what works, and what to do about the rest."""

    backend: Backend | None = None
    """Backend to look at."""

    def run(self) -> int:
        from zorro_keras.applications.doctor import doctor

        return doctor()


@dataclasses.dataclass(frozen=True)
class Demo:
    """Makes clips, trains, evaluates, exports and serves, and prints the result beside the known ceilings."""

    out: Positional[Path] = Path("runs/demo")
    """Folder for everything."""
    quick: bool = False
    """A few clips and steps: shows that everything runs, not how well."""
    seed: int = 0
    """Decides clips, weights and order."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        require(self, seed=(self.seed >= 0, "at least 0"))
        from zorro_keras.applications.demo import demo

        demo(out=self.out, quick=self.quick, seed=self.seed)
        return 0


@dataclasses.dataclass(frozen=True)
class Reproduce:
    """Trains small models for each claim of the Zorro paper, and reports what holds and how surely."""

    out: Positional[Path] = Path("runs/reproduce")
    """Folder for everything; what it holds is not run again."""
    quick: bool = False
    """A few clips and steps: shows that everything runs, not what holds."""
    seeds: int = 2
    """Seeds of each experiment."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        from zorro_keras.applications.reproduce.command import reproduce

        reproduce(out=self.out, quick=self.quick, num_seeds=self.seeds)
        return 0
