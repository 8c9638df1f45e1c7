"""One graph of TensorFlow takes open lengths: other backends know all sizes when they trace."""

import keras
import numpy as np
import pytest

from tests.backend import array
from zorro_keras import layers, streams
from zorro_keras.models import PerceiverIOBackbone

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="needs TensorFlow as the backend"),
]


def build(key_chunk=None, query_chunk=None):
    """Returns a model of a picture, a text and a sound; the picture's elements ask for one of the outputs."""
    return PerceiverIOBackbone(
        {
            "image": layers.InputAdapter(
                streams.Image(4, 6, patch=(2, 2)), positions=layers.FourierPositions(None, 2, (8, 8))
            ),
            "text": layers.InputAdapter(streams.Tokens(11, 13), 4, positions=layers.LearnedArray(11, 3)),
            "sound": layers.InputAdapter(
                streams.Waveform(20, (4,)), positions=layers.FourierPositions(None, 2, (64,))
            ),
        },
        layers.PerceiverEncoder(3, 8, 1, num_heads=2, key_chunk=key_chunk),
        {
            "label": layers.OutputAdapter(layers.LearnedArray(2, 8), layers.ClassificationHead(3)),
            "tags": layers.OutputAdapter("image", keras.layers.Dense(2)),
        },
        layers.PerceiverDecoder(query_chunk=query_chunk),
        mask_rates={"sound": 0.5},
    )


def given(rows, columns, length, samples, seed=0):
    draw = np.random.default_rng(seed)
    return {
        "image": draw.normal(size=(2, rows, columns, 3)).astype("float32"),
        "text": draw.integers(0, 13, (2, length)).astype("int32"),
        "sound": draw.normal(size=(2, samples)).astype("float32"),
        "padding_mask": {"text": np.arange(length)[None] < np.array([[length], [2]])},
        "presence": {"sound": np.array([True, False])},
    }


@pytest.mark.parametrize("chunks", [{}, {"key_chunk": 5, "query_chunk": 4}])
def test_one_graph_takes_pictures_texts_and_sounds_of_every_size(chunks):
    import tensorflow as tf

    model = build(**chunks)
    signature = {
        "image": tf.TensorSpec((None, None, None, 3)),
        "text": tf.TensorSpec((None, None), tf.int32),
        "sound": tf.TensorSpec((None, None)),
        "padding_mask": {"text": tf.TensorSpec((None, None), tf.bool)},
        "presence": {"sound": tf.TensorSpec((None,), tf.bool)},
    }
    graph = tf.function(lambda x: model(x), input_signature=[signature])
    for sizes in ((4, 6, 11, 20), (8, 2, 5, 32), (2, 2, 3, 4)):
        x = given(*sizes)
        found = graph(tf.nest.map_structure(tf.constant, x))
        for name, expected in model(x).items():
            np.testing.assert_allclose(array(found[name]), array(expected), atol=1e-4)
    assert graph.experimental_get_tracing_count() == 1


def test_rows_of_an_unknown_number_are_answered_by_one_graph():
    import tensorflow as tf

    model = build()
    x = {name: value for name, value in given(4, 6, 11, 20).items() if name != "presence"}
    latents = model.encode(x)
    whole = array(model.decode(latents, outputs=["tags"], inputs=x)["tags"])
    graph = tf.function(
        lambda rows: model.decode(latents, outputs=["tags"], inputs=x, rows={"tags": rows})["tags"],
        input_signature=[tf.TensorSpec((None,), tf.int32)],
    )
    for rows in ([5, 0], [1, 2, 3]):
        np.testing.assert_allclose(array(graph(tf.constant(rows))), whole[:, rows], atol=1e-5)
