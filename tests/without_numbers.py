"""Models of published sizes that take neither the time nor the memory of their numbers."""

import keras


def without_numbers(make, *arguments, **options):
    """Returns what `make` makes, a model whose variables have paths and shapes, and no values."""
    with keras.StatelessScope(initialize_variables=False):
        model = make(*arguments, **options)
    # Keras lists variables that have no values yet: the next `fit`, in another test, would draw them.
    keras.utils.clear_session()
    return model
