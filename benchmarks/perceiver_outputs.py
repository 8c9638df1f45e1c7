"""Perceiver IO's large outputs against `transformers` with torch: same machine, same weights, one run.

A tile of optical flow (368 x 496 pixels, 182,528 answers), ours in chunks within `--max-megabytes`; and a
whole clip of the autoencoder (802,816 pixels, 1,920 patches of sound, the label): ours encodes once and
decodes chunk by chunk, theirs encodes again for each of the 128 chunks, as published. Everything in
hugging_face semantics, forward only, each implementation in a process of its own. `--tile` and
`--their-chunks` make it cheaper; what is then scaled up says so. Needs Linux and
`pip install transformers torch`.
"""

import argparse
import json
import os
import tempfile

import measure
import speed
from perceiver import MEMORY, OURS, THREADS, difference, pin, written
from their_outputs import CHUNKS, TILE, example, measure_theirs, rows_of, timed, write_their_weights

TARGETS = {("flow", "seconds"): 1.5, ("flow", "megabytes"): 3.0, ("autoencoder", "seconds"): 1.5}
QUANTITIES = (
    ("speed", "seconds", "s"),
    ("speed by processor time", "cpu_seconds", "s"),
    ("peak memory", "megabytes", "MB"),  # of a process that does nothing else, as that beside the model
)


def measure_ours(kind: str, options) -> dict:
    import keras

    import zorro_keras as zk

    if keras.config.backend() == "torch":
        import torch

        torch.set_num_threads(THREADS)
    sizes = {"sizes": {"size_px": options.tile, "max_resolution": options.tile}} if kind == "flow" else {}
    model = zk.weights.load(options.folder, semantics="hugging_face", **sizes)
    before = speed.megabytes(peak=False)
    figures, answers, chunks = (our_flow if kind == "flow" else our_clip)(model, kind, options)
    peak = speed.megabytes(peak=True)
    path = written(options.folder, keras.config.backend(), answers)
    return {**figures, "megabytes": peak, "before": before, "answers": path, "chunks": chunks}


def our_flow(model, kind: str, options):
    from zorro_keras.applications.optical_flow.memory import chunks_within, megabytes

    chunks = chunks_within(options.max_megabytes, model, tuple(options.tile), tiles=1)
    model.encoder.set_key_chunk(chunks.key_chunk)
    model.decoder.query_chunk = chunks.query_chunk
    frames = example(kind, options)
    model.predict_on_batch(frames)  # compiles
    figures, answers = timed(lambda: model.predict_on_batch(frames)["flow"], options.turns)
    reckoned = megabytes(model, tuple(options.tile), chunks)
    return figures, answers, f"{chunks.key_chunk} at a time, reckoned {reckoned:.0f} MB"


def our_clip(model, kind: str, options):
    import numpy as np
    from keras import ops

    given = {name: ops.convert_to_tensor(array) for name, array in example(kind, options).items()}
    encode = without_gradients(measure.compiled(model.encode))
    decode = without_gradients(
        measure.compiled(
            lambda latents, image, audio: model.decode(latents, rows={"image": image, "audio": audio})
        )
    )

    def decoded(latents, chunk):
        rows = rows_of(chunk)
        answers = decode(latents, ops.convert_to_tensor(rows["image"]), ops.convert_to_tensor(rows["audio"]))
        return {name: ops.convert_to_numpy(answer) for name, answer in answers.items()}

    decoded(encode(given), 0)  # compiles

    def whole():
        latents = encode(given)
        return [decoded(latents, chunk) for chunk in range(CHUNKS)]

    figures, chunks = timed(whole, options.turns)
    some = range(options.their_chunks)
    again, _ = timed(lambda: [decoded(encode(given), chunk) for chunk in some], 1)
    figures["encoding_again"] = again["cpu_seconds"] * CHUNKS / options.their_chunks
    return figures, np.asarray(chunks[0]["image"]), f"{CHUNKS} chunks after one encoding"


def without_gradients(function):
    """The function as torch runs it where nothing is trained; others trace gradients only when asked."""
    import keras

    if keras.config.backend() != "torch":
        return function
    import torch

    return torch.inference_mode()(function)


