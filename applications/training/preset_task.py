"""A keras-hub task that takes raw inputs where it has a preprocessor, and arrays where it has none."""

from __future__ import annotations

import keras
import keras_hub

from zorro_keras.models import AnyStreams


class LoadsCompiled:
    """A model that is compiled when it is loaded, its optimizer built, so that training goes on."""

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)


class PresetTask(LoadsCompiled, AnyStreams, keras_hub.models.Task):
    """What the classifiers of streams share: training by arrays or raw inputs, and loading compiled.

    A subclass sets `preprocessor`, which may be `None`, and says in `answer` what a call runs.
    """

    def fit(self, x=None, y=None, **kwargs):
        """Trains as `keras.Model.fit` does, preprocessing first if the task has a preprocessor.

        With a preprocessor, arrays are taken in their order, as `keras_hub` tasks do: shuffle them first, or
        give a shuffled dataset.
        """
        if self.preprocessor is None:
            # A dataset comes in its own order; Keras warns of its default to shuffle one.
            return keras.Model.fit(self, x=x, y=y, **{"shuffle": y is not None, **kwargs})
        return super().fit(x=x, y=y, **{"shuffle": False, **kwargs})

    def evaluate(self, x=None, y=None, **kwargs):
        """Evaluates as `keras.Model.evaluate` does, preprocessing first if the task has a preprocessor."""
        if self.preprocessor is None:
            return keras.Model.evaluate(self, x=x, y=y, **kwargs)
        return super().evaluate(x=x, y=y, **kwargs)

    def predict(self, x, **kwargs):
        """Predicts as `keras.Model.predict` does, preprocessing first if the task has a preprocessor."""
        if self.preprocessor is None:
            return keras.Model.predict(self, x, **kwargs)
        return super().predict(x, **kwargs)
