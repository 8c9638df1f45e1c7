"""Zorro on a vision transformer, on Swin and on HiP: three backbones, one promise, one classifier.

KERAS_BACKEND=jax python examples/choose_a_backbone.py
"""

import numpy as np

import zorro_keras as zk
from zorro_keras.applications.audio_visual_classification import AudioVisualClassifier

streams = {
    "audio": zk.streams.Spectrogram(frames=64, bins=32, patch=(8, 8)),  # 8 x 4 tokens
    "video": zk.streams.Video(frames=4, height_px=32, width_px=32, patch=(2, 8, 8)),  # 2 x 4 x 4
}
level = {"num_layers": 1, "num_latents": 8, "hidden_dim": 32, "num_heads": 2}
backbones = {
    # One trunk for all tokens; the routing decides what each of them attends to.
    "ViT": zk.models.ZorroViTBackbone(streams, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64),
    # A trunk for each stream, in windows on its grid; fusion tokens read both after every block.
    "Swin": zk.models.ZorroSwinBackbone(
        streams, num_layers=(2, 2), num_heads=(2, 4), hidden_dim=16, windows={"audio": (4, 4)}
    ),
    # Groups of latents for each stream, level upon level; fusion's groups read all of the level below.
    "HiP": zk.models.ZorroHiPBackbone(
        streams,
        levels=[
            {**level, "num_groups": {"audio": 2, "video": 2, "fusion": 2}},
            {**level, "num_groups": {"audio": 1, "video": 1, "fusion": 1}},
        ],
        embed_dim=32,
    ),
}

random = np.random.default_rng(0)
clip = {name: random.normal(size=(8, *stream.shape)).astype("float32") for name, stream in streams.items()}
other_video = {**clip, "video": random.normal(size=clip["video"].shape).astype("float32")}

for name, backbone in backbones.items():
    model = AudioVisualClassifier(backbone, num_classes=5)
    model.fit(clip, np.arange(8) % 5, verbose=0)
    before, after = model.predict(clip, verbose=0), model.predict(other_video, verbose=0)
    moved = [head for head in before if (before[head] != after[head]).any()]
    print(
        f"{name:>5}: {backbone.count_params():6,} parameters; another video moves {', '.join(sorted(moved))}"
    )
