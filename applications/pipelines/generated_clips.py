"""A data set anyone can have: generated MP4 clips of eight events that need both ears and eyes to be told
apart.

In an exact quarter of the clips the picture says nothing, in an exact quarter the sound says nothing, in a
sixteenth neither does. So the best possible accuracies are known: `CEILINGS`.
"""

import csv
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from zorro_keras.applications.pipelines.claimed_folder import claim_folder
from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4
from zorro_keras.applications.pipelines.event_pictures import MOTIONS, Event, draw_event, draw_nothing
from zorro_keras.applications.pipelines.event_sounds import play_event, play_nothing
from zorro_keras.applications.pipelines.faults import ZorroError
from zorro_keras.applications.pipelines.workers import DecodePool

EVENT_CLASSES: tuple[str, ...] = tuple(sorted(MOTIONS))

# Of a quarter without a clue, one in eight is guessed right: 3/4 + 1/4 * 1/8. With both: 15/16 + 1/16 * 1/8.
CEILINGS = {"audio": 0.78125, "video": 0.78125, "audio+video": 0.9453125}

PERIODS_SECONDS = {
    "bounce": (0.8, 1.1),
    "fall": (1.0, 1.0),
    "flash": (0.7, 1.0),
    "pulse": (0.9, 1.3),
    "rise": (1.0, 1.0),
    "shake": (1.0, 1.0),
    "spin": (1.4, 2.2),
    "swing": (1.2, 1.8),
}
FRAME_RATES_HZ = (10, 12, 15, 20, 25, 30)
SAMPLE_RATES_HZ = (16_000, 22_050, 24_000, 32_000, 44_100)
SIZES_PX = tuple(range(48, 97, 4))


@dataclass(frozen=True)
class ClipPlan:
    """What one generated clip shows and plays.

    Attributes:
        path: str. Relative to the data set's folder, with forward slashes.
        label: str. One of `EVENT_CLASSES`.
        split: str. `"train"` or `"test"`.
        visible: bool. The picture shows the event.
        audible: bool. The sound track plays the event.
        has_audio: bool. There is a sound track at all.
        seed: tuple of ints. The only source of randomness in the clip.
    """

    path: str
    label: str
    split: str
    visible: bool
    audible: bool
    has_audio: bool
    seed: tuple[int, ...]


