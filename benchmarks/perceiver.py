"""Perceiver IO against `transformers` with torch: same machine, same weights, same threads, one run.

The masked language model on 2048 bytes and the Fourier image model on 224 x 224 pixels, forward and train
step (SGD), in hugging_face semantics. Each implementation runs in a process of its own, theirs first and
last. Needs `pip install transformers torch`.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import measure

SIZES = {"language": "deepmind/language-perceiver", "image_fourier": "deepmind/vision-perceiver-fourier"}
FORWARD_GFLOP = {"language": 121, "image_fourier": 406}  # of one example; counted from the shapes
OURS = ("jax", "tensorflow", "torch")
THREADS = "2"


def write_their_weights(kind: str, folder: str) -> None:
    """Random weights of the published size, as a Hugging Face repository on disk."""
    import torch
    import transformers

    torch.manual_seed(0)
    their_model(transformers, kind).save_pretrained(folder)


def their_model(transformers, kind: str):
    if kind == "language":
        return transformers.PerceiverForMaskedLM(transformers.PerceiverConfig())
    config = transformers.PerceiverConfig(
        num_latents=512,
        d_latents=1024,
        d_model=261,
        num_blocks=8,
        num_self_attends_per_block=6,
        num_self_attention_heads=8,
        num_cross_attention_heads=1,
        num_labels=1000,
        qk_channels=None,
        v_channels=None,
    )
    return transformers.PerceiverForImageClassificationFourier(config)


def example(kind: str, batch_size: int):
    """Inputs and targets, numpy."""
    import numpy as np

    rng = np.random.default_rng(0)
    if kind == "language":
        ids = rng.integers(6, 262, (batch_size, 2048))
        return ids.astype("int32"), ids.astype("int32")
    pixels = rng.normal(size=(batch_size, 224, 224, 3)).astype("float32")
    return pixels, rng.integers(0, 1000, (batch_size,)).astype("int32")


def fastest(run, turns: int) -> float:
    """Seconds of the fastest of some calls, after one that warms up."""
    run()
    seconds = []
    for _ in range(turns):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure_theirs(kind: str, folder: str, batch_size: int, turns: int, train: bool) -> dict:
    import torch
    import transformers

    torch.set_num_threads(int(THREADS))
    model = type(their_model(transformers, kind)).from_pretrained(folder).eval()
    x, y = (torch.from_numpy(array) for array in example(kind, batch_size))
    inputs = {"inputs": x.long()} if kind == "language" else {"inputs": x.permute(0, 3, 1, 2).contiguous()}

    def forward():
        with torch.inference_mode():
            return model(**inputs).logits

    result = {"forward": fastest(forward, turns), "logits": forward().flatten()[:8].tolist()}
    if train:
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        optimizer = torch.optim.SGD(model.parameters(), 1e-6)

        def step():
            optimizer.zero_grad()
            logits = model(**inputs).logits
            loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.long().flatten())
            loss.backward()
            optimizer.step()

        result["train"] = fastest(step, turns)
    return result


def measure_ours(kind: str, folder: str, batch_size: int, turns: int, train: bool) -> dict:
    import keras
    import numpy as np

    import zorro_keras as zk

    if keras.config.backend() == "torch":
        import torch

        torch.set_num_threads(int(THREADS))
    model = zk.weights.load(folder, semantics="hugging_face")
    name, output = ("text", "text") if kind == "language" else ("image", "label")
    x, y = example(kind, batch_size)
    x, y = {name: x}, {output: y}
    arrays = {name: keras.ops.convert_to_tensor(x[name])}
    jitted = measure.compiled_call(model)
    result = {
        "forward": fastest(lambda: jitted(arrays), turns),
        "predict": fastest(lambda: model.predict(x, batch_size=batch_size, verbose=0), turns),
        "logits": np.asarray(model.predict_on_batch(x)[output]).flatten()[:8].tolist(),
    }
    if train:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(1e-6), {output: loss})
        result["train"] = fastest(lambda: model.train_on_batch(x, y), turns)
    return result


def run_child(implementation: str, kind: str, folder: str, batch_size: int, options) -> dict:
    backend = "torch" if implementation == "transformers" else implementation
    os.environ.update(KERAS_BACKEND=backend, OMP_NUM_THREADS=THREADS)
    words = ["--measure", implementation, "--models", kind, "--folder", folder, "--batches", str(batch_size)]
    words += ["--turns", str(options.turns)] + ([] if options.train else ["--no-train"])
    return measure.run_child("perceiver.py", *words)


def rows_of(kind: str, batch_size: int, found: dict[str, dict], train: bool) -> list[measure.Row]:
    """Ratios of their seconds to ours, and how well ours uses the machine."""
    rows, what = [], f"{kind}, batch {batch_size}"
    for step, target in (("forward", 2.0), ("train", 1.5)) if train else (("forward", 2.0),):
        best = min(("jax", "tensorflow"), key=lambda name: found[name][step])
        detail = ", ".join(f"{name} {times[step]:.2f} s" for name, times in found.items())
        ratio = found["transformers"][step] / found[best][step]
        rows.append(measure.Row(f"{what}, {step}: transformers / {best}", ratio, target, detail=detail))
    for name in ("jax", "tensorflow"):
        ratio = found[name]["predict"] / found[name]["forward"]
        rows.append(measure.Row(f"{what}: predict / jitted forward, {name}", ratio, 1.1, at_most=True))
        speed = batch_size * FORWARD_GFLOP[kind] / found[name]["forward"]
        rows.append(
            measure.Row(
                f"{what}: forward, share of matmul peak, {name}",
                speed / found[name]["peak_gflops"],
                detail=f"{speed:.0f} of {found[name]['peak_gflops']:.0f} GFLOP/s",
            )
        )
    memory = {name: times["megabytes"] for name, times in found.items()}
    best = min(("jax", "tensorflow"), key=memory.get)
    detail = ", ".join(f"{name} {size:.0f} MB" for name, size in memory.items())
    target = 1.0 if kind == "image_fourier" else None
    ratio = memory["transformers"] / memory[best]
    rows.append(measure.Row(f"{what}: peak memory, transformers / {best}", ratio, target, detail=detail))
    return rows


def parse() -> argparse.Namespace:
    parser = measure.parser(__doc__)
    parser.add_argument("--models", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--turns", type=int, default=3, help="calls timed, of which the fastest counts")
    parser.add_argument("--no-train", dest="train", action="store_false", help="forward only")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.measure:
        measured = measure_theirs if options.measure == "transformers" else measure_ours
        (kind,), (batch_size,) = options.models, options.batches
        result = measured(kind, options.folder, batch_size, options.turns, options.train)
        result["megabytes"] = measure.resident_megabytes(peak=True)
        if options.measure != "transformers":
            result["peak_gflops"] = measure.matmul_flops_per_second() / 1e9
        print(json.dumps(result))
        return
    rows = []
    for kind in options.models:
        with tempfile.TemporaryDirectory() as folder:
            write_their_weights(kind, folder)
            for batch_size in options.batches:
                found = {}
                for name in ("transformers", *OURS, "transformers"):
                    times = run_child(name, kind, str(Path(folder)), batch_size, options)
                    if name in found:  # theirs, a second time: the better counts
                        times = {
                            step: min(times[step], found[name][step]) if step != "logits" else times[step]
                            for step in times
                        }
                    found[name] = times
                rows += rows_of(kind, batch_size, found, options.train)
                spread = max(
                    abs(a - b)
                    for name in OURS
                    for a, b in zip(found[name]["logits"], found["transformers"]["logits"], strict=True)
                )
                rows.append(
                    measure.Row(
                        f"{kind}, batch {batch_size}: difference of logits", spread, 1e-3, at_most=True
                    )
                )
                if not options.json:
                    measure.show(rows[-8:], as_json=False)
    measure.show(rows, options.json)


if __name__ == "__main__":
    main()
