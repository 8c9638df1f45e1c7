"""The precision of what a model answers with, beside that of what it computes with."""

import keras


def last_policy(policy, float32_output):
    """Returns the dtype policy of a last layer: that of the others, or float32 if they compute in another."""
    is_other = float32_output and policy.compute_dtype != "float32"
    return keras.DTypePolicy("float32") if is_other else policy
