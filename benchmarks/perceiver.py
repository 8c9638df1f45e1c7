"""Perceiver IO against `transformers` with torch: same machine, same weights, same two cores, one run.

The masked language model on 2048 bytes and the Fourier image model on 224 x 224 pixels, forward and train
step (SGD), in hugging_face semantics. Each implementation runs in a process of its own, theirs first and
last; theirs in inference mode, with eager attention, the only one that their Perceiver has. Needs Linux and
`pip install transformers torch`.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import measure
import speed

SIZES = {"language": "deepmind/language-perceiver", "image_fourier": "deepmind/vision-perceiver-fourier"}
PARAMETERS = {"language": 201_108_230, "image_fourier": 48_440_627}
FORWARD_GFLOP = {"language": 121, "image_fourier": 406}  # of one example; counted from the shapes
PASSES = {"forward": 1, "train": 3}  # the two gradients of a product cost as much as itself each
OURS = ("jax", "tensorflow", "torch")
MEMORY = "-memory"  # of a process of its own: slower, and JAX and torch without TensorFlow
KEY_CHUNK = {"image_fourier": 6272}  # of 50,176 pixels; on JAX, where it costs no time
THREADS = 2
QUICK_LANGUAGE = {
    "num_latents": 16,
    "d_latents": 64,
    "d_model": 48,
    "num_self_attends_per_block": 2,
    "qk_channels": 32,
    "v_channels": 64,
}
NO_DROPOUT = {"attention_probs_dropout_prob": 0.0}  # in neither: the steps are compared, not the draws
# Examples at least that `predict` is given: on TensorFlow each call begins with 0.2 s for `tf.data`.
PREDICTED = 16


def pin() -> None:
    """Gives this process, and every thread that it will start, as many cores as the others have."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


def write_their_weights(kind: str, folder: str, quick: bool) -> dict:
    """Random weights of the published size, or of a small one, as a Hugging Face repository on disk."""
    import torch
    import transformers

    torch.manual_seed(0)
    their_model(transformers, kind, quick).save_pretrained(folder)
    return {}


def their_model(transformers, kind: str, quick: bool = False):
    if kind == "language":
        # The published widths: the class's own defaults are others.
        sizes = QUICK_LANGUAGE if quick else {"qk_channels": 256, "v_channels": 1280}
        return transformers.PerceiverForMaskedLM(transformers.PerceiverConfig(**NO_DROPOUT, **sizes))
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
        **NO_DROPOUT,
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


def timed(step: str, run, turns: int) -> dict[str, float]:
    """Fewest seconds, and fewest seconds of all its threads together, of some calls after one that warms up.

    The second figure holds where other work takes turns with this process.
    """
    run()
    clocks = {step: time.perf_counter, f"{step}_processor": time.process_time}
    seconds = {name: [] for name in clocks}
    for _ in range(turns):
        start = {name: clock() for name, clock in clocks.items()}
        run()
        for name, clock in clocks.items():
            seconds[name].append(clock() - start[name])
    return {name: min(values) for name, values in seconds.items()}


def measure_theirs(kind: str, folder: str, batch_size: int, turns: int, train: bool, quick: bool) -> dict:
    import torch
    import transformers

    torch.set_num_threads(THREADS)
    model = type(their_model(transformers, kind, quick)).from_pretrained(folder).eval()
    model.to(measure.torch_device())
    x, y = (torch.from_numpy(array).to(measure.torch_device()) for array in example(kind, batch_size))
    inputs = {"inputs": x.long()} if kind == "language" else {"inputs": x.permute(0, 3, 1, 2).contiguous()}

    def forward():
        with torch.inference_mode():
            return model(**inputs).logits

    result = {
        **timed("forward", measure.waiting(forward, measure.wait_for_torch), turns),
        "forward_megabytes": measure.torch_megabytes(peak=True),
        "logits": written(folder, "transformers", forward().cpu().numpy()),
    }
    if train:
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), 1e-6)

        def step():
            optimizer.zero_grad()
            logits = model(**inputs).logits
            loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.long().flatten())
            loss.backward()
            optimizer.step()

        result |= timed("train", measure.waiting(step, measure.wait_for_torch), turns)
        result["train_megabytes"] = measure.torch_megabytes(peak=True)
    return result


