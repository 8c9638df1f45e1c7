"""Runs a SavedModel as if neither Keras nor this library were installed.

Run it as a script: `python -P bare_saved_model.py SAVED_MODEL INPUTS.npz ENDPOINT OUTPUTS.npz`.
It proves that an export stands alone, and shows all the code that a client needs.
"""

import sys

HIDDEN = ("keras", "keras_hub", "keras_nlp", "tf_keras", "zorro_keras")


class Hiding:
    """Finds modules as another finder does, but none of the hidden packages."""

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            return None
        return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)


def main(saved_model, inputs, endpoint, outputs):
    """Answers the arrays of one npz file, named by stream, and writes the answers to another."""
    sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
    import numpy as np
    import tensorflow as tf

    serve = tf.saved_model.load(saved_model).signatures[endpoint]
    with np.load(inputs) as arrays:
        answers = serve(**{name: tf.constant(arrays[name]) for name in arrays.files})
    np.savez(outputs, **{name: values.numpy() for name, values in answers.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
