"""What `fit` adds to a step: the tiny classifier trained by `fit`, and by the same step compiled by hand.

Both read the same `tf.data` dataset of ready batches and use the same model, loss and optimizer. The
hand-written step keeps no metrics, calls no callbacks and knows its backend.
"""

import measure

STEPS, QUICK_STEPS = 12, 2


def tiny_classifier():
    """The compiled classifier of the `tiny` configuration, and an endless dataset of one random batch."""
    import numpy as np
    import tensorflow as tf

    from zorro_keras.applications.audio_visual_classification.config import CONFIGS
    from zorro_keras.applications.audio_visual_classification.model import build_model
    from zorro_keras.applications.training.optimizer import build_optimizer

    config = CONFIGS["tiny"]
    model = build_model(config, [f"class {k}" for k in range(8)])
    model.compile(optimizer=build_optimizer(model, config.training, total_steps=10_000))
    batch_size = config.training.batch_size
    rng = np.random.default_rng(0)
    x = {
        name: rng.normal(size=(batch_size, *stream.shape)).astype("float32")
        for name, stream in model.backbone.streams.items()
    }
    x["presence"] = {name: np.ones(batch_size, bool) for name in model.backbone.streams}
    y = np.eye(8, dtype="float32")[rng.integers(8, size=batch_size)]
    return model, tf.data.Dataset.from_tensors((x, y)).cache().repeat().prefetch(2)


def jax_loop(model, dataset, steps: int):
    """Returns a function that takes `steps` steps with a step jitted by hand."""
    import jax
    import jax_steps

    step, state = jax_steps.train_step(model)
    step, state = jax.jit(step), jax.tree.map(jax.numpy.array, state)
    batches = dataset.as_numpy_iterator()

    def loop():
        nonlocal state
        for _ in range(steps):
            value, state = step(state, *next(batches))
        return float(value)

    return loop


def tensorflow_loop(model, dataset, steps: int):
    """Returns a function that takes `steps` steps with a `tf.function` written by hand."""
    import tensorflow as tf

    @tf.function(jit_compile=model.jit_compile)
    def step(x, y):
        with tf.GradientTape() as tape:
            value = model.compute_loss(x, y, model(x, training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    batches = iter(dataset)

    def loop():
        for _ in range(steps):
            value = step(*next(batches))
        return float(value)

    return loop


def torch_loop(model, dataset, steps: int):
    """Returns a function that takes `steps` steps with PyTorch's own backward pass."""
    import torch
    from keras import ops, tree

    batches = dataset.as_numpy_iterator()
    weights = model.trainable_variables

    def step(x, y):
        value = model.compute_loss(x, y, model(x, training=True))
        gradients = torch.autograd.grad(value, [weight.value for weight in weights], allow_unused=True)
        with torch.no_grad():
            model.optimizer.apply(gradients, weights)
        return value

    def loop():
        for _ in range(steps):
            value = step(*tree.map_structure(ops.convert_to_tensor, next(batches)))
        return float(value.detach())

    return loop


def main() -> None:
    arguments = measure.parser(__doc__).parse_args()
    import keras

    model, dataset = tiny_classifier()
    steps, turns = (QUICK_STEPS, 1) if arguments.quick else (STEPS, 5)

    # Keras' own `fit`: that of a keras-hub Task would preprocess the ready batches again.
    def fit():
        keras.Model.fit(model, dataset, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)

    fit()  # builds the optimizer, whose variables the loop by hand starts from
    loops = {"jax": jax_loop, "tensorflow": tensorflow_loop, "torch": torch_loop}
    loop = loops[keras.config.backend()](model, dataset, steps)
    by_fit, by_hand = measure.seconds_in_turns([fit, loop], turns=turns, warm_up=1)
    detail = f"fit {1000 * by_fit / steps:.1f} ms, by hand {1000 * by_hand / steps:.1f} ms per step"
    row = measure.Row("fit overhead per step", by_fit / by_hand - 1, 0.1, at_most=True, detail=detail)
    measure.show([row], arguments)


if __name__ == "__main__":
    main()
