"""Batches from arrays in memory: a function of the seed and the step."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from zorro_keras.applications.reproduce.drawn_batches import DrawnBatches
from zorro_keras.applications.reproduce.small_clips import SmallClips

BOTH = ("audio", "video")


@pytest.fixture
def clips():
    rng = np.random.default_rng(0)
    return SmallClips(
        audio=rng.normal(size=(24, 2, 32, 8)).astype("float32"),
        video=rng.integers(256, size=(24, 2, 2, 4, 4, 3)).astype("uint8"),
        presence={"audio": np.arange(24) % 3 > 0, "video": np.ones(24, bool)},
        labels=np.arange(24) % 4,
    )


def test_a_batch_depends_on_seed_and_step_alone(clips):
    one, same, other = (DrawnBatches(clips, np.arange(24), BOTH, 5, 9, seed) for seed in (0, 0, 1))
    for name in BOTH:
        np.testing.assert_array_equal(one[7][0][name], same[7][0][name])
        assert not np.array_equal(one[7][0][name], other[7][0][name])
    assert len(one) == 9 and not np.array_equal(one[7][1], one[8][1])


def test_each_clip_comes_once_in_a_pass(clips):
    chosen = np.array([2, 3, 5, 7, 11, 13])
    batches = DrawnBatches(clips, chosen, ("audio",), 4, 3, 0)
    seen = np.concatenate([batches._clips_of(step) for step in range(3)])
    assert sorted(seen[:6]) == sorted(seen[6:]) == chosen.tolist()


def test_streams_labels_and_presence_belong_together(clips):
    batches = DrawnBatches(clips, np.arange(24), ("video",), 6, 1, 0)
    x, labels = batches[0]
    assert set(x) == {"video", "presence"} and set(x["presence"]) == {"video"}
    np.testing.assert_array_equal(labels, clips.labels[batches._clips_of(0)])
    (unlabelled,) = DrawnBatches(clips, np.arange(24), BOTH, 6, 1, 0, labelled=False)[0]
    np.testing.assert_array_equal(
        unlabelled["presence"]["audio"], clips.presence["audio"][batches._clips_of(0)]
    )
    assert unlabelled["video"].min() >= -1.0 and unlabelled["video"].max() <= 1.0


def test_few_labels_are_as_many_of_each_class(clips):
    few = clips.few(0.5, 0)
    assert np.bincount(clips.labels[few]).tolist() == [3, 3, 3, 3]
    assert few.tolist() == clips.few(0.5, 0).tolist() != clips.few(0.5, 1).tolist()
