"""LiteRT's int8 is for what a model has learnt, not for the filters before it."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf

from zorro_keras.applications.training.litert_file import write_litert

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
]
random = np.random.default_rng(0)
FILTERS = np.abs(random.normal(size=(41, 59))).astype("float32")


class Loaded(tf.Module):
    """Loudness in bands, by filters that are a constant, and a learnt layer on it."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(random.normal(size=(59, 31)).astype("float32") / 59)

    @tf.function(input_signature=[tf.TensorSpec((None, 41), tf.float32, name="energy")], autograph=False)
    def answer(self, energy):
        return {"logits": tf.matmul(tf.math.log(tf.matmul(energy, FILTERS) + 1e-6), self.kernel)}


def test_filters_stay_float32_and_kernels_become_int8(tmp_path):
    loaded = Loaded()
    write_litert(loaded, loaded.answer.get_concrete_function(), None, tmp_path / "a.tflite", int8=True)
    interpreter = tf.lite.Interpreter(model_path=str(tmp_path / "a.tflite"))
    kinds = {
        tuple(sorted(tensor["shape"])): tensor["dtype"].__name__
        for tensor in interpreter.get_tensor_details()
        if tensor["shape"].size == 2
    }
    assert kinds[31, 59] == "int8" and kinds[41, 59] == "float32"
    # One energy is a million times another, as those of sound are: int8 has no number for it.
    energy = (10.0 ** random.uniform(-3, 3, (7, 41))).astype("float32")
    energy[:, :20] = 0.0
    run = interpreter.get_signature_runner()
    found = run(energy=energy)["logits"]
    expected = loaded.answer(tf.constant(energy))["logits"].numpy()
    assert 0 < np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
