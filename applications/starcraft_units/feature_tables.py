"""What the columns of `units` hold: the tables that have a name, and those in files."""

from __future__ import annotations

import json
from pathlib import Path

from zorro_keras.applications.pipelines.battle_generated import BATTLE_FEATURES
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.models import PYSC2_FEATURES
from zorro_keras.streams import Entities, EntityFeature

TABLES = {"pysc2": PYSC2_FEATURES, "battle": BATTLE_FEATURES}


def feature_table(name: str) -> tuple[EntityFeature, ...]:
    """Returns the features of a table.

    Args:
        name: key of `TABLES`, or path of a JSON file: a list of objects with the arguments of
            `EntityFeature`.

    Raises:
        ConfigError: if there is no such table, or the file holds something else.
    """
    if name in TABLES:
        return TABLES[name]
    try:
        rows = json.loads(Path(name).read_text(encoding="utf-8"))
        return Entities(1, tuple(EntityFeature(**row) for row in rows)).features
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"`data.features` must be one of {list(TABLES)}, or a JSON file of features. {error}. "
            f"Received: {name!r}",
            stage="config", reason="bad_value", advice="See the README of starcraft_units.",
        ) from error  # fmt: skip
