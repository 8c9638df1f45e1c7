"""Structured attention against one product under a dense mask, at the paper's base shapes.

320 audio, 1568 video and 16 fusion tokens, 768 channels, 12 heads. Compared are the attention itself
(queries, keys and values given; also against `keras.ops.dot_product_attention`), the whole base model, and
the peak memory of its training step in a process of its own. The last rows say what audio alone costs, and
how much of the machine's float32 matmul speed the joint forward reaches.
"""

import functools
import json

import measure

STREAMS = {"audio": {"frames": 640, "bins": 128}, "video": {"frames": 8, "height_px": 224, "width_px": 224}}
KINDS = ("structured", "dense")


def attention_runs(step: str, batch_size: int = 2) -> list:
    """Calls of the attention alone: structured, under a dense mask, and Keras's own under the same mask."""
    import numpy as np
    from keras import ops

    from zorro_keras.layers.attention import attend, attend_along
    from zorro_keras.routing import ReadPlan, Routing, TokenLayout

    layout = TokenLayout({"audio": 320, "video": 1568, "fusion": 16})
    plan = ReadPlan(Routing.zorro(["audio", "video"]), layout, layout)
    mask = ops.convert_to_tensor(plan.mask[None])
    rng = np.random.default_rng(0)
    shape = (batch_size, 1904, 12, 64)  # B T N H
    arrays = [ops.convert_to_tensor(rng.normal(size=shape).astype("float32")) for _ in range(3)]
    kinds = (
        lambda *arrays: attend_along(plan, *arrays),
        lambda *arrays: attend(*arrays, attention_mask=mask),
        lambda *arrays: ops.dot_product_attention(*arrays, mask=mask[:, None]),
    )
    compiled = measure.compiled if step == "forward" else measure.compiled_gradients
    return [functools.partial(compiled(kind), *arrays) for kind in kinds]


def attention_rows() -> list[measure.Row]:
    """Rows for the dense seconds over the structured seconds of the attention alone.

    What is promised is against the attention that one would call with a dense mask. Against our own under the
    same mask, which computes as well as the structured one, only the pairs can count: 1.40 times as many.
    """
    rows = []
    for step in ("forward", "forward and backward"):
        structured, dense, keras_dense = measure.seconds_in_turns(attention_runs(step), turns=15)
        detail = f"structured {structured:.3f} s, dense {dense:.3f} s, keras.ops {keras_dense:.3f} s"
        rows += [
            measure.Row(
                f"attention, {step}: keras.ops dense / structured",
                keras_dense / structured,
                1.4,
                detail=detail,
            ),
            measure.Row(f"attention, {step}: our own dense / structured", dense / structured),
        ]
    return rows


def backbone(kind: str):
    import zorro_keras as zk

    streams = {
        "audio": zk.streams.Spectrogram(**STREAMS["audio"]),
        "video": zk.streams.Video(**STREAMS["video"]),
    }
    return zk.models.ZorroViTBackbone.from_variant("base", streams=streams, dense_mask=kind == "dense")


def whole_model(kind: str):
    import keras

    base = backbone(kind)
    inputs = {name: keras.Input(stream.shape, name=name) for name, stream in base.streams.items()}
    model = keras.Model(inputs, base(inputs)["global"])
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    return model


def example(batch_size: int) -> dict:
    import numpy as np

    rng = np.random.default_rng(0)
    shapes = {"audio": (640, 128), "video": (8, 224, 224, 3)}
    return {name: rng.normal(size=(batch_size, *shape)).astype("float32") for name, shape in shapes.items()}


def whole_model_rows() -> list[measure.Row]:
    """Rows for the dense seconds over the structured seconds of the base model."""
    import numpy as np

    x, y = example(batch_size=1), np.zeros((1, 768), "float32")
    models = [whole_model(kind) for kind in KINDS]
    steps = {
        "forward": [functools.partial(model.predict_on_batch, x) for model in models],
        "train step": [functools.partial(model.train_on_batch, x, y) for model in models],
    }
    rows = []
    for step, runs in steps.items():
        structured, dense = measure.seconds_in_turns(runs, turns=5, warm_up=1)
        detail = f"structured {structured:.3f} s, dense {dense:.3f} s"
        rows.append(
            measure.Row(f"whole model, {step}: dense / structured", dense / structured, 1.1, detail=detail)
        )
    return rows


def forward_flops(base) -> int:
    """Multiplications and additions of one example; of the attention, only the pairs that are read."""
    from zorro_keras.routing import TokenLayout

    width = base.hidden_dim
    patches = {"audio": 16 * 16, "video": 16 * 16 * 3}
    counts = {name: stream.num_tokens for name, stream in base.streams.items()}
    tokens = counts | {"fusion": base.num_fusion_tokens}
    layout = TokenLayout(tokens)
    pairs = int(base.routing.truth_table(layout, layout).sum())
    block = sum(tokens.values()) * (8 * width**2 + 4 * width * base.mlp_dim) + 4 * width * pairs
    return base.num_layers * block + sum(2 * counts[name] * patches[name] * width for name in counts)


def forward_rows(base) -> list[measure.Row]:
    """What audio alone costs, and the share of the matmul peak."""
    joint_input = example(batch_size=1)
    audio_input = {"audio": joint_input["audio"]}
    joint, audio = measure.seconds_in_turns(
        [lambda: base.predict_on_batch(joint_input), lambda: base.predict_on_batch(audio_input)], turns=3
    )
    speed, peak = forward_flops(base) / joint, measure.matmul_flops_per_second()
    return [
        measure.Row(
            "base forward: joint / audio only", joint / audio, 5.0, detail=f"{joint:.3f} s, {audio:.3f} s"
        ),
        measure.Row(
            "base forward: share of float32 matmul peak",
            speed / peak,
            0.5,
            detail=f"{speed / 1e9:.0f} of {peak / 1e9:.0f} GFLOP/s",
        ),
    ]


def memory_row() -> measure.Row:
    peaks = {kind: measure.run_child("attention.py", "--memory-of", kind)["megabytes"] for kind in KINDS}
    detail = f"structured {peaks['structured']:.0f} MB, dense {peaks['dense']:.0f} MB"
    ratio = peaks["dense"] / peaks["structured"]
    return measure.Row("whole model, peak memory: dense / structured", ratio, 1.0, detail=detail)


def main() -> None:
    parser = measure.parser(__doc__)
    parser.add_argument(
        "--memory-of", choices=KINDS, help="only train this kind for two steps and print the peak"
    )
    arguments = parser.parse_args()
    import numpy as np

    from zorro_keras.applications.freed_memory import keep_freed_memory

    keep_freed_memory()  # as `zorro-keras` does: else half the time goes into pages that come and go
    if arguments.memory_of:
        model = whole_model(arguments.memory_of)
        for _ in range(2):
            model.train_on_batch(example(batch_size=1), np.zeros((1, 768), "float32"))
        print(json.dumps({"megabytes": measure.resident_megabytes(peak=True)}))
        return

    rows = [memory_row(), *attention_rows(), *whole_model_rows(), *forward_rows(backbone("structured"))]
    measure.show(rows, arguments.json)


if __name__ == "__main__":
    main()
