"""Absence is a flag, absent streams hold zeros, and no drop leaves an example with nothing."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.presence import drop_modality, zero_absent  # noqa: E402

PRESENCE = {
    "audio": tf.constant([True, True, False, False] * 250),
    "video": tf.constant([True, False, True, False] * 250),
}


def test_absent_streams_hold_zeros_whatever_was_there():
    audio = np.full((3, 5), np.nan, np.float32)
    audio[1] = 7.0
    presence = {"audio": tf.constant([False, True, False])}
    np.testing.assert_array_equal(
        zero_absent({"audio": audio}, presence)["audio"], [[0] * 5, [7] * 5, [0] * 5]
    )


def test_a_drop_never_adds_a_stream_and_never_takes_the_last():
    for rate in (0.1, 0.5, 0.99):
        after = drop_modality(PRESENCE, (0, 1), rate=rate)
        audio, video = after["audio"].numpy(), after["video"].numpy()
        assert not (audio & ~PRESENCE["audio"].numpy()).any()
        assert not (video & ~PRESENCE["video"].numpy()).any()
        had_one = PRESENCE["audio"].numpy() | PRESENCE["video"].numpy()
        np.testing.assert_array_equal(audio | video, had_one)
        assert audio[0::4].sum() < 250
        assert video[0::4].sum() < 250


def test_the_rate_is_the_rate():
    after = drop_modality(PRESENCE, (0, 1), rate=0.2)
    # Each of two streams is lost with probability 0.2 * 0.8: a draw that loses both changes nothing.
    assert 1 - after["audio"].numpy()[0::4].mean() == pytest.approx(0.16, abs=0.06)
    unchanged = drop_modality(PRESENCE, (0, 1), rate=0.0)
    assert all((unchanged[name].numpy() == PRESENCE[name].numpy()).all() for name in PRESENCE)


def test_each_stream_may_have_a_rate_of_its_own():
    after = drop_modality(PRESENCE, (0, 1), rate={"audio": 0.0, "video": 0.3})
    np.testing.assert_array_equal(after["audio"], PRESENCE["audio"])
    assert 1 - after["video"].numpy()[0::4].mean() == pytest.approx(0.3, abs=0.08)
    same = drop_modality(PRESENCE, (0, 1), rate={"audio": 0.2, "video": 0.2})
    one = drop_modality(PRESENCE, (0, 1), rate=0.2)
    assert all((same[name].numpy() == one[name].numpy()).all() for name in PRESENCE)


def test_the_seed_decides_also_inside_a_dataset():
    eager = drop_modality(PRESENCE, (0, 1), rate=0.5)
    other = drop_modality(PRESENCE, (0, 2), rate=0.5)
    mapped = next(
        iter(tf.data.Dataset.from_tensors(PRESENCE).map(lambda p: drop_modality(p, (0, 1), rate=0.5)))
    )
    np.testing.assert_array_equal(eager["audio"], mapped["audio"])
    assert (eager["audio"].numpy() != other["audio"].numpy()).any()
