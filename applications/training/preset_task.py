"""A keras-hub task that takes raw inputs where it has a preprocessor, and arrays where it has none."""

from __future__ import annotations

import keras

from zorro_keras.applications.training.compiled_task import CompiledTask


class PresetTask(CompiledTask):
    """What the tasks of streams share: training by arrays or raw inputs. `preprocessor` may be `None`."""

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
