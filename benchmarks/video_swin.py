"""Video Swin against KerasCV's: same weights, same process, in turns.

The tiny size on a clip of 8 frames of 224 x 224 pixels, forward and train step (SGD), and the attention alone
in the windows of its first stage. Processor time of all threads together counts, as it holds on a busy
machine too. Both give the same numbers: their largest difference is printed. Needs
`pip install zorro-keras[cv]`.
"""

import dataclasses
import functools
import statistics
import time

import measure

WINDOW, CHANNELS, HEADS = (4, 7, 7), 96, 3  # of the first stage


@dataclasses.dataclass(frozen=True)
class Shapes:
    """A clip, the grid of its tokens in the first stage, and how many calls count."""

    clip: tuple[int, int, int, int] = (8, 224, 224, 3)
    grid: tuple[int, int, int] = (4, 56, 56)
    turns: int = 7


QUICK = Shapes((8, 56, 56, 3), (4, 14, 14), turns=1)


def processor_seconds_in_turns(runs, turns: int, warm_up: int = 2) -> list[float]:
    """Median processor seconds of each of `runs`, called one after the other."""
    times = [[] for _ in runs]
    for turn in range(warm_up + turns):
        for run, seconds in zip(runs, times, strict=True):
            start = time.process_time()
            run()
            if turn >= warm_up:
                seconds.append(time.process_time() - start)
    return [statistics.median(seconds) for seconds in times]


def models(clip):
    """Returns ours and KerasCV's, with the same random weights."""
    import keras_cv
    import numpy as np

    import zorro_keras as zk

    theirs = keras_cv.models.VideoSwinBackbone(input_shape=clip, drop_path_rate=0.0)
    rng = np.random.default_rng(0)
    for weight in theirs.trainable_weights:
        weight.assign(np.asarray(weight) + 0.02 * rng.normal(size=weight.shape))
    streams = {"video": zk.streams.Video(*clip[:3], patch=(2, 4, 4))}
    return zk.weights.convert_swin(theirs, streams, read_padding=True).backbone, theirs


def whole_model_rows(shapes: Shapes) -> list[measure.Row]:
    import keras
    import numpy as np

    x = np.random.default_rng(1).normal(size=(1, *shapes.clip)).astype("float32")
    clip, wholes = keras.Input(shapes.clip), []
    ours, theirs = models(shapes.clip)
    for grid in (ours({"video": clip})["grid"], theirs(clip)):
        model = keras.Model(clip, grid)
        model.compile(keras.optimizers.SGD(1e-6), "mse")
        wholes.append(model)
    apart = np.abs(np.subtract(*(model.predict_on_batch(x) for model in wholes))).max()
    y = np.zeros((1, *wholes[0].output.shape[1:]), "float32")
    forwards = [
        functools.partial(measure.compiled_call(model), keras.ops.convert_to_tensor(x)) for model in wholes
    ]
    trains = [functools.partial(model.train_on_batch, x, y) for model in wholes]
    return [
        row("tiny, forward", forwards, shapes.turns, f", {apart:.0e} apart"),
        row("tiny, train step", trains, shapes.turns),
    ]


def attention_rows(shapes: Shapes) -> list[measure.Row]:
    """Rows for the attention in windows, from a grid to a grid: theirs with its own cutting and joining."""
    import numpy as np
    from keras import ops
    from keras_cv.src.models.backbones.video_swin import video_swin_layers as kcv

    import zorro_keras as zk

    theirs = kcv.VideoSwinWindowAttention(CHANNELS, WINDOW, HEADS)
    theirs.build((None, None, CHANNELS))
    ours = zk.layers.WindowAttention(HEADS, WINDOW)
    ours.build((None, *shapes.grid, CHANNELS))
    x = ops.convert_to_tensor(
        np.random.default_rng(0).normal(size=(1, *shapes.grid, CHANNELS)).astype("float32")
    )

    def their_attention(x):
        windows = theirs(kcv.window_partition(x, WINDOW))
        return kcv.window_reverse(windows, WINDOW, 1, *shapes.grid)

    rows = []
    for step, compiled in (
        ("forward", measure.compiled),
        ("forward and backward", measure.compiled_gradients),
    ):
        runs = [functools.partial(compiled(kind), x) for kind in (lambda x: ours(x), their_attention)]
        rows.append(row(f"window attention, {step}", runs, shapes.turns))
    return rows


def row(what: str, runs, turns: int, more: str = "") -> measure.Row:
    ours, theirs = processor_seconds_in_turns(runs, turns)
    detail = f"processor time {ours:.3f} s, KerasCV {theirs:.3f} s{more}"
    return measure.Row(f"Video Swin {what}: KerasCV / ours", theirs / ours, 1.0, detail=detail)


def main() -> None:
    arguments = measure.parser(__doc__, policy=True).parse_args()
    if rows := measure.absent("Video Swin: KerasCV / ours", "keras_cv"):
        measure.show(rows, arguments)
        return
    shapes = QUICK if arguments.quick else Shapes()
    measure.show([*attention_rows(shapes), *whole_model_rows(shapes)], arguments)


if __name__ == "__main__":
    main()
