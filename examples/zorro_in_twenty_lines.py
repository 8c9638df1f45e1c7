"""A Zorro over sound and pictures, trained with `fit` on random clips.

KERAS_BACKEND=jax python examples/zorro_in_twenty_lines.py
"""

import numpy as np

import zorro_keras as zk
from zorro_keras.applications.audio_visual_classification import AudioVisualClassifier

streams = {
    "audio": zk.streams.Spectrogram(frames=64, bins=32),
    "video": zk.streams.Video(frames=4, height_px=32, width_px=32),
}
backbone = zk.models.ZorroViTBackbone(streams, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64)
model = AudioVisualClassifier(backbone, num_classes=5)

random = np.random.default_rng(0)
clips = {
    "audio": random.normal(size=(40, 64, 32)).astype("float32"),
    "video": random.normal(size=(40, 4, 32, 32, 3)).astype("float32"),
}
labels = random.integers(0, 5, 40)
model.fit(clips, labels, batch_size=8, epochs=2)

for name, logits in model.predict(clips, verbose=0).items():
    print(f"{name:>8}: logits {logits.shape}")
