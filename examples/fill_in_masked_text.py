"""Trains a byte-level masked language model on a handful of sentences, and fills in what is hidden.

    python examples/fill_in_masked_text.py

A toy that learns its seven sentences by heart in half a minute. The same calls serve a trained preset:
`MaskedLanguageModel.from_preset("runs/first/preset")`.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

from zorro_keras.applications.masked_language import build_model, fill_in
from zorro_keras.applications.masked_language.config import TINY
from zorro_keras.applications.training.config import apply_overrides

keras.utils.set_random_seed(0)
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
texts = [f"{day} comes before {DAYS[(number + 1) % 7]}." for number, day in enumerate(DAYS)]

sizes = ["num_latents=16", "latent_dim=64", "embed_dim=32", "query_key_dim=32", "num_layers=1"]
sizes += ["embedding_stddev=0.3"]
config = apply_overrides(TINY, ["data.length=32", "data.mask_rate=0.3", *(f"model.{size}" for size in sizes)])
model = build_model(config)
steps, batch_size = 150, 56
schedule = keras.optimizers.schedules.CosineDecay(1e-3, steps - 15, warmup_target=1e-2, warmup_steps=15)
model.compile(keras.optimizers.AdamW(schedule, global_clipnorm=1.0))
print(f"{model.count_params():,} parameters, {len(texts)} sentences")

# Whole words are hidden anew at every look, so a sentence seen often is never seen twice the same.
history = model.fit(texts * (steps * batch_size // 7), batch_size=batch_size, verbose=0).history
print(f"bits per hidden byte, over all of training: {history['bits_per_byte'][-1]:.2f}")

# A mark stands for a number of bytes. Hide the space before a word together with it.
for question in ("Monday comes before[MASK*8].", "Friday comes[MASK*7] Saturday."):
    print(question)
    for completion in fill_in(model, question, top=3):
        print(f"  {completion.probability:6.1%} {completion.spans[0]!r}")
