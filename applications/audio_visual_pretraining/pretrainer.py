"""The task: which sound, picture and fusion of both belong to one clip?"""

from __future__ import annotations

from itertools import combinations

import keras
from keras import ops

from zorro_keras.applications.training.audio_visual_preprocessor import AudioVisualPreprocessor
from zorro_keras.applications.training.backbone_task import BackboneTask
from zorro_keras.applications.training.losses import weighted_mean
from zorro_keras.applications.training.replicas import of_all_replicas
from zorro_keras.layers import ContrastiveHeads
from zorro_keras.losses import noise_contrastive_losses
from zorro_keras.models import ZorroHiPBackbone, ZorroSwinBackbone, ZorroViTBackbone


@keras.saving.register_keras_serializable("zorro_keras")
class AudioVisualPretrainer(BackboneTask):
    """Learns from clips without labels, by noise-contrastive losses between the outputs of a backbone.

    For each pair of outputs, every example of a batch must be told from all others: the two embeddings of one
    clip are to be nearer to one another than to those of any other. Between two streams this means something
    only because a Zorro backbone keeps them apart: where each reads the other, both can hold the same code
    for the clip, and nothing is learned.

    What is trained is the backbone: `ZorroViTBackbone.from_preset` of this model's preset goes on from it,
    and so does `model.pretrained` of audio_visual_classification.

    Args:
        backbone: `ZorroViTBackbone`, `ZorroSwinBackbone` or `ZorroHiPBackbone`, of two or more streams.
        preprocessor: `AudioVisualPreprocessor` applied by `fit`, `evaluate` and `predict` to what they are
            given, or `None` if they are given preprocessed arrays.
        pair_weights: optional dict of two outputs, separated by a comma, to the weight of their term in the
            loss: `{"audio,video": 1.0, "fusion,audio": 0.5}`. By default 1 for every two streams, and for
            `fusion` with each stream.
        projection_dim, temperature, learn_temperature: see `ContrastiveHeads`.
        stop_stream_gradient: bool, whether a term between a stream and what is none, such as `fusion`, sends
            no gradient into the stream's output: fusion has to follow it. The tokens that fusion reads still
            learn by what it makes of them.

    Call arguments:
        inputs: as for the backbone: any subset of its streams, with `presence` by example if wanted.

    Returns:
        Dict of embeddings `(B, E)`, float32 and of length 1: `audio_to_video` is audio's that is compared
        with `video_to_audio`. Those of outputs that the streams given do not make are left out.

    Raises:
        ValueError: for a backbone of one stream, or a pair of outputs that it has not.

    Example:

    ```python
    model = AudioVisualPretrainer(backbone)
    model.fit(clips)  # dicts of streams, with `presence` where clips lack one; labels are left alone
    sounds = model.predict({"audio": mel})["audio_to_video"]  # (B, 512)
    ```

    Negatives are the other clips of the batch, those on all devices: also under `tf.distribute`, where
    a `fit` of your own takes `presence` as numbers only, and in torch's `DistributedDataParallel`. Clips of
    one kind in a batch are negatives, too.

    Reference:
        Zorro, arXiv 2301.09595, self-supervised training: audio with video, fusion with each. That all terms
        weigh alike and gradients flow both ways are our choices.
    """

    backbone_cls = ZorroViTBackbone
    preprocessor_cls = AudioVisualPreprocessor

    def __init__(
        self,
        backbone,
        preprocessor=None,
        pair_weights=None,
        projection_dim=512,
        temperature=0.07,
        learn_temperature=False,
        stop_stream_gradient=False,
        **kwargs,
    ):
        self._check_backbone(backbone)
        weights = dict(default_pair_weights(backbone) if pair_weights is None else pair_weights)
        pairs = {tuple(pair.split(",")): weight for pair, weight in weights.items()}
        _check_pairs(pairs, backbone)
        heads = ContrastiveHeads(
            list(pairs),
            projection_dim,
            temperature,
            learn_temperature,
            stopped=_stream_sides(pairs, backbone.streams) if stop_stream_gradient else (),
            dtype=backbone.dtype_policy,
            name="heads",
        )
        super().__init__(backbone, preprocessor, heads(backbone(backbone.input)), **kwargs)
        self.heads = heads
        self.pair_weights = weights
        self.pairs = pairs
        self.stop_stream_gradient = stop_stream_gradient
        self.compile_by_default()

    def answer(self, inputs, training=None):
        """Returns the embeddings of what `inputs` hold: what a call runs."""
        return self.heads(self.backbone(inputs, training=training))

    def compile(self, optimizer="auto", **kwargs):
        """Configures training.

        Args:
            optimizer: optimizer or its name; "auto" for AdamW with a learning rate of 3e-4.
            **kwargs: further arguments of `keras.Model.compile`, without a loss and metrics: the task makes
                its own.
        """
        self.compile_own(optimizer, 3e-4, kwargs)
        self.pair_metrics = {
            pair: keras.metrics.Mean(name=f"{'_'.join(pair)}_accuracy") for pair in self.pairs
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        temperature, terms = self.heads.current_temperature(), []
        for pair, weight in self.pairs.items():
            if (sides := self._sides(pair, y_pred)) is not None:
                present = of_all_replicas(self._present(pair, x, y_pred, sample_weight))
                losses = noise_contrastive_losses(*sides, temperature, present)
                terms.append(weight * weighted_mean(losses, present))
        if not terms:
            raise ValueError(
                f"The inputs must have both outputs of one of the pairs {list(self.pairs)}. "
                f"Received: embeddings {list(y_pred)}"
            )
        return self.total_loss(*terms)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        absent = []
        for pair, metric in self.pair_metrics.items():
            if (sides := self._sides(pair, y_pred)) is None:
                absent.append(metric.name)
                continue
            present = of_all_replicas(self._present(pair, x, y_pred, sample_weight))
            metric.update_state(_found(*sides, present), sample_weight=present)
        return {name: result for name, result in self.get_metrics_result().items() if name not in absent}

    def served(self, outputs):
        """Returns what an export answers: the embeddings."""
        return dict(outputs)

    def get_config(self):
        return {
            **super().get_config(),
            "pair_weights": self.pair_weights,
            "projection_dim": self.heads.projection_dim,
            "temperature": self.heads.temperature,
            "learn_temperature": self.heads.learn_temperature,
            "stop_stream_gradient": self.stop_stream_gradient,
        }

    @staticmethod
    def _sides(pair, y_pred):
        """Returns both embeddings of a pair, those of all replicas, or `None` where the outputs lack one."""
        first, second = pair
        names = (f"{first}_to_{second}", f"{second}_to_{first}")
        if not all(name in y_pred for name in names):
            return None
        return tuple(of_all_replicas(y_pred[name]) for name in names)

    def _present(self, pair, x, y_pred, sample_weight):
        """Returns which examples `(B,)` have both outputs of a pair; fusion is of whatever there is."""
        presence = x.get("presence") or {}
        present = ops.ones(ops.shape(next(iter(y_pred.values())))[:1], "bool")
        for output in pair:
            if output in presence:
                present = ops.logical_and(present, ops.cast(presence[output], "bool"))
        if sample_weight is not None:
            present = ops.logical_and(present, ops.reshape(sample_weight, (-1,)) > 0)
        return present


@keras.saving.register_keras_serializable("zorro_keras")
class AudioVisualSwinPretrainer(AudioVisualPretrainer):
    """An `AudioVisualPretrainer` of a `ZorroSwinBackbone`, as which it is made, saved and loaded."""

    backbone_cls = ZorroSwinBackbone


@keras.saving.register_keras_serializable("zorro_keras")
class AudioVisualHiPPretrainer(AudioVisualPretrainer):
    """An `AudioVisualPretrainer` of a `ZorroHiPBackbone`, as which it is made, saved and loaded."""

    backbone_cls = ZorroHiPBackbone


def default_pair_weights(backbone):
    """Returns a weight of 1 for every two streams that have an output, and for fusion with each of them."""
    streams = [name for name in backbone.streams if name in backbone.output]
    fused = [("fusion", name) for name in streams if "fusion" in backbone.output]
    return {",".join(pair): 1.0 for pair in [*combinations(streams, 2), *fused]}


def _check_pairs(pairs, backbone):
    outputs = list(backbone.output)
    for pair, weight in pairs.items():
        if len(pair) != 2 or not {*pair} <= {*outputs}:
            raise ValueError(
                f"`pair_weights` may name two of {outputs}, separated by a comma. "
                f"Received: {','.join(pair)!r}"
            )
        if not weight > 0:
            raise ValueError(f"`pair_weights` must be positive. Received: {','.join(pair)!r} {weight}")
    if not pairs:
        raise ValueError(
            "There must be two outputs to compare: `backbone` needs two streams, or fusion. "
            f"Received: outputs {outputs}"
        )


def _stream_sides(pairs, streams):
    """Returns the heads of a stream in pairs with what is none."""
    sides = [side for pair in pairs for side in (pair, pair[::-1])]
    return [f"{this}_to_{other}" for this, other in sides if this in streams and other not in streams]


def _found(first, second, present):
    """Returns how often each example's embeddings find one another among those present, both ways: `(B,)`."""
    likeness = ops.matmul(first, ops.transpose(second))
    right = ops.diagonal(likeness)
    ways = []
    for axis, of_keys in ((1, present[None]), (0, present[:, None])):
        likeness_of_keys = ops.where(of_keys, likeness, -2.0)
        best = ops.max(likeness_of_keys, axis=axis, keepdims=True)
        # Of several that are nearest, each is the one to be found with equal chance.
        num_best = ops.sum(ops.cast(likeness_of_keys >= best, "float32"), axis=axis)
        ways.append(ops.cast(right >= ops.squeeze(best, axis), "float32") / num_best)
    return (ways[0] + ways[1]) / 2
