"""A flow model that is built in a moment, and settings that train it in seconds."""

import numpy as np

SIZE = (16, 20)
SIZES = {"embed_dim": 8, "num_bands": 2, "num_latents": 3, "latent_dim": 8, "num_layers": 1, "num_heads": 2}
SETTINGS = [
    "data.size_px=16,20",
    "data.on_error=skip",
    "data.max_bad_fraction=0.3",
    "data.augmentation.plain_fraction=0.4",
    "data.augmentation.erase_rate=0.5",
    *(f"model.{name}={size}" for name, size in SIZES.items()),
    "training.batch_size=4",
    "training.epochs=2",
]


class NoMotion:
    """Stands in for a `TiledFlow`."""

    def places(self, size_px):
        return []

    def __call__(self, first, second):
        return np.zeros((*first.shape[:2], 2), "float32")