def run_child(implementation: str, kind: str, options) -> dict:
    backend = "torch" if implementation.startswith("transformers") else implementation.partition("-")[0]
    os.environ.update(KERAS_BACKEND=backend, OMP_NUM_THREADS=str(THREADS))
    words = ["--measure", implementation, "--models", kind, "--folder", options.folder]
    words += ["--turns", str(options.turns), "--their-chunks", str(options.their_chunks)]
    words += ["--quick"] * options.quick
    words += ["--max-megabytes", str(options.max_megabytes), "--tile", *map(str, options.tile)]
    environment = measure.RETURN_FREED_MEMORY if implementation.endswith(MEMORY) else {}
    return measure.run_child("perceiver_outputs.py", *words, **environment)


def figures_of(name: str, kind: str, options) -> dict:
    """Figures of one implementation, those of memory from a process of their own."""
    memory = run_child(name + MEMORY, kind, options)
    return run_child(name, kind, options) | {name: memory[name] for name in ("megabytes", "before")}


def compare(kind: str, options) -> list[measure.Row]:
    """The rows of one model: ratios of their figures to ours, and whether all answers agree."""
    run_child("weights", kind, options)
    found = {name: figures_of(name, kind, options) for name in ("transformers", *options.backends)}
    what, theirs, rows = named(kind, options), found.pop("transformers"), []
    for name, ours in found.items():
        for quantity, figure, unit in QUANTITIES:
            target = TARGETS.get((kind, figure))
            detail = f"{theirs[figure]:.1f} against {ours[figure]:.1f} {unit}; {ours['chunks']}"
            label = f"{what}, {quantity}: transformers / {name}"
            rows.append(measure.Row(label, theirs[figure] / ours[figure], target, detail=detail))
        grown = [figures["megabytes"] - figures["before"] for figures in (theirs, ours)]
        label, detail = (
            f"{what}, memory beside the loaded model: transformers / {name}",
            "{:.0f} against {:.0f} MB",
        )
        rows.append(measure.Row(label, grown[0] / grown[1], detail=detail.format(*grown)))
        if kind == "flow":
            bound = measure.Row(
                f"{what}, that memory / bound, {name}", grown[1] / options.max_megabytes, 1.0, True
            )
            rows.append(bound)
        else:
            label = f"{what}, processor time: {name} encoding for each chunk / once"
            rows.append(measure.Row(label, ours["encoding_again"] / ours["cpu_seconds"]))
        far = difference(ours["answers"], theirs["answers"]) * (100 if kind == "flow" else 1)
        rows.append(measure.Row(f"{what}, largest difference, {name}", far, 1e-4, at_most=True))
    return rows


def named(kind: str, options) -> str:
    if kind == "flow":
        return f"flow tile {options.tile[0]} x {options.tile[1]}"
    scaled = (
        "" if options.their_chunks == CHUNKS else f" (theirs from {options.their_chunks} of {CHUNKS} chunks)"
    )
    return f"autoencoder, whole clip{scaled}"


def parse() -> argparse.Namespace:
    parser = measure.parser(__doc__)
    parser.add_argument(
        "--models", nargs="+", choices=["flow", "autoencoder"], default=["flow", "autoencoder"]
    )
    parser.add_argument("--backends", nargs="+", choices=OURS, default=["jax"], help="of ours")
    parser.add_argument("--turns", type=int, default=1, help="calls timed, of which the fastest counts")
    parser.add_argument("--tile", nargs=2, type=int, default=TILE, help="rows and columns of the flow tile")
    parser.add_argument("--max-megabytes", type=float, default=1600, help="of ours, beside the weights")
    parser.add_argument("--their-chunks", type=int, default=CHUNKS, help="timed of theirs; scaled to all 128")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick and not options.measure:
        options.models, options.tile = ["flow"], [16, 24]
    return options


def main() -> None:
    options = parse()
    if options.measure:
        pin()
        (kind,) = options.models
        if options.measure == "weights":
            result = write_their_weights(kind, options)
        else:
            implementation, _, memory = options.measure.partition("-")
            if memory:
                options.turns = 1
                if implementation != "tensorflow":
                    measure.hide_tensorflow()
            else:
                measure.keep_freed_memory()
            result = (measure_theirs if implementation == "transformers" else measure_ours)(kind, options)
        print(json.dumps(result))
        return
    if rows := measure.absent("Large outputs: transformers / ours", "torch", "transformers"):
        measure.show(rows, options)
        return
    for kind in options.models:
        with tempfile.TemporaryDirectory() as options.folder:
            new = compare(kind, options)
        if not options.json:
            measure.show(new, options)
        rows += new
    if options.json:
        measure.show(rows, options)


if __name__ == "__main__":
    main()
