"""A model's call and its training step as functions of arrays, for JAX: to be jitted, counted or laid out."""

import jax


def forward(model):
    """Returns a function of weights and inputs, and the weights.

    Weights are arguments: as constants of the program, XLA would copy them into it.
    """
    weights = [_values(model.trainable_variables), _values(model.non_trainable_variables)]
    return lambda weights, inputs: model.stateless_call(*weights, inputs)[0], weights


def train_step(model):
    """Returns a training step, and the state that it takes: weights, other variables, the optimizer's.

    The step takes state, inputs and targets and returns the loss and the next state. It keeps no metrics.
    """
    model.optimizer.build(model.trainable_variables)

    def loss(trainable, other, x, y):
        outputs, other = model.stateless_call(trainable, other, x, training=True)
        return model.compute_loss(x, y, outputs), other

    def step(state, x, y):
        trainable, other, optimizer = state
        (value, other), gradients = jax.value_and_grad(loss, has_aux=True)(trainable, other, x, y)
        trainable, optimizer = model.optimizer.stateless_apply(optimizer, gradients, trainable)
        return value, (trainable, other, optimizer)

    variables = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
    return step, tuple(_values(group) for group in variables)


def _values(variables) -> list:
    return [variable.value for variable in variables]
