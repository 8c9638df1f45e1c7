"""From clips to batches to rebuild: points drawn anew in each step, a function of (seed, step)."""

import dataclasses
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tests.applications.audio_visual_classification.test_data import (  # noqa: E402
    ABSENT,
    GEOMETRY,
    NUM_TEST,
    digests,
    write_shards,
)
from tests.applications.batch_parts import check_parts, check_steps, positions_read  # noqa: E402
from zorro_keras.applications.pipelines.batch_rows import BatchPart  # noqa: E402
from zorro_keras.applications.pipelines.clip_data import ClipData, open_unlabelled_clips  # noqa: E402
from zorro_keras.applications.pipelines.faults import ConfigError, SourceError  # noqa: E402
from zorro_keras.applications.training.config import apply_overrides  # noqa: E402
from zorro_keras.applications.video_autoencoding import data as task_data  # noqa: E402
from zorro_keras.applications.video_autoencoding.config import CONFIGS  # noqa: E402
from zorro_keras.applications.video_autoencoding.data import (  # noqa: E402
    evaluation_dataset,
    open_data,
    training_dataset,
)
from zorro_keras.applications.video_autoencoding.points import random_points, with_points  # noqa: E402

TINY = CONFIGS["tiny"]
CONFIG = dataclasses.replace(
    TINY,
    data=dataclasses.replace(
        TINY.data, geometry=GEOMETRY, zoom=(1.0, 1.3), flip_rate=0.5, audio_points=5, image_points=7
    ),
    model=dataclasses.replace(TINY.model, video_patch=(2, 4, 4), samples_per_patch=16),
    training=dataclasses.replace(TINY.training, batch_size=4, seed=7),
)
SAMPLES = GEOMETRY.num_samples


def preprocess(batch):
    """Stands in for the model's preprocessor."""
    presence = {"audio": batch["presence"]["audio"], "image": batch["presence"]["video"]}
    return {"audio": batch["audio"], "image": tf.cast(batch["video"], tf.float32) / 255, "presence": presence}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"))


def test_training_batches_have_the_promised_shapes(shards):
    x, y = training_dataset(shards, CONFIG, preprocess).element_spec
    assert {name: (tuple(spec.shape), spec.dtype) for name, spec in x.items() if tf.is_tensor(spec) or
            isinstance(spec, tf.TensorSpec)} == {
        "audio": ((4, SAMPLES), tf.float32),
        "image": ((4, 4, 8, 12, 3), tf.float32),
        "label": ((4, 1, 3), tf.float32),
    }  # fmt: skip
    assert {name: (tuple(spec.shape), spec.dtype) for name, spec in x["rows"].items()} == {
        "audio": ((5,), tf.int32), "image": ((7,), tf.int32),
    }  # fmt: skip
    assert (tuple(y.shape), y.dtype) == ((4, 3), tf.float32)


def test_starting_at_step_k_gives_the_bytes_that_follow_k_batches(shards):
    whole = digests(training_dataset(shards, CONFIG, preprocess), 8)
    assert len({*whole}) == 8
    for start in (1, 5):
        assert (
            digests(training_dataset(shards, CONFIG, preprocess, start_step=start), 8 - start)
            == whole[start:]
        )


def test_every_step_asks_for_other_points_and_none_twice(shards):
    drawn = [x["rows"] for x, _ in training_dataset(shards, CONFIG, preprocess).take(6).as_numpy_iterator()]
    for name, total in CONFIG.num_points.items():
        rows = np.stack([step[name] for step in drawn])
        assert rows.min() >= 0 and rows.max() < total
        assert all(len({*step}) == len(step) for step in rows) and len({*map(tuple, rows)}) == 6


def test_points_are_spread_evenly_over_an_output():
    draws = [
        random_points(3, tf.constant(step, tf.int64), {"image": 5}, {"image": 20}) for step in range(400)
    ]
    counts = np.bincount(np.concatenate([rows["image"] for rows in draws]), minlength=20)
    # 100 each in the mean; the deviation of a draw of 5 out of 20, 400 times, is 8.7.
    assert counts.min() > 100 - 5 * 8.7 and counts.max() < 100 + 5 * 8.7


def test_points_can_be_added_to_batches_of_ones_own():
    counts, totals = {"audio": 2, "image": 3}, {"audio": 7, "image": 11}
    own = tf.data.Dataset.from_tensors(({"audio": tf.zeros((2, 5))}, tf.zeros(2))).repeat(4)
    batches = list(with_points(own, counts, totals, seed=5, start_step=3).as_numpy_iterator())
    assert len(batches) == 4
    for step, (x, y) in enumerate(batches, start=3):
        expected = random_points(5, tf.constant(step, tf.int64), counts, totals)
        assert x["audio"].shape == (2, 5) and y.shape == (2,)
        assert all(np.array_equal(x["rows"][name], expected[name]) for name in counts)


def test_an_absent_stream_is_a_flag_and_zeros(shards):
    seen = set()
    for x, _ in training_dataset(shards, CONFIG, preprocess).take(4).as_numpy_iterator():
        for name, stream in (("audio", "audio"), ("image", "video")):
            for row in np.flatnonzero(~x["presence"][name]):
                assert not x[name][row].any()
                seen.add(stream)
    assert seen == {*ABSENT.values()}


