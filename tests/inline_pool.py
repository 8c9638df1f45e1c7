"""Stands in for the pool of decoding processes where a test is about files alone."""

from zorro_keras.applications.pipelines.faults import ZorroError


class InlinePool:
    """Does the work of `DecodePool` in this process."""

    def __init__(self, num_workers, *, deadline_seconds, max_worker_bytes):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def map_ordered(self, function, tasks):
        for task in tasks:
            try:
                result = function(task)
            except ZorroError as error:
                result = error
            yield task, result
