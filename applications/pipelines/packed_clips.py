"""Generated clips, packed: the small data set that tasks of sound and picture make for themselves."""

from __future__ import annotations

from pathlib import Path

from zorro_keras.applications.pipelines.generated_clips import generate_clips
from zorro_keras.applications.pipelines.prepare import prepare

# The clips are small and tiny models see few frames a second: more would only be decoded for nothing.
PACKING = {"frame_rate_hz": 12.5, "shorter_side_px": 48}


def pack_generated_clips(out: str | Path, *, count: int, test_count: int, **packing: float) -> Path:
    """Generates clips beside `out`, in `clips/`, and packs them into shards in `out`.

    Args:
        out: str or path. Folder; what an interrupted call has left there is finished.
        count, test_count: ints. Clips to train on, and to test on.
        **packing: settings of `prepare` that differ from `PACKING`.

    Returns:
        `out` as a path.
    """
    out = Path(out)
    clips = out.with_name("clips")
    generate_clips(str(clips), count=count, test_count=test_count)
    prepare(clips / "clips.csv", out, on_error="raise", **{**PACKING, **packing})
    return out
