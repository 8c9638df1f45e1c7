"""How cost grows with tokens, with modalities and with devices: slopes of logarithms, 1 for linear growth.

A transformer of base width and two blocks reads from 98 to 1568 tokens of video; attention alone, and that
transformer, read two to six streams of 196 tokens, structured and under a dense mask. Seconds are measured on
every backend. On JAX the products' operations are counted too, and the compiler tells the memory that its
program takes beside inputs and weights: both are the same on a busy machine.

Devices are virtual ones of the processor, on JAX: eight examples, shared out among one to eight of them.
They share its cores, so their seconds would say nothing; what the compiler gives each of them to do and to
keep does.
"""

import dataclasses
import functools
import json
from collections.abc import Callable

import attention
import measure
import speed

KINDS = ("structured", "dense")
DEVICES = (1, 2, 4, 8)
FRAMES_AND_ROWS = ((1, 112), (1, 224), (2, 224), (4, 224), (8, 224))  # 98 to 1568 tokens of 16 x 16 pixels
UNITS = {"seconds": "s", "flops": "FLOP", "megabytes": "MB"}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of the transformer; how many streams it reads, the side of each one's picture; the calls that count."""

    layers: dict
    clips: tuple = FRAMES_AND_ROWS
    modalities: tuple = (2, 3, 4, 5, 6)
    side_px: int = 224
    turns: int = 5


PAPER = Sizes({"num_layers": 2, "num_heads": 12, "hidden_dim": 768, "mlp_dim": 3072})
QUICK = Sizes(
    {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32},
    clips=FRAMES_AND_ROWS[:2],
    modalities=(2, 4),
    side_px=64,
    turns=1,
)


def slope(sizes, figures) -> float:
    """Returns the exponent of the power law that lies nearest to the figures, in logarithms."""
    import numpy as np

    return float(np.polyfit(np.log(sizes), np.log(figures), 1)[0])


@dataclasses.dataclass(frozen=True)
class Work:
    """A call to be timed, and, for JAX, the function of arrays and the arrays that it stands for."""

    run: Callable[[], object]
    function: Callable
    arrays: tuple

    def counted(self) -> dict[str, float]:
        """Operations, and megabytes beside inputs and weights; nothing on other backends than JAX."""
        import keras

        if keras.config.backend() != "jax":
            return {}
        import jax

        memory = jax.jit(self.function).lower(*self.arrays).compile().memory_analysis()
        flops = speed.flops(self.function, *self.arrays)
        return {"flops": flops, "megabytes": memory.temp_size_in_bytes / 2**20}


def model_work(streams: dict, sizes: Sizes, kind: str) -> Work:
    """The forward pass of a Zorro on one example."""
    import keras

    import zorro_keras as zk

    base = zk.models.ZorroViTBackbone(streams, dense_mask=kind == "dense", **sizes.layers)
    model = attention.trainable(base)
    tensors = {name: keras.ops.convert_to_tensor(array) for name, array in attention.example(streams).items()}
    run = functools.partial(measure.compiled_call(model), tensors)
    if keras.config.backend() != "jax":
        return Work(run, model, (tensors,))
    import jax_steps

    forward, weights = jax_steps.forward(model)
    return Work(run, forward, (weights, tensors))


