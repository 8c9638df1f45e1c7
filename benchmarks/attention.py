"""Structured attention against one product under a dense mask, at the paper's base shapes.

320 audio, 1568 video and 16 fusion tokens, 768 channels, 12 heads. Compared are the attention itself
(queries, keys and values given; also against `keras.ops.dot_product_attention`), the whole base model, and
the peak memory of its training step in a process of its own. The last rows say what audio alone costs, and
how much of the machine's float32 matmul speed the joint forward reaches.
"""

import dataclasses
import functools
import json
import math

import measure
import speed


@dataclasses.dataclass(frozen=True)
class Shapes:
    """A named size of Zorro, and the spectrogram and clip that it is given."""

    variant: str
    mel: tuple[int, int]
    clip: tuple[int, int, int]
    num_layers: int
    turns: int

    def streams(self) -> dict:
        import zorro_keras as zk

        return {"audio": zk.streams.Spectrogram(*self.mel), "video": zk.streams.Video(*self.clip)}

    def layout(self):
        """The tokens of all streams, 16 of fusion."""
        from zorro_keras.routing import TokenLayout

        tokens = {name: stream.num_tokens for name, stream in self.streams().items()}
        return TokenLayout({**tokens, "fusion": 16})


PAPER = Shapes("base", (640, 128), (8, 224, 224), num_layers=12, turns=15)
QUICK = Shapes("tiny", (32, 32), (2, 32, 32), num_layers=2, turns=1)
KINDS = ("structured", "dense")


def attention_runs(step: str, shapes: Shapes, batch_size: int = 2) -> list:
    """Calls of the attention alone: structured, under a dense mask, and Keras's own under the same mask."""
    import numpy as np
    from keras import ops

    from zorro_keras.layers.attention import attend, attend_along
    from zorro_keras.routing import ReadPlan, Routing

    layout = shapes.layout()
    plan = ReadPlan(Routing.zorro(["audio", "video"]), layout, layout)
    mask = ops.convert_to_tensor(plan.mask[None])
    rng = np.random.default_rng(0)
    shape = (batch_size, sum(layout.values()), 12, 64)  # B T N H
    arrays = [ops.convert_to_tensor(rng.normal(size=shape).astype("float32")) for _ in range(3)]
    kinds = (
        lambda *arrays: attend_along(plan, *arrays),
        lambda *arrays: attend(*arrays, attention_mask=mask),
        lambda *arrays: ops.dot_product_attention(*arrays, mask=mask[:, None]),
    )
    compiled = measure.compiled if step == "forward" else measure.compiled_gradients
    return [functools.partial(compiled(kind), *arrays) for kind in kinds]


def attention_rows(shapes: Shapes) -> list[measure.Row]:
    """Rows for the dense seconds over the structured seconds of the attention alone.

    Of Keras, and of our own under the same mask: that is the same code, and has 1.40 times as many pairs.
    """
    rows = []
    for step in ("forward", "forward and backward"):
        structured, dense, keras_dense = measure.seconds_in_turns(
            attention_runs(step, shapes), turns=shapes.turns
        )
        detail = f"structured {structured:.3f} s, dense {dense:.3f} s, keras.ops {keras_dense:.3f} s"
        rows += [
            measure.Row(
                f"attention, {step}: keras.ops dense / structured",
                keras_dense / structured,
                1.4,
                detail=detail,
            ),
            measure.Row(f"attention, {step}: our own dense / structured", dense / structured, 1.4),
        ]
    return rows


def backbone(kind: str, shapes: Shapes):
    import zorro_keras as zk

    options = {"num_layers": shapes.num_layers, "dense_mask": kind == "dense"}
    return zk.models.ZorroViTBackbone.from_variant(shapes.variant, shapes.streams(), **options)


def whole_model(kind: str, shapes: Shapes):
    return trainable(backbone(kind, shapes))


def trainable(base):
    """Returns a compiled model of dict of arrays to what `base` reads out of all streams, `(B, D)`."""
    import keras

    inputs = {name: keras.Input(stream.shape, name=name) for name, stream in base.streams.items()}
    model = keras.Model(inputs, base(inputs)["global"])
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    return model


