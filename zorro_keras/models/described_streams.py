"""The streams of a model as plain data and back."""

import keras


def streams_config(streams):
    """Returns plain data of a dict of name to stream description."""
    return {name: keras.saving.serialize_keras_object(stream) for name, stream in streams.items()}


def streams_of(config):
    """Returns the dict that `streams_config` described; descriptions are taken as they are."""
    return {
        name: keras.saving.deserialize_keras_object(stream) if isinstance(stream, dict) else stream
        for name, stream in config.items()
    }
