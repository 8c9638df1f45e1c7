"""Batches of clips without labels: parts of them, steps of them, and faults that are written down."""

import dataclasses
import json
from functools import partial

import pytest

tf = pytest.importorskip("tensorflow")

from tests.applications.audio_visual_classification import test_data as clips  # noqa: E402
from tests.applications.batch_parts import check_parts, check_steps  # noqa: E402
from zorro_keras.applications.audio_visual_pretraining.data import (  # noqa: E402
    evaluation_dataset,
    training_dataset,
)
from zorro_keras.applications.pipelines.clip_data import (  # noqa: E402
    UnlabelledClips,
    open_unlabelled_clips,
)
from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4  # noqa: E402
from zorro_keras.applications.pipelines.faults import ConfigError  # noqa: E402


@pytest.mark.slow
def test_rows_and_steps_that_are_read_apart_are_those_of_all(tmp_path):
    data = clips.write_shards(tmp_path)
    data = UnlabelledClips(data.origin, data.clips, data.faults)
    make = partial(training_dataset, data, clips._config(), clips.preprocess)
    check_parts(make)
    check_steps(make)


def test_a_clip_that_is_left_out_is_written_down(tmp_path):
    for number in range(7):
        path = tmp_path / "media" / ("train" if number < 6 else "test") / "bell" / f"clip-{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        encode_mp4(str(path), clips.np.full((12, 32, 48, 3), 20 * number, clips.np.uint8), 12, None, None)
    next((tmp_path / "media").rglob("clip-1.mp4")).write_bytes(b"no clip")
    data, log = open_unlabelled_clips(tmp_path / "media"), tmp_path / "faults.jsonl"
    config = clips._config(plain=True, on_error="skip", max_bad_fraction=0.5)
    next(iter(training_dataset(data, config, clips.preprocess, faults_path=log)))
    assert {json.loads(line)["id"].split("/")[-1] for line in log.read_text().splitlines()} == {"clip-1.mp4"}


def test_clips_of_a_batch_are_told_apart_so_there_may_not_be_fewer(tmp_path):
    data = clips.write_shards(tmp_path)
    data = UnlabelledClips(data.origin, data.clips, data.faults)
    config = clips._config()
    few = dataclasses.replace(config, training=dataclasses.replace(config.training, batch_size=99))
    with pytest.raises(ConfigError, match="must be at most the number of training clips"):
        training_dataset(data, few, clips.preprocess)


def test_clips_are_measured_in_an_order_that_mixes_classes(tmp_path):
    for number in range(8):
        path = tmp_path / "media" / "test" / f"{'ab'[number // 4]}" / f"clip-{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        encode_mp4(str(path), clips.np.full((12, 32, 48, 3), 20 * number, clips.np.uint8), 12, None, None)
    data = open_unlabelled_clips(tmp_path / "media")
    batches, ids = evaluation_dataset(data, clips._config(plain=True), clips.preprocess, split="test")
    assert sorted(ids) == [clip.id for clip in data.split("test")] != ids
    kinds = "".join(place.split("/")[-2] for place in ids)
    assert "ab" in kinds and "ba" in kinds
    shades = [
        x["video"][row].mean() for x, _, w in batches.as_numpy_iterator() for row in clips.np.flatnonzero(w)
    ]
    numbers = [int(place.split("clip-")[1].split(".")[0]) for place in ids]
    assert clips.np.argsort(shades).tolist() == clips.np.argsort(numbers).tolist()  # ids are in its order