def measure_ours(kind: str, folder: str, batch_size: int, turns: int, train: bool, quick: bool) -> dict:
    import keras
    import numpy as np

    import zorro_keras as zk

    if keras.config.backend() == "torch":
        import torch

        torch.set_num_threads(THREADS)
    model = zk.weights.load(folder, semantics="hugging_face")
    if not quick and model.count_params() != PARAMETERS[kind]:
        raise ValueError(
            f"The published size has {PARAMETERS[kind]} parameters. Received: {model.count_params()}"
        )
    if keras.config.backend() == "jax":
        model.encoder.set_key_chunk(KEY_CHUNK.get(kind))
    name, output = ("text", "text") if kind == "language" else ("image", "label")
    x, y = example(kind, batch_size)
    x, y = {name: x}, {output: y}
    arrays = {name: keras.ops.convert_to_tensor(x[name])}
    jitted = measure.compiled_call(model)
    batches = -(-PREDICTED // batch_size)
    many = {name: np.concatenate([x[name]] * batches)}
    result = timed("forward", lambda: jitted(arrays), turns)
    result["forward_megabytes"] = speed.megabytes(peak=True)
    result |= {
        **timed("predict", lambda: model.predict(many, batch_size=batch_size, verbose=0), turns),
        "logits": written(folder, keras.config.backend(), model.predict_on_batch(x)[output]),
    }
    if train:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(1e-6), {output: loss})
        result |= timed("train", lambda: model.train_on_batch(x, y), turns)
        result["train_megabytes"] = speed.megabytes(peak=True)
    result["peak_gflops"] = speed.matmul_flops_per_second("float32", 256 if quick else None) / 1e9
    return result


def written(folder: str, name: str, logits) -> str:
    """Writes all logits; returns where."""
    import numpy as np

    path = Path(folder) / f"{name}.npy"
    np.save(path, np.asarray(logits))
    return str(path)


def run_child(implementation: str, kind: str, folder: str, batch_size: int, options) -> dict:
    backend = "torch" if implementation.startswith("transformers") else implementation.partition("-")[0]
    os.environ.update(KERAS_BACKEND=backend, OMP_NUM_THREADS=str(THREADS))
    words = ["--measure", implementation, "--models", kind, "--folder", folder, "--batches", str(batch_size)]
    words += ["--turns", str(options.turns)] + ([] if options.train else ["--no-train"])
    words += ["--quick"] * options.quick
    environment = measure.RETURN_FREED_MEMORY if implementation.endswith(MEMORY) else {}
    return measure.run_child("perceiver.py", *words, **environment)


