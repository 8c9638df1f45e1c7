"""Projections in which the outputs of a backbone are compared, two by two."""

import math

import keras
from keras import ops

from zorro_keras.layers.initializers import dense_kernel
from zorro_keras.losses.contrastive import unit_length

MAX_LOGIT_SCALE = 100.0  # CLIP's: a learned temperature goes no lower than 0.01


def head_name(this, other):
    """Returns the name of the embedding of one output that is compared with another's."""
    return f"{this}_to_{other}"


@keras.saving.register_keras_serializable("zorro_keras")
class ContrastiveHeads(keras.layers.Layer):
    """Projects each of two outputs into a space of their own, for each pair that is to be compared.

    An output that is in several pairs has a projection in each: what audio shares with video need not be
    what it shares with fusion.

    Args:
        pairs: sequence of pairs of str, names of outputs.
        projection_dim: int, E, channels of the embeddings.
        temperature: float > 0, what cosines are divided by; where it is learned, the first one.
        learn_temperature: bool, whether it is trained, as one number for all pairs.
        stopped: sequence of heads, such as "audio_to_fusion", that let no gradient through to their output.

    Call arguments:
        features: dict of output to float tensor `(B, D)`. Pairs of which it lacks one still project the
            other.

    Returns:
        Dict of head to tensor `(B, E)`, float32 and of length 1: `audio_to_video` is audio's embedding that
        is compared with `video_to_audio`.

    Raises:
        ValueError: for a pair of one, a pair given twice, an unknown head, a name with `_to_` in it, or a
            temperature that is not positive or, to be learned, not above 0.01.

    Reference:
        Separate projections for each pair: Zorro, arXiv 2301.09595; their size, 512, and that they are
        linear, are our choices, after MMV (arXiv 2006.16228). Learned temperature: CLIP, arXiv 2103.00020.
    """

    def __init__(
        self, pairs, projection_dim=512, temperature=0.07, learn_temperature=False, stopped=(), **kwargs
    ):
        super().__init__(**kwargs)
        self.pairs = [tuple(pair) for pair in pairs]
        self.projection_dim = projection_dim
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        self.stopped = list(stopped)
        if projection_dim < 1:
            raise ValueError(f"`projection_dim` must be positive. Received: projection_dim={projection_dim}")
        least = 1 / MAX_LOGIT_SCALE if learn_temperature else 0.0
        if not temperature > least:
            raise ValueError(f"`temperature` must be above {least}. Received: temperature={temperature}")
        distinct = {frozenset(pair) for pair in self.pairs}
        if not pairs or len(distinct) < len(self.pairs) or any(len(pair) != 2 for pair in distinct):
            raise ValueError(f"`pairs` must be distinct pairs of two outputs. Received: pairs={self.pairs}")
        outputs = {output for pair in self.pairs for output in pair}
        if unclear := sorted(output for output in outputs if "_to_" in output):
            raise ValueError(f"`pairs` must be of names without `_to_`. Received: {unclear}")
        sides = [side for pair in self.pairs for side in (pair, pair[::-1])]
        self.sides = {head_name(*side): side for side in sides}
        if unknown := {*self.stopped} - {*self.sides}:
            raise ValueError(f"`stopped` may name {list(self.sides)}. Received: unknown {sorted(unknown)}")

    def build(self, features_shape):
        self.projections = {}
        for name, (this, _) in self.sides.items():
            dense = keras.layers.Dense(
                self.projection_dim, kernel_initializer=dense_kernel(), dtype=self.dtype_policy, name=name
            )
            dense.build(features_shape[this])
            self.projections[name] = dense
        self.log_scale = None
        if self.learn_temperature:
            first = keras.initializers.Constant(-math.log(self.temperature))
            self.log_scale = self.add_weight(shape=(), initializer=first, name="log_scale", dtype="float32")

    def call(self, features):
        embeddings = {}
        for name, (this, _) in self.sides.items():
            if features.get(this) is not None:
                feature = features[this]
                feature = ops.stop_gradient(feature) if name in self.stopped else feature
                embeddings[name] = unit_length(self.projections[name](feature))
        return embeddings

    def current_temperature(self):
        """Returns the temperature of now: a float, or a scalar tensor where it is learned."""
        if self.log_scale is None:
            return self.temperature
        scale = ops.exp(ops.convert_to_tensor(self.log_scale))
        # The gradient passes the limit, so that what went beyond it can come back.
        beyond = ops.stop_gradient(scale - ops.minimum(scale, MAX_LOGIT_SCALE))
        return 1.0 / (scale - beyond)

    def compute_output_spec(self, features):
        return {
            name: keras.KerasTensor((features[this].shape[0], self.projection_dim), dtype="float32")
            for name, (this, _) in self.sides.items()
            if this in features
        }

    def get_config(self):
        return {
            **super().get_config(),
            "pairs": self.pairs,
            "projection_dim": self.projection_dim,
            "temperature": self.temperature,
            "learn_temperature": self.learn_temperature,
            "stopped": self.stopped,
        }
