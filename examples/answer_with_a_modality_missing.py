"""One model, any subset of its streams: left out of the call, or absent from single examples.

KERAS_BACKEND=jax python examples/answer_with_a_modality_missing.py
"""

import numpy as np
from keras import ops

import zorro_keras as zk

streams = {
    "audio": zk.streams.Spectrogram(frames=64, bins=32),
    "video": zk.streams.Video(frames=4, height_px=32, width_px=32),
}
backbone = zk.models.ZorroViTBackbone(streams, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64)

random = np.random.default_rng(0)
audio = random.normal(size=(3, 64, 32)).astype("float32")
video = random.normal(size=(3, 4, 32, 32, 3)).astype("float32")


def distance(one, other):
    return np.abs(ops.convert_to_numpy(one) - ops.convert_to_numpy(other)).max()


both = backbone({"audio": audio, "video": video})
print("both:      ", sorted(both))

alone = backbone({"audio": audio})
print("audio only:", sorted(alone))
print("audio's output differs from the joint call's by", distance(alone["audio"], both["audio"]))

# One batch may mix: the second clip has no picture, and what stands in its place does not matter.
video[1] = np.nan
mixed = backbone({"audio": audio, "video": video, "presence": {"video": np.array([True, False, True])}})
print(
    "second clip, fusion with no video against audio only:", distance(mixed["fusion"][1], alone["fusion"][1])
)
print("second clip, video output:", distance(mixed["video"][1], np.zeros(32)))

# Sound encoded once, then joined with a picture that comes later.
memory = backbone.remember({"audio": audio[:1]})
late = backbone.join({"video": video[:1]}, memory)
print("joined late, fusion differs from the joint call's by", distance(late["fusion"][0], both["fusion"][0]))
