"""From clips to batches to hide and tell: without labels, a function of (seed, step)."""

import dataclasses
from functools import partial

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tests import clip_maker  # noqa: E402
from tests.applications.audio_visual_classification.test_data import (  # noqa: E402
    ABSENT,
    GEOMETRY,
    NUM_TEST,
    digests,
    write_shards,
)
from tests.applications.batch_parts import check_parts, check_steps, positions_read  # noqa: E402
from zorro_keras.applications.masked_autoencoding import data as task_data  # noqa: E402
from zorro_keras.applications.masked_autoencoding.config import CONFIGS  # noqa: E402
from zorro_keras.applications.masked_autoencoding.data import (  # noqa: E402
    UnlabelledClips,
    evaluation_dataset,
    open_data,
    training_dataset,
)
from zorro_keras.applications.masked_autoencoding.scores import mean_clip_of  # noqa: E402
from zorro_keras.applications.pipelines.batch_rows import BatchPart  # noqa: E402
from zorro_keras.applications.pipelines.prepare import prepare  # noqa: E402

TINY = CONFIGS["tiny"]
CONFIG = dataclasses.replace(
    TINY,
    data=dataclasses.replace(TINY.data, geometry=GEOMETRY, zoom=(1.0, 1.3), flip_rate=0.5),
    model=dataclasses.replace(TINY.model, video_patch=(1, 4, 4), samples_per_patch=16),
    training=dataclasses.replace(TINY.training, batch_size=4, seed=7),
)


def preprocess(batch):
    """Stands in for the model's preprocessor; what is not there is anything but zero."""
    return {**batch, "audio": batch["audio"] + 2.0, "video": tf.cast(batch["video"], tf.float32) + 2.0}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    data = write_shards(tmp_path_factory.mktemp("shards"))
    return UnlabelledClips(data.origin, data.clips, data.faults)


def test_batches_hold_streams_alone(shards):
    spec = training_dataset(shards, CONFIG, preprocess).element_spec
    assert {name: (tuple(spec[name].shape), spec[name].dtype) for name in ("audio", "video")} == {
        "audio": ((4, GEOMETRY.num_samples), tf.float32),
        "video": ((4, 4, 8, 12, 3), tf.float32),
    }  # fmt: skip
    assert sorted(spec) == ["audio", "presence", "video"] and sorted(spec["presence"]) == ["audio", "video"]
    assert shards.label_names == () and shards.num_train == 13


def test_starting_at_step_k_gives_the_bytes_that_follow_k_batches(shards):
    whole = digests(training_dataset(shards, CONFIG, preprocess), 6)
    assert len({*whole}) == 6
    assert digests(training_dataset(shards, CONFIG, preprocess, start_step=2), 4) == whole[2:]


def test_an_absent_stream_is_a_flag_and_zeros(shards):
    seen = set()
    for x in training_dataset(shards, CONFIG, preprocess).take(4).as_numpy_iterator():
        for name in ("audio", "video"):
            has = x["presence"][name]
            assert not x[name][~has].any() and all(clip.any() for clip in x[name][has])
            seen |= {name} if (~has).any() else set()
    assert seen == {*ABSENT.values()}


def test_evaluation_is_one_pass_filled_up_with_clips_that_have_nothing(shards):
    batches, ids = evaluation_dataset(shards, CONFIG, preprocess)
    assert len(ids) == NUM_TEST and len(batches) == 2
    batches = list(batches.as_numpy_iterator())
    for flags in batches[-1]["presence"].values():
        np.testing.assert_array_equal(flags[NUM_TEST - 4 :], False)
    assert any(flags[0] for flags in batches[-1]["presence"].values())


def test_the_mean_clip_is_that_of_clips_drawn_evenly(shards):
    """Of all of them, not of the first ones: those of class folders are of one class."""
    batches, ids = evaluation_dataset(shards, CONFIG, preprocess, split="train", num_clips=6)
    assert len(ids) == 6 and len(batches) == 2 and ids != sorted(ids)
    numbers = [int(name.removeprefix("clip-")) for name in ids]
    levels = [number for number in numbers if ABSENT.get(number) != "audio"]
    mean = mean_clip_of(batches.as_numpy_iterator())
    assert mean["audio"].mean() == pytest.approx(np.mean(levels) + 2.0, abs=0.02)  # as `preprocess` adds 2


def test_clips_of_a_list_of_ids_have_no_labels_and_are_learned_from(tmp_path):
    (tmp_path / "made").mkdir()
    media, names = clip_maker.encoded(tmp_path / "made"), [f"{number}bcdefghijk" for number in range(10)]
    clip_maker.put(media, tmp_path, *(f"videos/{name}.mp4" for name in names))
    ids = clip_maker.write_list(tmp_path, "youtube8m.txt", *names)
    packing = {"sample_rate_hz": GEOMETRY.sample_rate_hz, "num_workers": 1}
    assert prepare(ids, tmp_path / "shards", **packing)["clips"]["used_whole"] == 10
    for source in (ids, tmp_path / "shards"):
        data = open_data(source, CONFIG)
        assert (data.num_train, data.num_test, data.label_names) == (9, 1, ())
        x = next(training_dataset(data, CONFIG, preprocess).as_numpy_iterator())
        assert x["presence"]["audio"].all() and x["presence"]["video"].all()
        assert len(evaluation_dataset(data, CONFIG, preprocess)[1]) == 1


@pytest.mark.slow
def test_rows_and_steps_that_are_read_apart_are_those_of_all(shards, monkeypatch):
    make = partial(training_dataset, shards, CONFIG, preprocess)
    check_parts(make)
    check_steps(make)
    own = positions_read(monkeypatch, task_data, partial(make, part=BatchPart(1, 2)), 2)
    assert own == [2, 3, 6, 7]  # half of two batches of four
