"""Zorro's vision transformer against those that a user would take instead, of the same widths.

With a picture as its only stream, against KerasHub's ViT-B/16. With sound and video, against a plain
transformer that mixes the tokens of both from the first layer on, and so has one answer where ours has four.
Forward and train step (SGD) are timed in turns in one process; the memory, and the first step, which
compiles, in processes of their own.
"""

import functools
import json
import os
import time

import attention
import measure
import speed

BASE = {"num_layers": 12, "num_heads": 12, "hidden_dim": 768, "mlp_dim": 3072}
SMALL = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32}
# Of each comparison, ours and theirs.
PAIRS = {
    "picture": ("ours of a picture", "KerasHub"),
    "sound and video": ("ours of both", "a plain ViT"),
}


def streams_of(kind: str, quick: bool) -> dict:
    import zorro_keras as zk

    if kind in PAIRS["picture"]:
        side = 32 if quick else 224
        return {"image": zk.streams.Image(side, side)}
    return (attention.QUICK if quick else attention.PAPER).streams()


def sizes_of(quick: bool) -> dict:
    return SMALL if quick else BASE


def zorro(kind: str, quick: bool):
    """Our backbone; one of a picture alone has no fusion tokens, as there is nothing to fuse."""
    import zorro_keras as zk
    from zorro_keras.routing import Routing

    streams = streams_of(kind, quick)
    routing = Routing({"image": ["image"]}) if "image" in streams else None
    return zk.models.ZorroViTBackbone(streams, routing=routing, **sizes_of(quick))


def built(kind: str, quick: bool):
    """Returns a compiled model of dict of arrays to `(B, D)`, and the FLOPs of one example forward."""
    import keras
    import keras_hub
    import plain_vit

    streams, sizes = streams_of(kind, quick), sizes_of(quick)
    inputs = {name: keras.Input(stream.shape, name=name) for name, stream in streams.items()}
    counted = {name: sizes[name] for name in ("num_layers", "hidden_dim", "mlp_dim")}
    if kind == "KerasHub":
        shape, patch = streams["image"].shape, streams["image"].patch
        theirs = keras_hub.models.ViTBackbone(image_shape=shape, patch_size=patch, **sizes)
        output = theirs(inputs["image"])[:, 0]  # that of the class token
        flops = plain_vit.forward_flops(streams, **counted, num_more_tokens=1)
    elif kind == "a plain ViT":
        output = plain_vit.plain_vit(streams, **sizes)(inputs)
        flops = plain_vit.forward_flops(streams, **counted)
    else:
        ours = zorro(kind, quick)
        output, flops = ours(inputs)["global"], attention.forward_flops(ours)
    model = keras.Model(inputs, output)
    model.compile(keras.optimizers.SGD(1e-6), "mse")
    return model, flops


def batch(kind: str, quick: bool) -> tuple:
    """Returns one example and its target, numpy."""
    import numpy as np

    target = np.zeros((1, sizes_of(quick)["hidden_dim"]), "float32")
    return attention.example(streams_of(kind, quick)), target


def first_steps(kind: str, quick: bool) -> dict:
    """Seconds that the first step takes more than the others, and the peak memory of a process of three."""
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        measure.hide_tensorflow()
    model, _ = built(kind, quick)
    x, y = batch(kind, quick)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        model.train_on_batch(x, y)
        seconds.append(time.perf_counter() - start)
    return {"compiling": seconds[0] - min(seconds[1:]), "megabytes": speed.megabytes(peak=True)}


def first_steps_in_a_process(kind: str, words) -> dict:
    return measure.run_child("vit.py", "--first-steps-of", kind, *words, **measure.RETURN_FREED_MEMORY)


def pair_rows(what: str, kinds, arguments) -> list[measure.Row]:
    """Rows of one comparison: theirs over ours, and how well both use the machine."""
    import keras

    quick = arguments.quick
    firsts = [first_steps_in_a_process(kind, measure.words_of(arguments)) for kind in kinds]
    models, flops = zip(*(built(kind, quick) for kind in kinds), strict=True)
    x, y = batch(kinds[0], quick)
    tensors = {name: keras.ops.convert_to_tensor(array) for name, array in x.items()}
    forwards = [functools.partial(measure.compiled_call(model), tensors) for model in models]
    trains = [functools.partial(model.train_on_batch, x, y) for model in models]
    rows = []
    for step, runs, passes in (("forward", forwards, 1), ("train step", trains, 3)):
        turns = 1 if quick else 7
        seconds = measure.seconds_in_turns(runs, turns, warm_up=1)
        label = f"{what}, {step}"
        rows.append(ratio_row(label, kinds, seconds, "s", target=1.0))
        for kind, count, taken in zip(kinds, flops, seconds, strict=True):
            rows.append(speed.share_row(f"{label}, {kind}", passes * count, taken))
    for figure, name, unit in (("compiling", "compile time", "s"), ("megabytes", "peak memory, train", "MB")):
        rows.append(ratio_row(f"{what}, {name}", kinds, [first[figure] for first in firsts], unit))
    return rows


def ratio_row(label: str, kinds, figures, unit: str, target: float | None = None) -> measure.Row:
    ours, theirs = figures
    detail = f"ours {ours:.4g} {unit}, theirs {theirs:.4g} {unit}"
    return measure.Row(f"{label}: {kinds[1]} / ours", theirs / ours, target, detail=detail)


def main() -> None:
    parser = measure.parser(__doc__, policy=True)
    kinds = [kind for pair in PAIRS.values() for kind in pair]
    parser.add_argument("--first-steps-of", choices=kinds, help="only measure the first steps of this one")
    arguments = parser.parse_args()
    if arguments.first_steps_of:
        print(json.dumps(first_steps(arguments.first_steps_of, arguments.quick)))
        return
    measure.keep_freed_memory()
    rows = [row for what, pair in PAIRS.items() for row in pair_rows(what, pair, arguments)]
    measure.show(rows, arguments)


if __name__ == "__main__":
    main()
