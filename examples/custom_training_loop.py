"""A training loop of one's own, on each backend: any loss on any of the outputs.

    KERAS_BACKEND=jax python examples/custom_training_loop.py

The sound and the picture of a clip are drawn together, which makes sense because neither can see the other.
"""

import keras
import numpy as np
from keras import ops

import zorro_keras as zk

keras.utils.set_random_seed(0)
streams = {"audio": zk.streams.Spectrogram(32, 32), "video": zk.streams.Video(2, 32, 32)}
backbone = zk.models.ZorroViTBackbone(streams, num_layers=1, num_heads=2, hidden_dim=32, mlp_dim=64)
optimizer = keras.optimizers.AdamW(1e-3)
optimizer.build(backbone.trainable_variables)


def loss_of(outputs):
    """Returns the mean noise-contrastive loss: which sound belongs to which picture?"""
    losses = zk.losses.noise_contrastive_losses(outputs["audio"], outputs["video"], temperature=0.5)
    return ops.mean(losses)


if keras.config.backend() == "tensorflow":
    import tensorflow as tf

    @tf.function
    def step(batch):
        with tf.GradientTape() as tape:
            loss = loss_of(backbone(batch, training=True))
        optimizer.apply(tape.gradient(loss, backbone.trainable_variables, unconnected_gradients="zero"))
        return loss

elif keras.config.backend() == "torch":

    def step(batch):
        backbone.zero_grad()
        loss = loss_of(backbone(batch, training=True))
        loss.backward()
        optimizer.apply([variable.value.grad for variable in backbone.trainable_variables])
        return loss.detach()

else:
    import jax

    def compute(trainable, non_trainable, batch):
        outputs, non_trainable = backbone.stateless_call(trainable, non_trainable, batch, training=True)
        return loss_of(outputs), non_trainable

    @jax.jit
    def update(trainable, state, non_trainable, batch):
        (loss, non_trainable), grads = jax.value_and_grad(compute, has_aux=True)(
            trainable, non_trainable, batch
        )
        return (loss, *optimizer.stateless_apply(state, grads, trainable), non_trainable)

    def step(batch):
        groups = (backbone.trainable_variables, optimizer.variables, backbone.non_trainable_variables)
        loss, *updated = update(*([variable.value for variable in group] for group in groups), batch)
        for group, values in zip(groups, updated, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return loss


rhythm = np.random.default_rng(0).normal(size=(8, 1, 32)).astype("float32")  # what sound and picture share
audio = np.repeat(rhythm, 32, axis=1)
video = np.tile(rhythm[:, :, None, :, None], (1, 2, 32, 1, 3))
for number in range(10):
    print(f"step {number}: loss {float(step({'audio': audio, 'video': video})):.3f}")
