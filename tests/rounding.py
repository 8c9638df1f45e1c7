"""How far apart rounding alone may bring two float32 programs of one function."""

import math

import numpy as np

UNIT = 2.0**-24  # the largest relative error of one float32 rounding
DRAWS = 4
# A waveform's sample enters sums of as many terms: a window of the spectrogram's Fourier transform.
WAVEFORM_TERMS = 512


def rounding_bounds(answer, variables, inputs, draws=DRAWS):
    """Returns, by output, the largest difference that rounding explains.

    A sum of k terms is rounded k times. Those errors are as good as independent, so that they walk about
    sqrt(k) units away from the exact sum (Higham and Mary, A New Approach to Probabilistic Rounding Error
    Analysis, SIAM J. Sci. Comput. 41(5), 2019). The same error comes of terms that are each disturbed by
    sqrt(k) units. So every weight is disturbed at random by that, with its kernel's fan-in for k, and every
    float of the inputs, with `WAVEFORM_TERMS`; the deviation of the answers is that of one program. Two
    programs err on their own, by three deviations each at the most.

    Args:
        answer: function of a dict of arrays to a dict of arrays.
        variables: Keras variables that it depends on; they are put back.
        inputs: dict of arrays; ints are left as they are.
        draws: int, how often everything is disturbed.
    """
    random = np.random.default_rng(0)
    kept = [np.array(variable) for variable in variables]

    def disturbed(array, terms):
        return (array * (1.0 + UNIT * math.sqrt(terms) * random.normal(size=array.shape))).astype(array.dtype)

    answers = []
    try:
        for _ in range(draws):
            for variable, value in zip(variables, kept, strict=True):
                variable.assign(disturbed(value, math.prod(value.shape[:-1])))
            noisy = {
                name: disturbed(array, WAVEFORM_TERMS) if array.dtype.kind == "f" else array
                for name, array in inputs.items()
            }
            answers.append({name: np.asarray(values) for name, values in answer(noisy).items()})
    finally:
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)
    return {name: 6.0 * np.std([each[name] for each in answers], axis=0, ddof=1).max() for name in answers[0]}
