"""Video Swin against KerasCV's: same weights, same process, in turns.

The tiny size on a clip of 8 frames of 224 x 224 pixels, forward and train step (SGD), and the attention alone
in the windows of its first stage. Processor time of all threads together counts, as it holds on a busy
machine too. Both give the same numbers: their largest difference is printed. Needs
`pip install zorro-keras[cv]`.
"""

import functools
import importlib.util
import statistics
import time

import measure

CLIP = (8, 224, 224, 3)
GRID, WINDOW, CHANNELS, HEADS = (4, 56, 56), (4, 7, 7), 96, 3  # of the first stage


def processor_seconds_in_turns(runs, turns: int = 7, warm_up: int = 2) -> list[float]:
    """Median processor seconds of each of `runs`, called one after the other."""
    times = [[] for _ in runs]
    for turn in range(warm_up + turns):
        for run, seconds in zip(runs, times, strict=True):
            start = time.process_time()
            run()
            if turn >= warm_up:
                seconds.append(time.process_time() - start)
    return [statistics.median(seconds) for seconds in times]


def models():
    """Returns ours and KerasCV's, with the same random weights."""
    import keras_cv
    import numpy as np

    import zorro_keras as zk

    theirs = keras_cv.models.VideoSwinBackbone(input_shape=CLIP, drop_path_rate=0.0)
    rng = np.random.default_rng(0)
    for weight in theirs.trainable_weights:
        weight.assign(np.asarray(weight) + 0.02 * rng.normal(size=weight.shape))
    streams = {"video": zk.streams.Video(*CLIP[:3], patch=(2, 4, 4))}
    return zk.weights.convert_swin(theirs, streams, read_padding=True).backbone, theirs


def whole_model_rows() -> list[measure.Row]:
    import keras
    import numpy as np

    x = np.random.default_rng(1).normal(size=(1, *CLIP)).astype("float32")
    clip, wholes = keras.Input(CLIP), []
    ours, theirs = models()
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
        row("tiny, forward", forwards, f", {apart:.0e} apart"),
        row("tiny, train step", trains),
    ]


def attention_rows() -> list[measure.Row]:
    """Rows for the attention in windows, from a grid to a grid: theirs with its own cutting and joining."""
    import numpy as np
    from keras import ops
    from keras_cv.src.models.backbones.video_swin import video_swin_layers as kcv

    import zorro_keras as zk

    theirs = kcv.VideoSwinWindowAttention(CHANNELS, WINDOW, HEADS)
    theirs.build((None, None, CHANNELS))
    ours = zk.layers.WindowAttention(HEADS, WINDOW)
    ours.build((None, *GRID, CHANNELS))
    x = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(1, *GRID, CHANNELS)).astype("float32"))

    def their_attention(x):
        windows = theirs(kcv.window_partition(x, WINDOW))
        return kcv.window_reverse(windows, WINDOW, 1, *GRID)

    rows = []
    for step, compiled in (
        ("forward", measure.compiled),
        ("forward and backward", measure.compiled_gradients),
    ):
        runs = [functools.partial(compiled(kind), x) for kind in (lambda x: ours(x), their_attention)]
        rows.append(row(f"window attention, {step}", runs))
    return rows


def row(what: str, runs, more: str = "") -> measure.Row:
    ours, theirs = processor_seconds_in_turns(runs)
    detail = f"processor time {ours:.3f} s, KerasCV {theirs:.3f} s{more}"
    return measure.Row(f"Video Swin {what}: KerasCV / ours", theirs / ours, 1.0, detail=detail)


def main() -> None:
    arguments = measure.parser(__doc__).parse_args()
    if importlib.util.find_spec("keras_cv") is None:
        raise SystemExit("keras-cv is not installed: pip install zorro-keras[cv]")
    measure.show([*attention_rows(), *whole_model_rows()], arguments.json)


if __name__ == "__main__":
    main()
