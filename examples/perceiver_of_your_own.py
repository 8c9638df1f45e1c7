"""A Perceiver IO for inputs and outputs of your own: a picture and a question in, an answer and a map out.

KERAS_BACKEND=jax python examples/perceiver_of_your_own.py
"""

import keras
import numpy as np

import zorro_keras as zk
from zorro_keras.layers import (
    ClassificationHead,
    FourierPositions,
    InputAdapter,
    LearnedArray,
    OutputAdapter,
    PerceiverDecoder,
    PerceiverEncoder,
)

# One quarter of a noisy picture is bright. Question 0 asks whether it is a lower one, question 1 a right one.
rng = np.random.default_rng(0)
quarters, questions = rng.integers(0, 2, (3072, 2)), rng.integers(0, 2, (3072, 1))
rows, columns = np.divmod(np.arange(64), 8)
bright = (rows // 4 == quarters[:, :1]) & (columns // 4 == quarters[:, 1:])
pictures = (rng.normal(0, 1, (3072, 64)) + bright).reshape(3072, 8, 8, 1).astype("float32")
bright = bright[..., None].astype("float32")
answers = np.take_along_axis(quarters, questions, axis=1)[:, 0]

model = zk.models.PerceiverIOBackbone(
    input_adapters={
        "picture": InputAdapter(
            zk.streams.Image(8, 8, channels=1, patch=(1, 1)), positions=FourierPositions((8, 8), 8)
        ),
        "question": InputAdapter(zk.streams.Tokens(1, vocabulary_size=2), embed_dim=16),
    },
    encoder=PerceiverEncoder(num_latents=8, latent_dim=32, num_layers=2, num_heads=4),
    output_adapters={
        "answer": OutputAdapter(LearnedArray(1, 32), ClassificationHead(2)),
        "bright": OutputAdapter(FourierPositions((8, 8), 8), keras.layers.Dense(1)),
    },
    decoder=PerceiverDecoder(num_heads=4),
)
model.compile(
    keras.optimizers.Adam(3e-3),
    loss={
        "answer": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "bright": keras.losses.BinaryCrossentropy(from_logits=True),
    },
    metrics={"answer": "accuracy"},
)
x, y = {"picture": pictures, "question": questions}, {"answer": answers, "bright": bright}
train, test = slice(0, 2560), slice(2560, None)


def cut(arrays, part):
    return {name: array[part] for name, array in arrays.items()}


model.fit(cut(x, train), cut(y, train), batch_size=64, epochs=12, verbose=2)
scores = model.evaluate(cut(x, test), cut(y, test), batch_size=128, verbose=0, return_dict=True)
print(f"answers right on held-out pictures: {scores['answer_accuracy']:.0%} (by chance 50 %)")

# Encode once, ask many times: only two points of the map, without the rest.
latents = model.encode(cut(x, slice(0, 1)))
corners = model.decode(latents, outputs=["bright"], rows={"bright": np.array([0, 63])})["bright"]
print("upper left and lower right corner:", np.round(keras.ops.convert_to_numpy(corners).ravel(), 1))
