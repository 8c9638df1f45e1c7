"""Clips per second into a training loop: from media files, from shards, and from a bare PyAV loop.

The bare loop decodes the same files whole in as many processes, to RGB frames and mono sound at 16 kHz, and
does nothing with them. The pipeline cuts, scales, augments, computes log-mels and makes batches as well.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

import measure

NUM_CLIPS, QUICK_CLIPS = 96, 24
NUM_WORKERS = min(2, os.cpu_count() or 1)
BATCH_SIZE = 16
BATCHES, QUICK_BATCHES = 16, 2
TASK = "audio_visual_classification"


def decode_whole(path: str) -> int:
    """The bare loop's work: every frame as RGB, every sample as mono float at 16 kHz."""
    import av

    with av.open(path) as media:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=16000)
        count = 0
        for frame in media.decode():
            if isinstance(frame, av.VideoFrame):
                count += frame.to_ndarray(format="rgb24").shape[0] > 0
            else:
                count += sum(part.to_ndarray().size > 0 for part in resampler.resample(frame))
    return count


def bare_loop(files: list[str]):
    """Returns a function that gives the clips per second of the bare loop, its processes already running."""
    pool = multiprocessing.get_context("spawn").Pool(NUM_WORKERS)
    pool.map(decode_whole, files[: 2 * NUM_WORKERS], chunksize=1)

    def clips_per_second() -> float:
        start = time.perf_counter()
        pool.map(decode_whole, files, chunksize=4)
        return len(files) / (time.perf_counter() - start)

    return clips_per_second


def training_loop(path: Path, num_batches: int):
    """Returns a function that gives the clips per second of the training dataset over `path`."""
    import dataclasses

    from zorro_keras.applications.audio_visual_classification.config import CONFIGS
    from zorro_keras.applications.audio_visual_classification.data import open_data, training_dataset
    from zorro_keras.applications.audio_visual_classification.model import build_model

    tiny = CONFIGS["tiny"]
    config = dataclasses.replace(
        tiny,
        data=dataclasses.replace(tiny.data, num_workers=NUM_WORKERS),
        training=dataclasses.replace(tiny.training, batch_size=BATCH_SIZE),
    )
    data = open_data(path, config)
    preprocessor = build_model(config, data.label_names).preprocessor

    def clips_per_second() -> float:
        batches = iter(training_dataset(data, config, preprocessor))
        for _ in range(3):  # starting workers, and what was prefetched meanwhile
            next(batches)
        start = time.perf_counter()
        for _ in range(num_batches):
            next(batches)
        return num_batches * BATCH_SIZE / (time.perf_counter() - start)

    return clips_per_second


def main() -> None:
    arguments = measure.parser(__doc__).parse_args()
    from zorro_keras.applications.pipelines.generated_clips import generate_clips
    from zorro_keras.applications.pipelines.prepare import prepare

    count, num_batches = (QUICK_CLIPS, QUICK_BATCHES) if arguments.quick else (NUM_CLIPS, BATCHES)
    with tempfile.TemporaryDirectory() as folder:
        clips, shards = Path(folder, "clips"), Path(folder, "shards")
        generate_clips(str(clips), count=count, test_count=8, num_workers=NUM_WORKERS)
        prepare(clips, shards, num_workers=NUM_WORKERS)
        files = sorted(str(path) for path in (clips / "train").rglob("*.mp4"))
        loops = [bare_loop(files), *(training_loop(path, num_batches) for path in (clips, shards))]
        speeds = [[loop() for loop in loops] for _ in range(1 if arguments.quick else 3)]
        bare, decoded, packed = (statistics.median(column) for column in zip(*speeds, strict=True))
    detail = f"{{:.0f}} and {{:.0f}} clips/s, {NUM_WORKERS} processes"
    rows = [
        measure.Row("pipeline / bare PyAV loop", decoded / bare, 0.8, detail=detail.format(decoded, bare)),
        measure.Row("shards / decoding", packed / decoded, 3.0, detail=detail.format(packed, decoded)),
    ]
    measure.show(rows, arguments)


if __name__ == "__main__":
    main()
