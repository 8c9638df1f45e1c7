"""Wrongly stored sound is recognised and put right; sound that is as it should be is never touched."""

import numpy as np
import pytest

from tests.media_maker import tone
from zorro_keras.applications.pipelines.foreign_sound import BITS_REMARK, SCALE_REMARK, repair_sound

TIMES = np.arange(24_000) / 48_000


def noise(scale):
    return np.random.default_rng(3).normal(0.0, scale, 24_000).clip(-1, 1)


SOUNDS = {
    "tone": tone(TIMES),
    "quiet tone": 1e-3 * tone(TIMES),
    "full tone": 2 * tone(TIMES),
    "noise": noise(0.1),
    "clipped noise": noise(1.0),
    "mostly silent": np.where(TIMES < 0.45, 0.0, tone(TIMES)),
}


def read_as_floats(samples, bits):
    """What DMVR's script makes of sound that FFmpeg decoded to `bits` and widened to 32."""
    whole = np.round(np.asarray(samples) * (2 ** (bits - 1) - 1)).astype("<i4") << (32 - bits)
    # Its list of Python floats makes every signalling NaN a quiet one.
    return np.array([float(value) for value in whole.view("<f4")], "<f4")


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("name", SOUNDS)
def test_whole_numbers_read_as_floats_are_read_again(name, bits):
    repaired, remarks = repair_sound(read_as_floats(SOUNDS[name], bits))
    assert remarks == (BITS_REMARK,)
    assert repaired.dtype == np.float32
    np.testing.assert_allclose(repaired, SOUNDS[name], atol=2**-9 + 2**-14)


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("scale", [2**15, 2**31])
def test_whole_numbers_stored_by_their_value_are_scaled(name, scale):
    samples = np.round(SOUNDS[name] * (scale - 1)).astype(np.float32)
    repaired, remarks = repair_sound(samples)
    assert remarks == (SCALE_REMARK,)
    np.testing.assert_allclose(repaired, SOUNDS[name], atol=1e-3)


@pytest.mark.parametrize(
    "samples",
    [
        *SOUNDS.values(),
        np.zeros(100),
        np.zeros(0),
        np.sign(tone(TIMES)),  # all of them whole numbers
        tone(TIMES) * np.exp(-TIMES * 400),  # fades out until it is smaller than 1e-38
        np.where(TIMES == 0.25, np.nan, tone(TIMES)),
        np.where(TIMES < 0.1, np.inf, tone(TIMES)),
        3 * tone(TIMES),
    ],
    ids=str,
)
def test_other_sound_is_not_touched(samples):
    samples = samples.astype(np.float32)
    repaired, remarks = repair_sound(samples)
    assert remarks == ()
    assert repaired is samples
