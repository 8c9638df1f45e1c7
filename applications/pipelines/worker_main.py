"""The program a decoding worker runs: reads pickled calls from its input, writes pickled results to its
output. Its one argument is the memory it may use, in bytes, or nothing.

It imports nothing but what the calls need, so that it starts fast and stays small.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from contextlib import suppress
from typing import BinaryIO

from zorro_keras.applications.pipelines.faults import MediaError, ZorroError


def main() -> None:
    """Serves calls until the input ends, which also happens when the parent dies."""
    # These may reach the whole group, while the parent still needs us to end in order. It closes us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for most_bytes in sys.argv[1:]:
        limit_memory(int(most_bytes))
    calls = sys.stdin.buffer
    # Libraries may print. Only results belong in the output, so what is printed goes to the error stream.
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _send(results, pickle.dumps("ready"))
    while True:
        try:
            call, path = pickle.load(calls)
        except EOFError:
            return
        _send(results, _answer(call, path))


def limit_memory(most_bytes: int) -> None:
    """Makes this process fail to allocate more than `most_bytes`, where the system can: on Linux.

    What counts is memory the process may write to: not the libraries it maps, nor address space it reserves.
    """
    with suppress(ImportError, OSError, ValueError):  # no such limit here
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, hard))


def _answer(call: bytes, path: str) -> bytes:
    """Makes one call. The result is pickled as a whole: half of one in the pipe would end this worker."""
    try:
        function, task = pickle.loads(call)
        return pickle.dumps(function(task), protocol=pickle.HIGHEST_PROTOCOL)
    except ZorroError as error:
        return pickle.dumps(error)
    except MemoryError as error:
        message, reason = f"Decoding needs more memory than it may use: {error}", "out_of_memory"
    except Exception as error:
        message, reason = f"The worker failed with {type(error).__name__}: {error}", "unknown"
    return pickle.dumps(MediaError(message, path=path, stage="worker", reason=reason))


def _send(results: BinaryIO, result: bytes) -> None:
    results.write(result)
    results.flush()


if __name__ == "__main__":
    main()