def example(streams: dict, batch_size: int = 1) -> dict:
    """Random inputs of these streams, numpy."""
    import numpy as np

    rng = np.random.default_rng(0)
    return {
        name: rng.normal(size=(batch_size, *stream.shape)).astype("float32")
        for name, stream in streams.items()
    }


def whole_model_rows(shapes: Shapes) -> list[measure.Row]:
    """Rows for the dense seconds over the structured seconds of the base model."""
    import numpy as np

    models = [whole_model(kind, shapes) for kind in KINDS]
    x, y = example(shapes.streams()), np.zeros((1, models[0].output.shape[-1]), "float32")
    steps = {
        "forward": [functools.partial(model.predict_on_batch, x) for model in models],
        "train step": [functools.partial(model.train_on_batch, x, y) for model in models],
    }
    rows = []
    for step, runs in steps.items():
        structured, dense = measure.seconds_in_turns(runs, turns=min(5, shapes.turns), warm_up=1)
        detail = f"structured {structured:.3f} s, dense {dense:.3f} s"
        rows.append(
            measure.Row(f"whole model, {step}: dense / structured", dense / structured, 1.1, detail=detail)
        )
    return rows


def forward_flops(base) -> int:
    """Multiplications and additions of one example; of the attention, only the pairs that are read."""
    from zorro_keras.routing import TokenLayout

    width = base.hidden_dim
    patches = {name: math.prod(stream.shape) // stream.num_tokens for name, stream in base.streams.items()}
    counts = {name: stream.num_tokens for name, stream in base.streams.items()}
    learned = [name for name in base.routing if name not in counts]
    tokens = counts | dict.fromkeys(learned, base.num_fusion_tokens)
    layout = TokenLayout(tokens)
    pairs = int(base.routing.truth_table(layout, layout).sum())
    block = sum(tokens.values()) * (8 * width**2 + 4 * width * base.mlp_dim) + 4 * width * pairs
    return base.num_layers * block + sum(2 * counts[name] * patches[name] * width for name in counts)


def forward_rows(base, turns: int) -> list[measure.Row]:
    """What audio alone costs, and the share of the matmul peak."""
    joint_input = example(base.streams)
    audio_input = {"audio": joint_input["audio"]}
    joint, audio = measure.seconds_in_turns(
        [lambda: base.predict_on_batch(joint_input), lambda: base.predict_on_batch(audio_input)], turns=turns
    )
    return [
        measure.Row(
            "base forward: joint / audio only", joint / audio, 5.0, detail=f"{joint:.3f} s, {audio:.3f} s"
        ),
        speed.share_row("base forward", forward_flops(base), joint, target=0.5),
    ]


def memory_row(words) -> measure.Row:
    peaks = {
        kind: measure.run_child("attention.py", "--memory-of", kind, *words)["megabytes"] for kind in KINDS
    }
    detail = f"structured {peaks['structured']:.0f} MB, dense {peaks['dense']:.0f} MB"
    ratio = peaks["dense"] / peaks["structured"]
    return measure.Row("whole model, peak memory: dense / structured", ratio, 1.0, detail=detail)


def main() -> None:
    parser = measure.parser(__doc__, policy=True)
    parser.add_argument(
        "--memory-of", choices=KINDS, help="only train this kind for two steps and print the peak"
    )
    arguments = parser.parse_args()
    import numpy as np

    measure.keep_freed_memory()
    shapes = QUICK if arguments.quick else PAPER
    if arguments.memory_of:
        model = whole_model(arguments.memory_of, shapes)
        for _ in range(2):
            model.train_on_batch(example(shapes.streams()), np.zeros((1, model.output.shape[-1]), "float32"))
        print(json.dumps({"megabytes": speed.megabytes(peak=True)}))
        return

    rows = [memory_row(measure.words_of(arguments)), *attention_rows(shapes), *whole_model_rows(shapes)]
    rows += forward_rows(backbone("structured", shapes), turns=min(3, shapes.turns))
    measure.show(rows, arguments)


if __name__ == "__main__":
    main()
