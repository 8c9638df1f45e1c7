"""Sound that another program stored wrongly: how it is recognised, and put right.

The example script of DMVR asks FFmpeg for 32-bit whole numbers and reads their bits as floats. Hardly any of
these is a number that sound has: quiet samples above zero become smaller than 1e-20, those below zero huge or
no number at all. Looking at the same bits as whole numbers gives the samples back. (Python turned signalling
NaNs into quiet ones on the way, which moves samples between -1/512 and -1/256 by 1/512.)

Other programs stored whole numbers by their value, so that a sample may be 20,000.
"""

from __future__ import annotations

import numpy as np

BITS_REMARK = "sound repaired: whole numbers had been read as floats"
SCALE_REMARK = "sound repaired: whole numbers had not been scaled to [-1, 1]"
_TINY, _HUGE = 1e-20, 1e6
_SHARE = 0.25  # of the samples that are not zero. Sound as loud as can be still has twice as many.


def repair_sound(samples: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Puts samples right.

    Args:
        samples: float32 `(S,)`.

    Returns:
        (samples, remarks): float32 `(S,)`, and what was done, if anything.
    """
    if _are_bits_of_integers(samples):
        return (samples.view("<i4") / 2.0**31).astype(np.float32), (BITS_REMARK,)
    if _are_unscaled_integers(samples):
        most = 2.0**15 if np.abs(samples).max() <= 2**15 else 2.0**31
        return (samples / most).astype(np.float32), (SCALE_REMARK,)
    return samples, ()


def _are_bits_of_integers(samples: np.ndarray) -> bool:
    size = np.abs(samples[samples != 0])
    tiny, huge = size < _TINY, ~(size <= _HUGE)  # not a number counts as huge
    # A sound that fades out may have many tiny samples, and one that was not scaled huge ones: never both.
    return bool(tiny.any() and huge.any()) and np.mean(tiny | huge) > _SHARE


def _are_unscaled_integers(samples: np.ndarray) -> bool:
    return (
        samples.size > 0
        and bool(np.isfinite(samples).all())
        and np.abs(samples).max() > 1.0
        and bool((samples == np.round(samples)).all())
    )
