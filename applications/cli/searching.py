"""Commands that search clips by sound or by picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tyro.conf import Positional

from zorro_keras.applications.cli.words import Backend, print_json, progress
from zorro_keras.applications.pipelines.faults import ConfigError


@dataclasses.dataclass(frozen=True)
class Embed:
    """Makes an index of clips that can be searched by sound or by picture."""

    source: Positional[Path]
    """Folder of media files, with class folders or without, what else `prepare` takes, or shards."""
    index: Positional[Path]
    """Folder to write. An earlier index there is replaced."""
    model: Path
    """Folder of a run of audio_visual_pretraining, or of a preset."""
    batch_size: int = 32
    """Clips that are asked together."""
    num_workers: int = 2
    """Processes that decode."""
    max_bad_fraction: float = 1.0
    """Share of bad clips that stops it."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        from zorro_keras.applications.training.task import commands_of

        commands = commands_of(self.model)
        if not hasattr(commands, "embed"):
            raise ConfigError(
                f"`{commands.__name__.split('.')[-2]}` makes no embeddings to search by.",
                path=self.model, stage="command", reason="bad_value",
                advice="Give a model of audio_visual_pretraining.",
            )  # fmt: skip
        settings = dataclasses.asdict(self)
        source, index, _ = (settings.pop(name) for name in ("source", "index", "backend"))
        with progress("clips") as on_progress:
            return print_json(commands.embed(source, index, **settings, on_progress=on_progress))


@dataclasses.dataclass(frozen=True)
class Search:
    """Finds in an index the pictures that go with a sound, or the sounds that go with a picture."""

    index: Positional[Path]
    """Folder that `embed` wrote."""
    audio: Path | None = None
    """File whose sound finds pictures."""
    video: Path | None = None
    """File whose picture finds sounds. With --audio, both together find clips like them."""
    top: int = 10
    """Hits to show."""
    out: Path | None = None
    """Folder for the hits as HTML and JSON. By default named after the file asked."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        from zorro_keras.applications.training.task import task_module

        search = task_module("audio_visual_pretraining", "commands").search
        return search(self.index, audio=self.audio, video=self.video, top=self.top, out=self.out)
