"""Published models, tiny ones, as a person downloads them, and as `zorro-keras convert` leaves them."""

import numpy as np
import pytest

from tests.applications.published_sizes import IMAGE, LANGUAGE, LENGTH, NAMES, SIDE


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Folders as a person downloads them, and the backbones that were written there."""
    from zorro_keras import weights
    from zorro_keras.models import PerceiverIOBackbone

    root, models = tmp_path_factory.mktemp("published"), {}
    for name, variant, sizes in (
        ("words", "language", {**LANGUAGE, "length": LENGTH}),
        ("pictures", "image_learned", {**IMAGE, "size_px": SIDE, "num_classes": len(NAMES)}),
    ):
        sizes["attention_dropout_rate"] = 0.1  # as in the published ones
        models[name] = PerceiverIOBackbone.from_variant(variant, "hugging_face", **sizes)
        rng = np.random.default_rng(1)
        for weight in models[name].trainable_variables:
            weight.assign(rng.normal(0.0, 0.3, weight.shape))
        weights.save_hugging_face(models[name], root / name, NAMES if name == "pictures" else None)
    return root, models


@pytest.fixture(scope="session")
def presets(published, tmp_path_factory):
    from zorro_keras.applications import cli

    root, folder = published[0], tmp_path_factory.mktemp("presets")
    for name in ("words", "pictures"):
        assert cli.main(["convert", str(root / name), str(folder / name)]) == 0
    return folder
