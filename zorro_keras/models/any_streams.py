"""A functional model that also answers to any subset of its inputs."""

import keras


class AnyStreams:
    """Mixin for functional models of streams.

    The graph over all streams is what `summary` and `plot_model` show. A call runs the model's `answer`
    instead, so that a stream left out costs nothing, in `fit`, `evaluate`, `predict` and by hand.
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
