"""Mixup: one share per pair for every stream and the labels; streams that are not there stay out of it."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.mixing import mixup  # noqa: E402

RNG = np.random.default_rng(0)
AUDIO = RNG.normal(size=(7, 5, 3)).astype(np.float32)
VIDEO = RNG.normal(size=(7, 2, 3, 3, 1)).astype(np.float32)
LABELS = np.eye(7, dtype=np.float32)


def _mix(audio_present, video_present, seed=(0, 1), alpha=0.5):
    presence = {"audio": tf.constant(audio_present), "video": tf.constant(video_present)}
    mixed, labels = mixup({"audio": AUDIO, "video": VIDEO}, presence, LABELS, seed, alpha=alpha)
    return mixed["audio"].numpy(), mixed["video"].numpy(), labels.numpy()


def _spread(share, value):
    return share.reshape([-1] + [1] * (value.ndim - 1))


def test_both_streams_and_the_labels_share_one_share():
    audio, video, labels = _mix([True] * 7, [True] * 7)
    share = labels.diagonal()
    assert ((share >= 0.5) & (share < 1.0)).all()
    assert len({*share}) == 7
    for mixed, own in ((audio, AUDIO), (video, VIDEO), (labels, LABELS)):
        expected = _spread(share, own) * own + _spread(1 - share, own) * np.roll(own, 1, 0)
        np.testing.assert_allclose(mixed, expected, atol=1e-6)
    np.testing.assert_allclose(labels.sum(1), 1.0, atol=1e-6)


def test_an_example_is_mixed_only_with_one_that_has_all_its_streams():
    # The partner is the example before; that of the first is the last.
    #                 both  audio  both  video  video  none  both
    audio_present = [True, True, True, False, False, False, True]
    video_present = [True, False, True, True, True, False, True]
    audio, video, labels = _mix(audio_present, video_present)
    mixed = labels.diagonal() < 1.0
    assert mixed.tolist() == [True, True, False, True, True, False, False]
    assert ((audio != AUDIO).any((1, 2))).tolist() == [True, True, False, False, False, False, False]
    assert ((video != VIDEO).any((1, 2, 3, 4))).tolist() == [True, False, False, True, True, False, False]


def test_a_value_that_is_not_there_never_reaches_another_example():
    audio = AUDIO.copy()
    audio[3] = np.nan
    presence = {
        "audio": tf.constant([True, True, True, False, True, True, True]),
        "video": tf.ones(7, tf.bool),
    }
    mixed, _ = mixup({"audio": audio, "video": VIDEO}, presence, LABELS, (0, 1), alpha=0.5)
    assert np.isfinite(np.delete(mixed["audio"].numpy(), 3, 0)).all()


def test_the_larger_part_is_the_examples_own_and_follows_alpha():
    def mean_share(alpha):
        return np.mean([_mix([True] * 7, [True] * 7, (seed, 1), alpha)[2].diagonal() for seed in range(40)])

    # The mean of max(x, 1 - x) for Beta(a, a): 0.5 + 1 / pi for a = 0.5, 0.75 for a = 1, 0.5 for large a.
    assert mean_share(0.5) == pytest.approx(0.818, abs=0.03)
    assert mean_share(1.0) == pytest.approx(0.75, abs=0.03)
    assert mean_share(50.0) < 0.55


def test_a_tiny_alpha_stays_finite():
    audio, _, labels = _mix([True] * 7, [True] * 7, alpha=1e-3)
    assert np.isfinite(audio).all()
    np.testing.assert_allclose(labels.sum(1), 1.0, atol=1e-6)


def test_the_seed_decides_also_inside_a_dataset():
    eager = _mix([True] * 7, [True] * 7)
    again = _mix([True] * 7, [True] * 7)
    other = _mix([True] * 7, [True] * 7, seed=(0, 2))
    np.testing.assert_array_equal(eager[0], again[0])
    assert (eager[0] != other[0]).any()

    presence = {"audio": tf.ones(7, tf.bool), "video": tf.ones(7, tf.bool)}
    dataset = tf.data.Dataset.from_tensors((AUDIO, VIDEO)).map(
        lambda audio, video: mixup({"audio": audio, "video": video}, presence, LABELS, (0, 1), alpha=0.5)
    )
    mixed, labels = next(iter(dataset))
    np.testing.assert_allclose(mixed["audio"], eager[0], atol=1e-6)
    np.testing.assert_allclose(labels, eager[2], atol=1e-6)
