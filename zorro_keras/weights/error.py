"""The one error of weight files."""


class WeightsError(ValueError):
    """A weight file cannot be read, trusted, or made into a model; the message names what is wrong."""
