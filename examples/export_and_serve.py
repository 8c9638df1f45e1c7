"""Export a classifier and ask the SavedModel, in a process that knows nothing of this library.

KERAS_BACKEND=jax python examples/export_and_serve.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import zorro_keras as zk
from zorro_keras.applications.audio_visual_classification import (
    AudioVisualClassifier,
    AudioVisualPreprocessor,
)
from zorro_keras.applications.pipelines.geometry import ClipGeometry

CLIENT = """
import sys, json, pathlib
import numpy as np, tensorflow as tf

served = tf.saved_model.load(sys.argv[1])
labels = json.loads((pathlib.Path(sys.argv[1]) / "assets/labels.json").read_text())["label_names"]
picture = tf.constant(np.random.randint(0, 256, (1, 4, 32, 32, 3)), tf.uint8)
answer = served.signatures["serve_raw_video"](video=picture)
best = int(np.argmax(answer["video_probabilities"]))
print(f"served from the picture alone: {labels[best]}")
print("with this library loaded:", "zorro_keras" in sys.modules)
"""

streams = {
    "audio": zk.streams.Spectrogram(frames=64, bins=32),
    "video": zk.streams.Video(frames=4, height_px=32, width_px=32),
}
backbone = zk.models.ZorroViTBackbone(streams, num_layers=1, num_heads=2, hidden_dim=32, mlp_dim=64)
preprocessor = AudioVisualPreprocessor(
    ClipGeometry(seconds=0.64, sample_rate_hz=16000, num_frames=4, height_px=32, width_px=32),
    zk.layers.LogMelSpectrogram(sample_rate_hz=16000, num_bins=32),
    label_names=["bounce", "spin", "swing"],
)
model = AudioVisualClassifier(backbone, num_classes=3, preprocessor=preprocessor)

with tempfile.TemporaryDirectory() as folder:
    exported = model.export(Path(folder) / "served")
    print("endpoints:", ", ".join(exported["endpoints"]))
    worst = exported["parity"]["worst"]
    print("furthest from the model:", worst, exported["parity"]["endpoints"][worst]["random"])
    client = [sys.executable, "-c", CLIENT, exported["saved_model"]]
    print(subprocess.run(client, capture_output=True, text=True, check=True).stdout)
