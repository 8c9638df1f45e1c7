"""A small autoencoder, and clips for it."""

import numpy as np

from zorro_keras.models import PerceiverIOBackbone

FRAMES, SIZE, SAMPLES, CLASSES = 3, (4, 10), 35, 11
PIXELS, PATCHES = 120, 7
SIZES = {
    "num_frames": FRAMES, "size_px": SIZE, "num_samples": SAMPLES, "samples_per_patch": 5,
    "num_classes": CLASSES, "video_patch": (1, 2, 2), "num_bands": 2, "num_audio_bands": 3, "num_latents": 5,
    "latent_dim": 8, "num_layers": 1, "num_heads": 2, "label_query_dim": 13, "output_dim": 9,
}  # fmt: skip


def backbone(**changes):
    return PerceiverIOBackbone.from_variant("autoencoder", **{**SIZES, **changes})


def clips(batch=2, seed=0):
    """Inputs of the model, sound and picture in their ranges, every label visible."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, batch)
    x = {
        "audio": rng.uniform(-1, 1, (batch, SAMPLES)).astype("float32"),
        "image": rng.uniform(0, 1, (batch, FRAMES, *SIZE, 3)).astype("float32"),
        "label": np.eye(CLASSES, dtype="float32")[labels][:, None],
    }
    return x, labels


def hidden(x):
    """The inputs without their label."""
    return {name: values for name, values in x.items() if name != "label"}
