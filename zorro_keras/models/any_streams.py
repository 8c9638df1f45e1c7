"""A functional model that also answers to any subset of its inputs."""

import keras
from keras import ops

from zorro_keras.models.unknown_names import check_names


class AnyStreams:
    """Mixin for functional models of streams.

    The graph over all streams is what `summary` and `plot_model` show. A call runs the model's `answer`
    instead, so that a stream left out costs nothing, in `fit`, `evaluate`, `predict` and by hand.

    Labels are a dict by output. Outputs without one are not judged, and labels of outputs that the given
    inputs do not make count for nothing: in the losses and metrics they are batches of no examples.
    """

    input_spec = None  # the model checks its own inputs: see `StreamInputs`

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Until it is initialised, keras-hub 0.32 sets attributes past torch's bookkeeping: torch would know
        # none of the weights, and `zero_grad` would leave gradients to add up from step to step. Forgotten
        # here, the list is made anew when it is next asked for. Other backends have none.
        self.__dict__.pop("_torch_params", None)
        # Each layer casts what it reads. Cast here, the ids of a table of entities would not arrive whole.
        self.autocast = False

    def call(self, inputs, training=None):
        return self.answer(inputs, training=training)

    def compute_output_spec(self, inputs, training=None):
        # Not the fixed graph's: what `call` returns depends on which streams it is given.
        return keras.Operation.compute_output_spec(self, inputs, training=training)

    def make_train_function(self, force=False):
        # TensorFlow traces a step that makes variables, as those of an optimizer, a second time without them.
        if self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        # A loss without examples is a scalar only if it has a further axis.
        y, y_pred, sample_weight = self._judged(y, y_pred, sample_weight, (0, 1))
        return super().compute_loss(x, y, y_pred, sample_weight, training=training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, *self._judged(y, y_pred, sample_weight, (0,)))

    def _judged(self, y, y_pred, sample_weight, no_examples):
        """Returns labels, outputs and weights of the same names, whichever inputs were given.

        At the first batch Keras fixes which outputs it judges, so one that is not there stays in its place,
        with axes of `no_examples` for the batch's. A size of it that depends on the input is 1, which goes
        with any.
        """
        if not isinstance(y, dict) or not isinstance(y_pred, dict):
            return y, y_pred, sample_weight
        check_names("y", y, self.output)
        absent = set(y) - set(y_pred)
        if sample_weight is not None and absent:
            if not isinstance(sample_weight, dict):
                sample_weight = dict.fromkeys(y, sample_weight)
            sample_weight = {name: w[:0] if name in absent else w for name, w in sample_weight.items()}
        y, y_pred = dict(y), {name: y_pred.get(name) for name in y}
        for name in absent:
            spec = self.output[name]
            y[name] = ops.zeros((*no_examples, *y[name].shape[1:]), y[name].dtype)
            y_pred[name] = ops.zeros((*no_examples, *(size or 1 for size in spec.shape[1:])), spec.dtype)
        return y, y_pred, sample_weight
