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

# Somewhere in a noisy picture is a bright spot. Question 0 asks for its row, question 1 for its column.
rng = np.random.default_rng(0)
places, questions = rng.integers(0, 8, (4096, 2)), rng.integers(0, 2, (4096, 1))
pictures = rng.normal(0, 0.3, (4096, 8, 8, 1)).astype("float32")
spots = np.zeros((4096, 64, 1), "float32")
for picture, spot, (row, column) in zip(pictures, spots, places, strict=True):
    picture[row, column] += 2.0
    spot[8 * row + column] = 1.0
answers = np.take_along_axis(places, questions, axis=1)[:, 0]

model = zk.models.PerceiverIOBackbone(
    input_adapters={
        "picture": InputAdapter(
            zk.streams.Image(8, 8, channels=1, patch=(1, 1)), positions=FourierPositions((8, 8), 8)
        ),
        "question": InputAdapter(zk.streams.Tokens(1, vocabulary_size=2), embed_dim=16),
    },
    encoder=PerceiverEncoder(num_latents=8, latent_dim=64, num_layers=2, num_heads=4),
    output_adapters={
        "answer": OutputAdapter(LearnedArray(1, 64), ClassificationHead(8)),
        "spot": OutputAdapter(FourierPositions((8, 8), 8), keras.layers.Dense(1)),
    },
    decoder=PerceiverDecoder(num_heads=4),
)
model.compile(
    keras.optimizers.Adam(3e-3),
    loss={
        "answer": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "spot": keras.losses.BinaryCrossentropy(from_logits=True),
    },
    metrics={"answer": "accuracy"},
)
x, y = {"picture": pictures, "question": questions}, {"answer": answers, "spot": spots}
train, test = slice(0, 3584), slice(3584, None)


def cut(arrays, part):
    return {name: array[part] for name, array in arrays.items()}


model.fit(cut(x, train), cut(y, train), batch_size=64, epochs=8, verbose=2)
scores = model.evaluate(cut(x, test), cut(y, test), batch_size=128, verbose=0, return_dict=True)
print(f"answers right on held-out pictures: {scores['answer_accuracy']:.0%} (by chance 13 %)")

# Encode once, ask many times: only two points of the map, without the rest.
latents = model.encode(cut(x, slice(0, 1)))
where = 8 * places[0, 0] + places[0, 1]
asked = model.decode(latents, outputs=["spot"], rows={"spot": np.array([where, (where + 9) % 64])})
print("the spot and a place beside it:", np.round(keras.ops.convert_to_numpy(asked["spot"]).ravel(), 1))
