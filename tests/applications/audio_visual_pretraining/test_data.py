"""Batches of clips without labels: parts of them, steps of them, and faults that are written down."""

import json
from functools import partial

import pytest

tf = pytest.importorskip("tensorflow")

from tests.applications.audio_visual_classification import test_data as clips  # noqa: E402
from tests.applications.batch_parts import check_parts, check_steps  # noqa: E402
from zorro_keras.applications.audio_visual_pretraining.data import training_dataset  # noqa: E402
from zorro_keras.applications.pipelines.clip_data import (  # noqa: E402
    UnlabelledClips,
    open_unlabelled_clips,
)
from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4  # noqa: E402


@pytest.mark.slow
def test_rows_and_steps_that_are_read_apart_are_those_of_all(tmp_path):
    data = clips.write_shards(tmp_path)
    data = UnlabelledClips(data.origin, data.clips, data.faults)
    make = partial(training_dataset, data, clips._config(), clips.preprocess)
    check_parts(make)
    check_steps(make)


def test_a_clip_that_is_left_out_is_written_down(tmp_path):
    for number in range(4):
        path = tmp_path / "media" / ("train" if number < 3 else "test") / "bell" / f"clip-{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        encode_mp4(str(path), clips.np.full((12, 32, 48, 3), 20 * number, clips.np.uint8), 12, None, None)
    next((tmp_path / "media").rglob("clip-1.mp4")).write_bytes(b"no clip")
    data, log = open_unlabelled_clips(tmp_path / "media"), tmp_path / "faults.jsonl"
    config = clips._config(plain=True, on_error="skip", max_bad_fraction=0.5)
    next(iter(training_dataset(data, config, clips.preprocess, faults_path=log)))
    assert {json.loads(line)["id"].split("/")[-1] for line in log.read_text().splitlines()} == {"clip-1.mp4"}
