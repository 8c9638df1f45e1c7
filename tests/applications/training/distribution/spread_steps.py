"""A script: two steps of each kind of model, on one device and spread over all, as numbers to compare.

Run with `--xla_force_host_platform_device_count=8` in XLA_FLAGS. Prints one line of JSON.
"""

import argparse
import io
import json

import keras
import numpy as np
from rich.console import Console

import zorro_keras as zk
from zorro_keras import layers, streams
from zorro_keras.applications.audio_visual_classification import AudioVisualClassifier
from zorro_keras.applications.audio_visual_pretraining import AudioVisualPretrainer
from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.distribution.devices import spread
from zorro_keras.applications.training.distribution.layouts import report_split

BATCH, CLASSES, DROPOUT = 16, 5, 0.3
STREAMS = {
    "audio": streams.Spectrogram(frames=4, bins=6, patch=(2, 3)),
    "video": streams.Video(frames=2, height_px=4, width_px=6, patch=(1, 2, 3)),
}
SIZES = {
    "vit": {"num_layers": 1, "num_heads": 4, "hidden_dim": 8, "mlp_dim": 12, "num_fusion_tokens": 3},
    "swin": {
        **{"num_layers": (1,), "num_heads": (4,), "hidden_dim": 8, "mlp_ratio": 2, "num_fusion_tokens": 3},
        "windows": {"audio": (2, 2), "video": (2, 2, 2)},
    },
    "hip": {
        "levels": [
            {
                "num_groups": {"audio": 1, "video": 2, "fusion": 1},
                **{"num_layers": 1, "num_latents": 2, "hidden_dim": 8, "num_heads": 2},
            }
        ],
        "embed_dim": 5,  # 4 devices do not divide what the first reading makes of it
    },
}
BACKBONES = {
    "vit": zk.models.ZorroViTBackbone,
    "swin": zk.models.ZorroSwinBackbone,
    "hip": zk.models.ZorroHiPBackbone,
}
WAYS = {
    "one": TrainingConfig(batch_size=BATCH),
    "data": TrainingConfig(batch_size=BATCH, distribute="data"),
    "model": TrainingConfig(batch_size=BATCH, distribute="model", model_devices=4),
}


def supervised(kind):
    backbone = BACKBONES[kind](STREAMS, **SIZES[kind], **({"dropout_rate": DROPOUT} if kind == "vit" else {}))
    return AudioVisualClassifier(backbone, num_classes=CLASSES)


def contrastive(kind):
    return AudioVisualPretrainer(BACKBONES[kind](STREAMS, **SIZES[kind]), projection_dim=7)


def perceiver(_):
    model = zk.models.PerceiverIOBackbone(
        {
            "sound": layers.InputAdapter(
                streams.Waveform(12, patch=(4,)), positions=layers.LearnedArray(3, 5)
            ),
            "image": layers.InputAdapter(
                streams.Image(4, 6, patch=(2, 2)),
                positions=layers.FourierPositions((2, 3), 2, max_resolution=(4, 4)),
            ),
        },
        # With `remat` its blocks are one loop over their weights.
        layers.PerceiverEncoder(5, 8, num_layers=2, num_heads=4, dropout_rate=DROPOUT, remat=True),
        {
            "label": layers.OutputAdapter(layers.LearnedArray(1, 8), layers.ClassificationHead(CLASSES)),
            "pixels": layers.OutputAdapter("image"),
        },
        layers.PerceiverDecoder(num_heads=4, output_dim=3),
        input_padding=1,
    )
    return model


MODELS = {
    **{f"{kind}, supervised": (supervised, kind) for kind in SIZES},
    **{f"{kind}, contrastive": (contrastive, kind) for kind in SIZES},
    "perceiver io": (perceiver, None),
}


def batches(name):
    """Returns what `train_on_batch` takes: some examples lack a stream."""
    random = np.random.default_rng(0)

    def normal(*shape):
        return random.normal(size=(BATCH, *shape)).astype("float32")

    labels = np.eye(CLASSES, dtype="float32")[random.integers(CLASSES, size=BATCH)]
    if name == "perceiver io":
        return {"sound": normal(12), "image": normal(4, 6, 3)}, {"label": labels, "pixels": normal(6, 3)}
    x = {name: normal(*stream.shape) for name, stream in STREAMS.items()}
    x["presence"] = {"audio": np.arange(BATCH) != 2, "video": np.arange(BATCH) % 8 != 5}
    return (x, labels) if name.endswith("supervised") else (x, None)


def trained(name):
    """Returns the losses of two steps, how far each array had moved after them, and the model."""
    keras.utils.set_random_seed(3)
    make, kind = MODELS[name]
    model = make(kind)
    loss = {"loss": "mse"} if name == "perceiver io" else {}
    model.compile(keras.optimizers.SGD(0.01), **loss)
    report_split(model, Console(file=io.StringIO()))
    x, y = batches(name)
    before = [np.array(weight.value) for weight in model.trainable_variables]
    losses, steps = [], []
    for _ in range(2):
        losses.append(float(model.train_on_batch(x, y, return_dict=True)["loss"]))
        after = [np.array(weight.value) for weight in model.trainable_variables]
        steps.append([new - old for new, old in zip(after, before, strict=True)])
    return losses, steps, model


def split_of(model):
    """Returns path -> shape of the weight and of one device's piece of it."""
    return {
        weight.path: [list(weight.shape), list(weight.value.addressable_shards[0].data.shape)]
        for weight in model.trainable_variables
    }


def compared(name):
    found = {}
    for way, config in WAYS.items():
        if way == "model" and name.endswith("contrastive"):  # its backbone is split as under supervision
            continue
        with spread(config, Console(file=io.StringIO())) as devices:
            losses, steps, model = trained(name)
            found[way] = {"losses": losses, "devices": devices.count, "replicas": devices.replicas}
            found[way]["split"] = sum(whole != piece for whole, piece in split_of(model).values())
        if way == "one":
            alone = steps
            found[way]["step"] = min(max(float(abs(array).max()) for array in step) for step in steps)
        found[way]["difference"] = max(
            float(abs(a - b).max())
            for mine, theirs in zip(steps, alone, strict=True)
            for a, b in zip(mine, theirs, strict=True)
        )
    return found


def built(name):
    """Returns what lies where after building alone."""
    with spread(WAYS["model"], Console(file=io.StringIO())):
        make, kind = MODELS[name]
        return split_of(make(kind))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", nargs="*", default=[])
    parser.add_argument("--pieces", nargs="*", default=[])
    asked = parser.parse_args()
    pieces = {name: built(name) for name in asked.pieces}  # first, while Keras has not counted any name
    print(json.dumps({"pieces": pieces, "steps": {name: compared(name) for name in asked.steps}}))