def attention_work(streams: dict, sizes: Sizes, kind: str) -> Work:
    """Attention alone, queries, keys and values given."""
    import numpy as np
    from keras import ops

    from zorro_keras.layers.attention import attend, attend_along
    from zorro_keras.routing import ReadPlan, Routing, TokenLayout

    counts = {name: stream.num_tokens for name, stream in streams.items()}
    layout = TokenLayout({**counts, "fusion": 16})
    plan = ReadPlan(Routing.zorro(list(streams)), layout, layout)
    heads, width = sizes.layers["num_heads"], sizes.layers["hidden_dim"]
    shape = (1, sum(layout.values()), heads, width // heads)  # B T N H
    rng = np.random.default_rng(0)
    arrays = tuple(ops.convert_to_tensor(rng.normal(size=shape).astype("float32")) for _ in range(3))
    if kind == "structured":
        function = functools.partial(attend_along, plan)
    else:
        function = functools.partial(attend, attention_mask=ops.convert_to_tensor(plan.mask[None]))
    return Work(functools.partial(measure.compiled(function), *arrays), function, arrays)


def slope_rows(label: str, counts, works, turns: int, target: float | None = None) -> list[measure.Row]:
    """A row for each figure of these works, whose sizes are `counts`; `target` is of operations."""
    figures = {"seconds": measure.seconds_in_turns([work.run for work in works], turns, warm_up=1)}
    counted = [work.counted() for work in works]
    figures |= {name: [count[name] for count in counted] for name in counted[0]}
    rows = []
    for name, values in figures.items():
        detail = f"{values[0]:.3g} to {values[-1]:.3g} {UNITS[name]} from {counts[0]} to {counts[-1]}"
        most = target if name == "flops" else None
        rows.append(measure.Row(f"{label}, {name}: slope", slope(counts, values), most, True, detail))
    return rows


def token_rows(sizes: Sizes) -> list[measure.Row]:
    import zorro_keras as zk

    clips = [{"video": zk.streams.Video(frames, rows, 224)} for frames, rows in sizes.clips]
    works = [model_work(streams, sizes, "structured") for streams in clips]
    counts = [streams["video"].num_tokens for streams in clips]
    return slope_rows("tokens of video, model", counts, works, sizes.turns)


def modality_rows(sizes: Sizes) -> list[measure.Row]:
    """Rows of attention and of the model. Where streams do not mix, twice the streams are twice the work."""
    import zorro_keras as zk

    picture = zk.streams.Image(sizes.side_px, sizes.side_px)
    rows = []
    for what, made in (("attention", attention_work), ("model", model_work)):
        for kind in KINDS:
            works = [
                made({f"view_{k}": picture for k in range(count)}, sizes, kind) for count in sizes.modalities
            ]
            target = 1.1 if kind == "structured" else None
            rows += slope_rows(f"modalities, {kind} {what}", sizes.modalities, works, sizes.turns, target)
    return rows


def on_devices(quick: bool) -> list[dict]:
    """What one device of several has to do, and to keep, in a training step of eight examples."""
    import jax
    import jax_steps
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    import zorro_keras as zk

    side = 32 if quick else 112
    streams = {"audio": zk.streams.Spectrogram(side, side), "video": zk.streams.Video(2, side, side)}
    layers = {"num_layers": 2, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 128}
    model = attention.trainable(zk.models.ZorroViTBackbone(streams, **layers))
    step, state = jax_steps.train_step(model)
    x, y = attention.example(streams, max(DEVICES)), np.zeros((max(DEVICES), layers["hidden_dim"]), "float32")
    found = []
    for count in DEVICES:
        mesh = Mesh(jax.devices()[:count], ("batch",))
        everywhere, shared = (NamedSharding(mesh, PartitionSpec(*names)) for names in ((), ("batch",)))
        shapes = [
            jax.tree.map(lambda a, to=to: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=to), tree)
            for tree, to in ((state, everywhere), (x, shared), (y, shared))
        ]
        program = jax.jit(step).lower(*shapes).compile()
        memory = program.memory_analysis().temp_size_in_bytes / 2**20
        found.append({"flops": program.cost_analysis()["flops"], "megabytes": memory})
    return found


def device_rows(words) -> list[measure.Row]:
    """How much less each device does, and keeps, the more there are: 1 where all is shared out.

    Gradients are not, so memory falls less.
    """
    flags = f"--xla_force_host_platform_device_count={max(DEVICES)}"
    found = measure.run_child("growth.py", "--devices", *words, XLA_FLAGS=flags, JAX_PLATFORMS="cpu")["found"]
    rows = []
    for name, target in (("flops", 0.9), ("megabytes", None)):
        values = [figures[name] for figures in found]
        detail = (
            f"{values[0]:.3g} to {values[-1]:.3g} {UNITS[name]} on each of 1 to {DEVICES[-1]} virtual ones"
        )
        label = f"devices, {name} of one saved: slope"
        rows.append(measure.Row(label, -slope(DEVICES, values), target, detail=detail))
    return rows


def main() -> None:
    parser = measure.parser(__doc__, policy=True)
    parser.add_argument("--devices", action="store_true", help="only compile for one to eight devices")
    arguments = parser.parse_args()
    import keras

    if arguments.devices:
        print(json.dumps({"found": on_devices(arguments.quick)}))
        return
    sizes = QUICK if arguments.quick else PAPER
    rows = [*token_rows(sizes), *modality_rows(sizes)]
    if keras.config.backend() == "jax":
        rows += device_rows(measure.words_of(arguments))
    measure.show(rows, arguments)


if __name__ == "__main__":
    main()
