"""A pool of decoding processes: in order, with bounded look-ahead, and a deadline for each task.

A worker that hangs, dies or runs out of memory takes nothing with it but its task: it is killed and replaced,
and the task comes back as a `MediaError` that names the file.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from zorro_keras.applications.pipelines.faults import MediaError, ZorroError

Task = TypeVar("Task")
Result = TypeVar("Result")

# Starting Python and importing the decoders takes part of a second; on a machine under load, many.
_START_SECONDS = 120.0
# Twice what one call may return (`Limits.max_decoded_bytes`): the arrays, and their pickled copy.
MAX_WORKER_BYTES = 4 * 2**30


class DecodePool:
    """Runs a function over tasks in separate processes.

    Threads would share one lock, and a decoder that hangs or crashes would take the training process with it.
    The workers are fresh Python processes (never forks of one that holds an accelerator). They end when the
    pool is closed, and by themselves when this process dies.

    Args:
        num_workers: int. Processes. Positive.
        deadline_seconds: float. A task that takes longer is given up. Positive.
        max_ahead: optional int. Tasks begun but not yet handed out, at least `num_workers`. Default: four for
            each worker. It bounds the memory that finished results take.
        max_worker_bytes: optional int. Memory each process may use, where the system can limit it (Linux);
            None for no limit. Positive.

    Example:
        >>> decode = functools.partial(decode_window, geometry=geometry)
        >>> with DecodePool(2) as pool:
        ...     for path, window in pool.map_ordered(decode, paths):
        ...         ...
    """

    def __init__(
        self,
        num_workers: int,
        *,
        deadline_seconds: float = 30.0,
        max_ahead: int | None = None,
        max_worker_bytes: int | None = MAX_WORKER_BYTES,
    ) -> None:
        if num_workers < 1:
            raise ValueError(f"`num_workers` must be positive. Received: num_workers={num_workers}")
        if not deadline_seconds > 0:
            raise ValueError(
                f"`deadline_seconds` must be positive. Received: deadline_seconds={deadline_seconds}"
            )
        if max_ahead is not None and max_ahead < num_workers:
            raise ValueError(
                f"`max_ahead` must be at least `num_workers`={num_workers}. Received: max_ahead={max_ahead}"
            )
        if max_worker_bytes is not None and max_worker_bytes < 1:
            raise ValueError(
                f"`max_worker_bytes` must be positive. Received: max_worker_bytes={max_worker_bytes}"
            )
        self.num_workers = num_workers
        self.deadline_seconds = deadline_seconds
        self.max_ahead = 4 * num_workers if max_ahead is None else max_ahead
        self._workers = [_Worker(max_worker_bytes) for _ in range(num_workers)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        # Each thread does nothing but wait for one process.
        self._threads = ThreadPoolExecutor(num_workers, thread_name_prefix="decode_pool")
        self._is_closed = False

    def map_ordered(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Result | ZorroError]]:
        """Calls `function(task)` in the workers.

        Args:
            function: a function that other processes can import, or a `functools.partial` of one.
            tasks: what to call it with: paths, or anything that can be pickled; if it has a `path`, errors
                name it. Drawn from only as fast as results are taken.

        Yields:
            (task, result) in the order of `tasks`. The result is a ZorroError if the function raised one, and
            a MediaError for any other failure: `timeout`, `worker_died`, `out_of_memory`, `unknown`.

        Raises:
            ValueError: if `function` cannot be imported by other processes.
            RuntimeError: if the pool is closed.
        """
        _check_importable(function)
        waiting: deque[tuple[Task, Future]] = deque()
        try:
            for task in tasks:
                waiting.append((task, self._submit(function, task)))
                if len(waiting) >= self.max_ahead:
                    yield _wait_for(waiting.popleft())
            while waiting:
                yield _wait_for(waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()

    def close(self) -> None:
        """Ends all workers, busy or not. Calling it again does nothing."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.retire()
        self._threads.shutdown(wait=True)

    def __enter__(self) -> DecodePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _submit(self, function: Callable[[Task], Result], task: Task) -> Future:
        if self._is_closed:
            raise RuntimeError("The pool is closed. Received: a new task")
        path = path_of(task)
        call = pickle.dumps((function, task), protocol=pickle.HIGHEST_PROTOCOL)
        return self._threads.submit(self._run, pickle.dumps((call, path)), path)

    def _run(self, call: bytes, path: str) -> Any:
        worker = self._idle.get()
        try:
            return worker.run(call, path, self.deadline_seconds)
        finally:
            self._idle.put(worker)


