"""`zorro-keras prepare`, `predict`, `evaluate`, `embed` and `search` for audio-visual pre-training."""

from __future__ import annotations

import json
import os
from typing import Any

from zorro_keras.applications.pipelines.prepare import prepare

__all__ = ["embed", "evaluate", "predict", "prepare", "search"]


def predict(folder: str | os.PathLike[str], source: str | os.PathLike[str]) -> int:
    """Prints how well the sound and the picture of a clip go together, window by window.

    Args:
        folder: of a run, or of a preset.
        source: video file.

    Returns:
        0.

    Raises:
        ZorroError: if the model or the file cannot be used.
    """
    from zorro_keras.applications.audio_visual_pretraining.evaluation import likeness_of_file

    print(json.dumps(likeness_of_file(folder, source), indent=2))
    return 0


def evaluate(
    run_dir: str | os.PathLike[str],
    data_path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Writes how well the test clips of a run find one another, or those of `val` without a test split.

    Args:
        run_dir: folder of the run.
        data_path: shards or a source, as for training. Labels, if there are any, are for the probe.
        out: optional folder. `report/` in the run by default.

    Returns:
        Dict with `html` and `json`, the files written; `num_clips`; and `scores`, see `scores_of`.

    Raises:
        ZorroError: if the run or the data cannot be used.
    """
    from zorro_keras.applications.audio_visual_pretraining.evaluation import evaluate_run

    return evaluate_run(run_dir, data_path, out=out)


def embed(
    source: str | os.PathLike[str],
    index: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str],
    **options: Any,
) -> dict[str, Any]:
    """Embeds every clip of a source into an index: see `embed.embed_source`, whose arguments these are."""
    from zorro_keras.applications.audio_visual_pretraining.embed import embed_source

    return embed_source(source, index, model=model, **options)


def search(index: str | os.PathLike[str], **options: Any) -> int:
    """Prints and writes the clips of an index that go with a sound or a picture.

    Args:
        index: folder that `embed` wrote.
        **options: see `search.search_index`.

    Returns:
        0.
    """
    from zorro_keras.applications.audio_visual_pretraining.search import search_index

    search_index(index, **options)
    return 0