def test_the_label_is_an_input_in_training_and_hidden_in_evaluation(shards):
    x, y = next(training_dataset(shards, CONFIG, preprocess).as_numpy_iterator())
    np.testing.assert_array_equal(x["label"][:, 0], y)
    batches, ids = evaluation_dataset(shards, CONFIG, preprocess)
    assert len(ids) == NUM_TEST and len(batches) == 2
    for x, _, _ in batches.as_numpy_iterator():
        assert sorted(x) == ["audio", "image", "presence", "rows"]
    weights = [weight for _, _, weight in batches.as_numpy_iterator()]
    np.testing.assert_array_equal(np.concatenate(weights), [1, 1, 1, 1, 1, 0, 0, 0])


def test_evaluation_is_the_same_each_time_and_can_ask_for_all(shards):
    batches, _ = evaluation_dataset(shards, CONFIG, preprocess)
    assert digests(batches, 2) == digests(batches, 2)
    everything, _ = evaluation_dataset(shards, CONFIG, preprocess, split="train", whole=True)
    assert all("rows" not in x for x, _, _ in everything.as_numpy_iterator())


# --- Kinetics


def test_a_part_of_a_split_is_drawn_from_all_of_its_classes(shards):
    folders = tuple(SimpleNamespace(id=f"{label}/{n}.mp4") for label in "ab" for n in range(100))
    drawn = ClipData(None, {"train": folders}).split("train", 20)
    assert len({clip.id for clip in drawn}) == 20
    assert 4 < sum(clip.id.startswith("a") for clip in drawn) < 16
    batches, ids = evaluation_dataset(shards, CONFIG, preprocess, split="train", num_clips=5)
    assert len(ids) == 5 and len(batches) == 2 and ids != sorted(ids)
    assert sum(float(weight.sum()) for _, _, weight in batches.as_numpy_iterator()) == 5
    assert sorted(evaluation_dataset(shards, CONFIG, preprocess, split="train", num_clips=99)[1]) == sorted(
        clip.id for clip in shards.split("train")
    )


def kinetics(root, split, name):
    path = root / split / name / "-0abcDEF123_000004_000014.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(name.encode())


def test_kinetics_is_read_from_class_folders_and_evaluated_on_val(tmp_path):
    for split in ("train", "val"):
        for name in ("abseiling", "air drumming"):
            kinetics(tmp_path, split, name)
    data = open_data(tmp_path, CONFIG)
    assert data.label_names == ("abseiling", "air drumming")
    assert (data.num_train, data.evaluation_split, len(data.split("val"))) == (2, "val", 2)


def test_the_split_that_is_evaluated_may_be_chosen_where_both_are_there(tmp_path):
    for split in ("train", "val", "test"):
        kinetics(tmp_path, split, "air drumming")
    chosen = dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, evaluation_split="val"))
    assert open_data(tmp_path, CONFIG).evaluation_split == "test"
    assert open_data(tmp_path, chosen).evaluation_split == "val"
    assert open_unlabelled_clips(tmp_path, evaluation_split="val").evaluation_split == "val"


def test_kinetics_is_read_from_a_table_with_other_columns(tmp_path):
    rows = ["label,youtube_id,time_start,time_end,split,path"]
    for split in ("train", "val"):
        kinetics(tmp_path, split, "air drumming")
        file = f"{split}/air drumming/-0abcDEF123_000004_000014.mp4"
        rows.append(f'"air drumming",-0abcDEF123,4,14,{split},"{file}"')
    (tmp_path / "kinetics.csv").write_text("\n".join(rows) + "\n")
    data = open_data(tmp_path / "kinetics.csv", CONFIG)
    assert (data.num_train, data.evaluation_split) == (1, "val")


def test_clips_with_several_labels_are_refused(tmp_path):
    kinetics(tmp_path, "train", "drum")
    file = "train/drum/-0abcDEF123_000004_000014.mp4"
    (tmp_path / "clips.csv").write_text(f"path,label\n{file},drum;bell\n")
    with pytest.raises(ConfigError, match="one label of each clip"):
        open_data(tmp_path / "clips.csv", CONFIG)


def test_a_split_without_clips_is_named(shards):
    with pytest.raises(SourceError, match="Received: split='val'"):
        evaluation_dataset(shards, CONFIG, preprocess, split="val")


def test_sound_that_was_packed_at_another_rate_is_refused(shards):
    slower = dataclasses.replace(GEOMETRY, sample_rate_hz=400)
    config = dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, geometry=slower))
    with pytest.raises(ConfigError, match="`data.geometry.sample_rate_hz` must be that of the shards, 800"):
        training_dataset(shards, apply_overrides(config, []), preprocess)


@pytest.mark.slow
def test_rows_and_steps_that_are_read_apart_are_those_of_all(shards, monkeypatch):
    config = apply_overrides(CONFIG, ["data.audio_points=6", "data.image_points=8"])
    make = partial(training_dataset, shards, config, preprocess)
    check_parts(make)
    check_steps(make)
    own = positions_read(monkeypatch, task_data, partial(make, part=BatchPart(1, 2)), 2)
    assert own == [2, 3, 6, 7]  # half of two batches of four


def test_points_are_divided_among_hosts_as_rows_are(shards):
    config = apply_overrides(CONFIG, ["training.batch_size=6", "data.audio_points=9"])
    with pytest.raises(ConfigError, match="`data.image_points` must be divisible by the hosts, 3"):
        training_dataset(shards, config, preprocess, part=BatchPart(0, 3))
