"""How long the training step of Zorro's base size takes to trace and to compile, and how long with a cache.

On JAX, in processes of their own: each way of building the same model anew; then one of them twice with
JAX's persistent cache in an empty folder, of which the second reads what the first has written. Only the
programs are made; none of them runs.
"""

import json
import tempfile
import time

import attention
import measure

# What makes a model of these shapes, by the name of its way; the first is the reference.
WAYS = {"structured": attention.whole_model, "dense": attention.whole_model}


def compiling_seconds(way: str, shapes) -> dict:
    """Seconds of tracing to a program, and of compiling it."""
    import jax
    import jax_steps
    import numpy as np

    model = WAYS[way](way, shapes)
    step, state = jax_steps.train_step(model)
    x, y = attention.example(shapes.streams()), np.zeros((1, model.output.shape[-1]), "float32")
    start = time.perf_counter()
    lowered = jax.jit(step, donate_argnums=0).lower(state, x, y)
    traced = time.perf_counter()
    lowered.compile()
    return {"trace": traced - start, "compile": time.perf_counter() - traced}


def in_a_process(way: str, words, **environment: str) -> dict:
    return measure.run_child("compile_time.py", "--seconds-of", way, *words, **environment)


def rows(words) -> list[measure.Row]:
    found = {way: in_a_process(way, words) for way in WAYS}
    reference, *others = WAYS
    made = [
        measure.Row(
            f"base train step, trace and compile: {way} / {reference}",
            sum(found[way].values()) / sum(found[reference].values()),
            detail=f"{named(found[way])} against {named(found[reference])}",
        )
        for way in others
    ]
    with tempfile.TemporaryDirectory() as folder:
        cache = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        first, second = (in_a_process(reference, words, **cache) for _ in range(2))
    ratio = sum(second.values()) / sum(first.values())
    detail = f"{named(second)} against {named(first)}"
    label = "base train step, trace and compile: second / first process with a cache"
    return [*made, measure.Row(label, ratio, at_most=True, detail=detail)]


def named(seconds: dict) -> str:
    return f"{seconds['trace']:.1f} + {seconds['compile']:.1f} s"


def main() -> None:
    parser = measure.parser(__doc__, policy=True)
    parser.add_argument("--seconds-of", choices=list(WAYS), help="only trace and compile this one")
    arguments = parser.parse_args()
    import keras

    if keras.config.backend() != "jax":
        row = measure.not_measured("compile time", "JAX alone tells tracing and compiling apart")
        measure.show([row], arguments)
        return
    if arguments.seconds_of:
        shapes = attention.QUICK if arguments.quick else attention.PAPER
        print(json.dumps(compiling_seconds(arguments.seconds_of, shapes)))
        return
    measure.show(rows(measure.words_of(arguments)), arguments)


if __name__ == "__main__":
    main()
