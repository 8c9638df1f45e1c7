"""The task: one learned query and one head for each thing that is asked of a text."""

from __future__ import annotations

import re

import keras
from keras import ops

from zorro_keras.applications.text_classification.preprocessor import TextPreprocessor
from zorro_keras.applications.training.compiled_task import CompiledTask
from zorro_keras.applications.training.losses import as_probabilities
from zorro_keras.applications.training.replicas import sum_of_replicas
from zorro_keras.models import PerceiverIOBackbone


@keras.saving.register_keras_serializable("zorro_keras")
class TextClassifier(CompiledTask):
    """Answers one or several tasks about a text, or a pair of texts, at once.

    Each output of the backbone, the answer to a task's query, has its own head: a hidden layer with tanh,
    then logits or one number. A batch may mix the examples of all tasks; weights say which example counts
    for which.

    Args:
        backbone: `PerceiverIOBackbone` with one output a task, answers `(B, 1, E)`: see `task_queries`.
        num_outputs: dict of task to int: K classes, or 1 for a number.
        preprocessor: `TextPreprocessor` applied by `fit`, `evaluate` and `predict` to lists of texts, or
            `None`.
        label_smoothing: float in [0, 1), share of a class label that the loss spreads over all classes.

    Call arguments:
        inputs: dict with `text`, int `(B, T)`, and `padding_mask`, as for the backbone.

    Returns:
        Dict of task to logits `(B, K)`, float32; `(B, 1)` for a number.

    Labels are a dict of task to ints `(B,)`, or floats for a number; sample weights a dict of task to floats
    `(B,)`, 0 where an example does not belong to the task. With one task both may be the arrays themselves.
    The loss is the weighted mean over examples of cross-entropies and squared errors; an int that is no class
    makes it NaN.

    Example:

    ```python
    model = TextClassifier.from_preset("runs/first/preset")
    model.predict(["the plot is not dull"])  # {"SST-2": (1, 2)}
    ```

    Reference:
        Perceiver IO, arXiv 2107.14795, section 4.1 and appendix F: learned queries without a CLS token,
        2-layer heads, and one query a task where tasks are trained together. The paper does not say how it
        weighs them: here each example counts alike.
    """

    backbone_cls = PerceiverIOBackbone
    preprocessor_cls = TextPreprocessor

    def __init__(self, backbone, num_outputs, preprocessor=None, label_smoothing=0.0, **kwargs):
        num_outputs = dict(num_outputs)
        if set(num_outputs) != set(backbone.output_adapters) or min(num_outputs.values()) < 1:
            raise ValueError(
                f"`num_outputs` must be positive for each of {sorted(backbone.output_adapters)}. "
                f"Received: num_outputs={num_outputs}"
            )
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(
                f"`label_smoothing` must be within [0, 1). Received: label_smoothing={label_smoothing}"
            )
        answers = backbone(backbone.input)
        heads = {
            task: _head(place, task, answers[task].shape[-1], num_outputs[task], backbone.dtype_policy)
            for place, task in enumerate(sorted(num_outputs))
        }
        outputs = {task: head(answers[task][:, 0]) for task, head in heads.items()}
        super().__init__(backbone, preprocessor, outputs, **kwargs)
        self.heads = heads
        self.num_outputs = num_outputs
        self.label_smoothing = label_smoothing
        self.compile_by_default()

    def answer(self, inputs, training=None):
        """Returns the logits of every task: what a call runs."""
        answers = self.backbone(inputs, training=training)
        return {task: head(answers[task][:, 0]) for task, head in self.heads.items()}

    def compile(self, optimizer="auto", **kwargs):
        """Configures training.

        Args:
            optimizer: optimizer or its name; "auto" for AdamW with a learning rate of 1e-4.
            **kwargs: further arguments of `keras.Model.compile`. `loss` and `metrics` belong to the tasks and
                are not accepted.
        """
        self.compile_own(optimizer, 1e-4, kwargs)
        self.task_metrics = {
            task: keras.metrics.MeanSquaredError(name=f"{_identifier(task)}_squared_error")
            if num_outputs == 1
            else keras.metrics.SparseCategoricalAccuracy(name=f"{_identifier(task)}_accuracy")
            for task, num_outputs in self.num_outputs.items()
        }

    def fit(self, x=None, y=None, sample_weight=None, **kwargs):
        """Trains as `keras.Model.fit` does. Lists of texts are preprocessed first."""
        shuffle = {} if y is not None else {"shuffle": False}  # a dataset comes in its own order
        return keras.Model.fit(self, self._read(x), y, sample_weight=sample_weight, **{**shuffle, **kwargs})

    def evaluate(self, x=None, y=None, sample_weight=None, **kwargs):
        """Evaluates as `keras.Model.evaluate` does. Lists of texts are preprocessed first."""
        return keras.Model.evaluate(self, self._read(x), y, sample_weight=sample_weight, **kwargs)

    def predict(self, x, **kwargs):
        """Predicts as `keras.Model.predict` does. Lists of texts are preprocessed first."""
        return keras.Model.predict(self, self._read(x), **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        total, count = 0.0, 0.0
        for task, label, weight in self._targets(y, y_pred, sample_weight):
            total = total + ops.sum(weight * self._losses_of(task, label, y_pred[task], weight))
            count = count + ops.sum(weight)
        return self.total_loss(total / ops.maximum(sum_of_replicas(count), 1e-7))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        for task, label, weight in self._targets(y, y_pred, sample_weight):
            label = label[:, None] if self.num_outputs[task] == 1 else label
            self.task_metrics[task].update_state(label, y_pred[task], sample_weight=weight)
        return self.get_metrics_result()

    def get_config(self):
        return {
            **super().get_config(),
            "num_outputs": self.num_outputs,
            "label_smoothing": self.label_smoothing,
        }

    def _read(self, x):
        if not isinstance(x, (list, tuple)):
            return x
        if self.preprocessor is None:
            raise ValueError("Texts need a `preprocessor`; without one, give its ids as a dict.")
        return self.preprocessor(x)

    def _losses_of(self, task, label, answer, weight=None):
        """Returns the loss of each example `(B,)`."""
        if self.num_outputs[task] == 1:
            return ops.square(answer[:, 0] - ops.cast(label, answer.dtype))
        label = ops.cast(as_probabilities(label, self.num_outputs[task], weight), answer.dtype)
        label = (1.0 - self.label_smoothing) * label + self.label_smoothing / self.num_outputs[task]
        return ops.categorical_crossentropy(label, answer, from_logits=True)

    def _targets(self, y, y_pred, sample_weight):
        """Yields each task with its labels and weights, both `(B,)`."""
        (only,) = self.num_outputs if len(self.num_outputs) == 1 else (None,)
        labels = y if isinstance(y, dict) else {only: y}
        weights = sample_weight if isinstance(sample_weight, dict) else {only: sample_weight}
        if not set(labels) <= set(self.num_outputs):
            raise ValueError(
                f"Labels must be a dict of some of {list(self.num_outputs)}. Received: {list(labels)}"
            )
        for task, label in labels.items():
            weight = weights.get(task, weights.get(None))
            ones = ops.ones_like(y_pred[task][:, 0])
            yield task, label, ones if weight is None else ops.cast(ops.reshape(weight, (-1,)), "float32")


def _head(place, task, hidden_dim, num_outputs, policy):
    """A hidden layer with tanh and a linear one, in float32 at the end: a loss's exponentials need it."""
    last = keras.DTypePolicy("float32") if policy.compute_dtype != "float32" else policy
    layers = [
        keras.layers.Dense(hidden_dim, activation="tanh", dtype=policy, name="hidden"),
        keras.layers.Dense(num_outputs, dtype=last, name="scores"),
    ]
    head = keras.Sequential(layers, name=f"head_{place}_{_identifier(task)}")
    head.build((None, hidden_dim))
    return head


def _identifier(task):
    """`task` in letters that every backend takes in the names of variables."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", task).strip("_-") or "task"