def rows_of(kind, batch_size: int, found: dict[str, dict], memory: dict, options) -> list[measure.Row]:
    """Ratios of their figures to ours, how well ours uses the machine, and whether all logits agree."""
    rows, what = [], f"{kind}, batch {batch_size}"
    ours = [name for name in found if name in OURS]
    promised = [name for name in ours if name != "torch"] or ours
    targets = {"forward": 2.0, "train": 1.5} if options.train else {"forward": 2.0}
    peak = max(found[name]["peak_gflops"] for name in ours)
    for step, target in targets.items():
        rows += [
            times_row(f"{what}, {step}", step, found, promised, target),
            times_row(f"{what}, {step}, processor time", f"{step}_processor", found, promised),
        ]
        gflop = PASSES[step] * batch_size * FORWARD_GFLOP[kind]
        for name, times in found.items() if not options.quick else ():  # the count is of published sizes
            reached, row = gflop / times[step], f"{what}, {step}: share of matmul peak, {name}"
            rows.append(measure.Row(row, reached / peak, detail=f"{reached:.0f} of {peak:.0f} GFLOP/s"))
    for name in promised:
        forwards = -(-PREDICTED // batch_size) * found[name]["forward"]
        ratio = found[name]["predict"] / forwards
        rows.append(measure.Row(f"{what}: predict / jitted forward, {name}", ratio, 1.1, at_most=True))
    for step in targets:
        best = min(promised, key=lambda name: memory[name][f"{step}_megabytes"])
        megabytes = {name: figures[f"{step}_megabytes"] for name, figures in memory.items()}
        detail = ", ".join(f"{name} {size:.0f} MB" for name, size in megabytes.items())
        ratio = megabytes["transformers"] / megabytes[best]
        row = f"{what}, {step}: peak memory, transformers / {best}"
        target = 1.0 if kind == "image_fourier" else None
        rows.append(measure.Row(row, ratio, target, detail=detail))
    spread = {name: difference(found[name]["logits"], found["transformers"]["logits"]) for name in ours}
    detail = ", ".join(f"{name} {size:.1e}" for name, size in spread.items())
    row = f"{what}: largest difference of all logits"
    return [*rows, measure.Row(row, max(spread.values()), 1e-4, at_most=True, detail=detail)]


def times_row(what: str, figure: str, found: dict[str, dict], promised, target=None) -> measure.Row:
    """Their seconds over those of the best of ours."""
    best = min(promised, key=lambda name: found[name][figure])
    detail = ", ".join(f"{name} {times[figure]:.2f} s" for name, times in found.items())
    ratio = found["transformers"][figure] / found[best][figure]
    return measure.Row(f"{what}: transformers / {best}", ratio, target, detail=detail)


def difference(ours: str, theirs: str) -> float:
    import numpy as np

    ours, theirs = np.load(ours), np.load(theirs)
    if ours.shape != theirs.shape:
        raise ValueError(f"Logits of one shape are expected. Received: {ours.shape} and {theirs.shape}")
    return float(np.abs(ours - theirs).max())


def better(first: dict, second: dict) -> dict:
    """The better of each figure of two measurements."""
    return {name: min(first[name], figure) for name, figure in second.items()}


def parse() -> argparse.Namespace:
    parser = measure.parser(__doc__)
    parser.add_argument("--models", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--backends", nargs="+", choices=OURS, default=list(OURS), help="of ours")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--turns", type=int, default=3, help="calls timed, of which the fastest counts")
    parser.add_argument("--no-train", dest="train", action="store_false", help="forward only")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick and not options.measure:
        options.models, options.batches, options.turns = ["language"], [1], 1
    return options


def compare(kind: str, folder: str, options) -> list[measure.Row]:
    """The rows of one model, printed as they come."""
    run_child("weights", kind, folder, 1, options)
    rows = []
    implementations = ("transformers", *options.backends)
    for batch_size in options.batches:
        found = {}
        for name in (*implementations, "transformers"):
            figures = run_child(name, kind, folder, batch_size, options)
            found[name] = better(found[name], figures) if name in found else figures
        memory = {
            name: run_child(name + MEMORY, kind, folder, batch_size, options) for name in implementations
        }
        new = rows_of(kind, batch_size, found, memory, options)
        if not options.json:
            measure.show(new, options)
        rows += new
    return rows


def main() -> None:
    options = parse()
    if options.measure:
        pin()
        (kind,), (batch_size,) = options.models, options.batches
        if options.measure == "weights":
            result = write_their_weights(kind, options.folder, options.quick)
        else:
            implementation, _, memory = options.measure.partition("-")
            if memory and implementation != "tensorflow":
                measure.hide_tensorflow()
            elif not memory:
                measure.keep_freed_memory()
            turns = 1 if memory else options.turns
            settings = (kind, options.folder, batch_size, turns, options.train, options.quick)
            result = (measure_theirs if implementation == "transformers" else measure_ours)(*settings)
        print(json.dumps(result))
        return
    if rows := measure.absent("Perceiver IO: transformers / ours", "torch", "transformers"):
        measure.show(rows, options)
        return
    for kind in options.models:
        with tempfile.TemporaryDirectory() as folder:
            rows += compare(kind, folder, options)
    if options.json:
        measure.show(rows, options)


if __name__ == "__main__":
    main()