def generate_clips(
    out: str,
    *,
    count: int = 960,
    test_count: int | None = None,
    seed: int = 0,
    num_workers: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[ClipPlan]:
    """Writes the generated data set: `out/{train,test}/<class>/<class>-0000.mp4` and `out/clips.csv`.

    The bytes depend on `seed` and on the versions of NumPy and PyAV only. An interrupted run is finished by
    calling it again. `clips.csv` is written last.

    Args:
        out: str. Folder; made if it does not exist.
        count: int. Number of training clips, at least 8. Multiples of 32 hold every quota exactly.
        test_count: int or `None`. Number of test clips; `None` for a third of `count`.
        seed: int. Non-negative.
        num_workers: int. Processes; 1 works in this process.
        on_progress: callable or `None`. Called with the number of clips ready and of all clips.

    Returns:
        The list of `ClipPlan`, in the order of `clips.csv`.

    Raises:
        ValueError: If an argument is out of its range.
        ConfigError: If `out` holds clips made with other arguments.
    """
    test_count = count // 3 if test_count is None else test_count
    if count < len(EVENT_CLASSES) or test_count < 0 or seed < 0 or num_workers < 1:
        raise ValueError(
            "`count` must be at least 8, `test_count` and `seed` non-negative and `num_workers` positive. "
            f"Received: count={count}, test_count={test_count}, seed={seed}, num_workers={num_workers}"
        )
    settings = {"count": count, "test_count": test_count, "seed": seed}
    claim_folder(os.path.join(out, "clips.json"), "clips", settings)
    plans = [*plan_clips("train", count, seed), *plan_clips("test", test_count, seed)]
    for folder in {os.path.dirname(plan.path) for plan in plans}:
        os.makedirs(os.path.join(out, folder), exist_ok=True)
    missing = [plan for plan in plans if not os.path.exists(os.path.join(out, plan.path))]
    for ready, _ in enumerate(_write_all(out, missing, num_workers), start=len(plans) - len(missing) + 1):
        if on_progress is not None:
            on_progress(ready, len(plans))
    _write_table(out, plans)
    return plans


def plan_clips(split: str, count: int, seed: int) -> list[ClipPlan]:
    """Deals classes and missing clues to `count` clips, so that every quota holds in all classes alike.

    Of every four clips of a class one hides its picture and one its sound; of every eight such fours two
    hide both in the same clip, and half of the hidden sounds have no track.
    """
    split_seed = (seed, 0 if split == "train" else 1)
    rng = np.random.default_rng(split_seed)
    hidden_picture = rng.integers(4, size=8)
    apart = np.array([0, 1, 2, 3, 0, 1, 2, 3])  # how far the hidden sound lies from the hidden picture
    hidden_sound = (hidden_picture + apart) % 4
    without_track = apart % 2 == np.array([0, 0, 0, 0, 1, 1, 1, 1])
    plans = []
    for number in range(count):
        index, class_index = divmod(number, len(EVENT_CLASSES))
        four, place = (index // 4 + class_index) % 8, index % 4
        label = EVENT_CLASSES[class_index]
        audible = bool(place != hidden_sound[four])
        plans.append(
            ClipPlan(
                path=f"{split}/{label}/{label}-{index:04d}.mp4",
                label=label,
                split=split,
                visible=bool(place != hidden_picture[four]),
                audible=audible,
                has_audio=audible or not bool(without_track[four]),
                seed=(*split_seed, class_index, index),
            )
        )
    return plans


def write_clip(out: str, plan: ClipPlan) -> None:
    """Draws, plays and encodes one clip of the plan into its place under the folder `out`."""
    rng = np.random.default_rng(plan.seed)
    event = Event(
        name=plan.label,
        seconds=float(rng.uniform(2.5, 3.5)),
        period_seconds=float(rng.uniform(*PERIODS_SECONDS[plan.label])),
        phase=float(rng.uniform()),
    )
    height_px, width_px = (int(size) for size in rng.choice(SIZES_PX, size=2))
    frame_rate_hz, sample_rate_hz = int(rng.choice(FRAME_RATES_HZ)), int(rng.choice(SAMPLE_RATES_HZ))
    times = np.arange(round(event.seconds * frame_rate_hz)) / frame_rate_hz
    if plan.visible:
        video = draw_event(event, times, height_px, width_px, rng)
    else:
        video = draw_nothing(times.size, height_px, width_px, rng)
    if plan.audible:
        sound = play_event(event, sample_rate_hz, rng)
    else:
        sound = play_nothing(event.seconds, sample_rate_hz, rng)
    loudness = rng.uniform(0.5, 1.0, size=(rng.integers(1, 3), 1))  # one or two channels, off centre
    audio = loudness * sound if plan.has_audio else None
    encode_mp4(
        os.path.join(out, plan.path), video, frame_rate_hz, audio, sample_rate_hz if plan.has_audio else None
    )


def _write_all(out: str, plans: list[ClipPlan], num_workers: int) -> Iterator[None]:
    write = functools.partial(write_clip, out)
    if num_workers == 1 or not plans:
        yield from map(write, plans)
        return
    with DecodePool(num_workers, deadline_seconds=120.0) as pool:
        for _, result in pool.map_ordered(write, plans):
            if isinstance(result, ZorroError):
                raise result
            yield


def _write_table(out: str, plans: list[ClipPlan]) -> None:
    columns = ("path", "label", "split", "audible", "visible", "has_audio")
    rows = ([getattr(plan, column) for column in columns] for plan in plans)
    path = os.path.join(out, "clips.csv")
    with open(f"{path}.tmp", "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(chain([columns], rows))
    os.replace(f"{path}.tmp", path)
