"""How long the step that trains the base classifier takes to trace and to compile, and how long with a cache.

On JAX, in processes of their own: its blocks, which recompute, as one loop over their weights, which is how
`zorro-keras train` has them, and block by block; then the first twice with JAX's persistent cache in an empty
folder, of which the second reads what the first has written. Only the programs are made; none of them runs.
"""

import json
import tempfile
import time

import measure

TASK = "audio_visual_classification"
WAYS = ("one loop", "block by block")  # the first is the reference


def compiling_seconds(way: str, config_name: str) -> dict:
    """Seconds of tracing to a program, and of compiling it; and the megabytes it takes beside its state."""
    import jax

    from zorro_keras.applications.plan.shapes_only import shaped_model
    from zorro_keras.applications.training.task import named_config
    from zorro_keras.layers import block_stack

    if way == "block by block":
        block_stack.loops_over_weights = lambda x: False
    config = named_config(TASK, config_name)
    shaped = shaped_model(TASK, config, [f"class {place}" for place in range(309)], batch_size=1)
    start = time.perf_counter()
    lowered = jax.jit(shaped.model.train_step, donate_argnums=0).lower(shaped.state, shaped.data)
    traced = time.perf_counter()
    compiled = lowered.compile()
    seconds = {"trace": traced - start, "compile": time.perf_counter() - traced}
    return {**seconds, "megabytes": compiled.memory_analysis().temp_size_in_bytes / 2**20}


def in_a_process(way: str, words, **environment: str) -> dict:
    return measure.run_child("compile_time.py", "--seconds-of", way, *words, **environment)


def rows(words) -> list[measure.Row]:
    found = {way: in_a_process(way, words) for way in WAYS}
    reference, *others = WAYS
    made = []
    for way in others:
        label, detail = f"{way} / {reference}", f"{named(found[way])} against {named(found[reference])}"
        ratio = seconds_of(found[way]) / seconds_of(found[reference])
        megabytes = [found[name]["megabytes"] for name in (way, reference)]
        made += [
            measure.Row(f"base train step, trace and compile: {label}", ratio, 1.5, detail=detail),
            measure.Row(
                f"base train step, memory beside its state: {label}",
                megabytes[0] / megabytes[1],
                detail="{:.0f} against {:.0f} MB".format(*megabytes),
            ),
        ]
    with tempfile.TemporaryDirectory() as folder:
        cache = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        first, second = (in_a_process(reference, words, **cache) for _ in range(2))
    ratio = seconds_of(second) / seconds_of(first)
    detail = f"{named(second)} against {named(first)}"
    label = "base train step, trace and compile: second / first process with a cache"
    return [*made, measure.Row(label, ratio, at_most=True, detail=detail)]


def seconds_of(found: dict) -> float:
    return found["trace"] + found["compile"]


def named(seconds: dict) -> str:
    return f"{seconds['trace']:.1f} + {seconds['compile']:.1f} s"


def main() -> None:
    parser = measure.parser(__doc__, policy=True)
    parser.add_argument("--seconds-of", choices=WAYS, help="only trace and compile this one")
    arguments = parser.parse_args()
    import keras

    if keras.config.backend() != "jax":
        row = measure.not_measured("compile time", "JAX alone tells tracing and compiling apart")
        measure.show([row], arguments)
        return
    if arguments.seconds_of:
        config_name = "tiny" if arguments.quick else "base"
        print(json.dumps(compiling_seconds(arguments.seconds_of, config_name)))
        return
    measure.show(rows(measure.words_of(arguments)), arguments)


if __name__ == "__main__":
    main()
