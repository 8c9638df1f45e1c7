"""Streams are dictionary keys: add text to sound and pictures, and say who reads it.

KERAS_BACKEND=jax python examples/add_a_third_stream.py
"""

import numpy as np

import zorro_keras as zk

streams = {
    "audio": zk.streams.Spectrogram(frames=64, bins=32),
    "video": zk.streams.Video(frames=4, height_px=32, width_px=32),
    "caption": zk.streams.Tokens(length=12, vocabulary_size=262),  # UTF-8 bytes and six specials
}
# A fusion stream for sound and picture alone, beside the one that reads everything.
routing = zk.Routing(
    {
        "audio": ["audio"],
        "video": ["video"],
        "caption": ["caption"],
        "seen_and_heard": ["audio", "video", "seen_and_heard"],
        "fusion": ["audio", "video", "caption", "fusion"],
    },
    pure=["audio", "video", "caption"],
)
backbone = zk.models.ZorroViTBackbone(
    streams, routing=routing, num_fusion_tokens=4, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64
)

random = np.random.default_rng(0)
inputs = {
    "audio": random.normal(size=(2, 64, 32)).astype("float32"),
    "video": random.normal(size=(2, 4, 32, 32, 3)).astype("float32"),
    "caption": random.integers(0, 262, size=(2, 12)),
    "padding_mask": {"caption": np.arange(12) < np.array([[12], [7]])},  # the second caption is shorter
}
for name, output in backbone(inputs).items():
    print(f"{name:>15}: {tuple(output.shape)}")
print("\nIf the caption changes, these can change:", sorted(backbone.dependents("caption")))