def path_of(task: Any) -> str:
    """The file a task is about, for errors: the task itself, its `path`, or whatever it prints as."""
    if isinstance(task, str | Path):
        return str(task)
    return str(getattr(task, "path", task))


class _Worker:
    """One process, replaced whenever it had to be killed. Used by one thread at a time; `retire` by any."""

    def __init__(self, max_bytes: int | None) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._is_retired = False
        self._process: subprocess.Popen | None = None
        self._is_ready = False
        self._start()  # Now, so that all workers start side by side.

    def run(self, call: bytes, path: str, deadline_seconds: float) -> Any:
        """Sends one pickled call and waits for its result or its deadline."""
        if self._process is None:
            self._start()
        if not self._is_ready:
            answer = self._exchange(None, path, _START_SECONDS)
            if isinstance(answer, MediaError):
                return answer
            self._is_ready = True
        answer = self._exchange(call, path, deadline_seconds)
        if isinstance(answer, MediaError) and answer.reason == "out_of_memory":
            self._kill()  # What was lost on the way would count against the next file.
        return answer

    def retire(self) -> None:
        """Kills the process and starts no other."""
        with self._lock:
            self._is_retired = True
        self._kill()

    def _start(self) -> None:
        # Python is started anew rather than through `multiprocessing`, which would import the user's main
        # script, and with it Keras, into every worker.
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
            "OPENBLAS_NUM_THREADS": "1",  # numpy's threads would do nothing but claim memory
        }
        limit = [] if self._max_bytes is None else [str(self._max_bytes)]
        with self._lock:
            if self._is_retired:
                return
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "zorro_keras.applications.pipelines.worker_main", *limit],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
            self._is_ready = False

    def _exchange(self, call: bytes | None, path: str, deadline_seconds: float) -> Any:
        process = self._process
        if process is None:
            return MediaError("The pool was closed.", path=path, stage="worker", reason="worker_died")
        deadline = _Deadline(process, deadline_seconds)
        try:
            if call is not None:
                process.stdin.write(call)
                process.stdin.flush()
            answer = pickle.load(process.stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            is_late = deadline.cancel()
            self._kill()
            return _lost_task(path, is_late, deadline_seconds, process.returncode, error)
        if deadline.cancel():
            self._kill()  # The answer came at the last moment, but the process is gone.
        return answer

    def _kill(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        process.stdout.close()
        with contextlib.suppress(OSError):  # The rest of a call that nobody will read.
            process.stdin.close()


class _Deadline:
    """Kills a process after some time, unless cancelled before."""

    def __init__(self, process: subprocess.Popen, seconds: float) -> None:
        self._process = process
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._has_passed = False
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> bool:
        """Stops the clock. Returns whether the process was killed before."""
        self._timer.cancel()
        with self._lock:
            self._is_cancelled = True
            return self._has_passed

    def _pass(self) -> None:
        with self._lock:
            if not self._is_cancelled:
                self._has_passed = True
                self._process.kill()


def _lost_task(
    path: str, is_late: bool, deadline_seconds: float, returncode: int | None, error: Exception
) -> MediaError:
    if is_late:
        message, reason = f"Decoding took longer than {deadline_seconds} s and was given up.", "timeout"
    else:
        message = (
            f"The worker process died while decoding (exit status {returncode}, {type(error).__name__})."
        )
        reason = "worker_died"
    return MediaError(message, path=path, stage="worker", reason=reason)


def _wait_for(item: tuple[Task, Future]) -> tuple[Task, Any]:
    task, future = item
    return task, future.result()


def _check_importable(function: Callable) -> None:
    target = function
    while hasattr(target, "func"):
        target = target.func
    if getattr(target, "__module__", None) == "__main__" or "<" in getattr(target, "__qualname__", ""):
        raise ValueError(
            "`function` must be defined at the top level of a module that other processes can import. "
            f"Received: function={function!r}"
        )
