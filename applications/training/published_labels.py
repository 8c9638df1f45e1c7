"""The names of a published classifier's classes: of a file, of its `config.json`, or made up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zorro_keras.applications.pipelines.faults import CheckpointError, ConfigError
from zorro_keras.applications.pipelines.image_classes import numbered_names


def published_labels(
    num_classes: int, config: Mapping[str, Any], file: Path | None = None
) -> tuple[tuple[str, ...], str]:
    """Returns the K names in the order of the logits, and where they come from.

    Two classes may have one name, as two of ImageNet's are cranes.

    Args:
        num_classes: int >= 1. K.
        config: the `config.json` of Hugging Face's weights, whose `id2label` is looked at; or empty.
        file: optional path. A name on each line, before anything that `config` says.

    Raises:
        ConfigError: if the file cannot be read, or has an empty line or another number of names.
        CheckpointError: if `id2label` does not name each class.
    """
    if file is not None:
        return _lines(file, num_classes), str(file)
    if "id2label" in config:
        return _id2label(config["id2label"], num_classes), "config.json"
    return numbered_names(num_classes), "their numbers"


def _lines(file: Path, num_classes: int) -> tuple[str, ...]:
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _refused(f"The file of names cannot be read: {error.strerror}.", file) from error
    except UnicodeDecodeError as error:
        raise _refused("The file of names is not UTF-8.", file) from error
    names = tuple(line.strip() for line in text.rstrip().split("\n"))
    if "" in names:
        raise _refused(f"Line {names.index('') + 1} of the file of names is empty.", file)
    if len(names) != num_classes:
        raise _refused(f"The model has {num_classes} classes. Received: {len(names)} names", file)
    return names


def _id2label(names: Any, num_classes: int) -> tuple[str, ...]:
    labels = [str(label) for label in range(num_classes)]
    named = isinstance(names, dict) and set(names) == set(labels)
    if not named or not all(isinstance(name, str) and name.strip() for name in names.values()):
        raise CheckpointError(
            f"`id2label` of config.json must name the classes 0 to {num_classes - 1}.",
            stage="convert", reason="bad_label", advice="Give the names by --labels FILE, one a line.",
        )  # fmt: skip
    return tuple(names[label] for label in labels)


def _refused(message: str, file: Path) -> ConfigError:
    return ConfigError(
        message, path=file, stage="convert", reason="bad_label",
        advice="Give --labels a file with one name a line, in the order of the model's classes.",
    )  # fmt: skip
