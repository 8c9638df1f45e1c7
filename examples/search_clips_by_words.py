"""Sound, picture and words in one model: find clips by what is said of them, and by what is heard.

    KERAS_BACKEND=jax python examples/search_clips_by_words.py

Real clips are made, and captions for three of four. What belongs to one clip is to be told from what belongs
to others; what two clips of a kind have in common, their sound and words, so comes near one another.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np

import zorro_keras as zk
from zorro_keras.applications.audio_visual_pretraining import AudioVisualPreprocessor, AudioVisualPretrainer
from zorro_keras.applications.pipelines.generated_clips import EVENT_CLASSES, generate_clips, plan_clips
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media import decode_window

LENGTH, TRAIN, TEST = 24, 256, 64
CLIP = ClipGeometry(seconds=2.56, sample_rate_hz=8000, num_frames=16, height_px=16, width_px=16)
MEL = zk.layers.LogMelSpectrogram(
    sample_rate_hz=8000, num_bins=32, hop_seconds=0.04, max_hz=4000.0, mean=-6.0, std=4.0
)


def say(words):
    """A caption as bytes; zeros follow."""
    return np.frombuffer(words.encode()[:LENGTH].ljust(LENGTH, b"\0"), np.uint8).astype("int32")


def read(folder, split, count):
    """Arrays of the clips of a split, and which of their streams each clip has."""
    plans = plan_clips(split, count, seed=0)
    windows = [decode_window(Path(folder) / plan.path, CLIP) for plan in plans]
    blank = {"audio": np.zeros(CLIP.num_samples, "float32"), "video": np.zeros((16, 16, 16, 3), "uint8")}
    has = {name: np.array([getattr(window, name) is not None for window in windows]) for name in blank}
    x = {
        name: np.stack([zeros if getattr(w, name) is None else getattr(w, name) for w in windows])
        for name, zeros in blank.items()
    }
    x = {name: np.asarray(values) for name, values in AudioVisualPreprocessor(CLIP, MEL)(x).items()}
    x["caption"] = np.stack([say(f"something that will {plan.label}") for plan in plans])
    return {**x, "presence": {**has, "caption": np.arange(count) % 4 != 3}}, plans


def main():
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        generate_clips(folder, count=TRAIN, test_count=TEST)
        clips, _ = read(folder, "train", TRAIN)
        others, plans = read(folder, "test", TEST)
    streams = {
        "audio": zk.streams.Spectrogram(64, 32, patch=(8, 16)),
        "video": zk.streams.Video(16, 16, 16, patch=(4, 8, 8)),
        "caption": zk.streams.Tokens(LENGTH, vocabulary_size=256),
    }
    sizes = {"num_layers": 2, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 128, "num_fusion_tokens": 4}
    model = AudioVisualPretrainer(zk.models.ZorroViTBackbone(streams, **sizes), projection_dim=32)
    model.compile(keras.optimizers.AdamW(2e-3))
    model.fit(clips, batch_size=32, epochs=20, verbose=2)

    found = model.predict(others, verbose=0)
    kinds = np.array([plan.label for plan in plans])
    audible = np.array([plan.audible for plan in plans])
    asked = {"caption": np.stack([say(f"something that will {kind}") for kind in EVENT_CLASSES])}
    asked = model.predict(asked, verbose=0)
    likeness = asked["caption_to_audio"] @ found["audio_to_caption"][audible].T
    hits = kinds[audible][likeness.argmax(axis=1)]
    for kind, hit in zip(EVENT_CLASSES, hits, strict=True):
        print(f"heard, asked for something that will {kind}: something that will {hit}")
    print(f"{(hits == EVENT_CLASSES).sum()} of {len(hits)} words found their sound")


if __name__ == "__main__":
    main()
