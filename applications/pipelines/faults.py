"""What can go wrong with data, as one family of errors, and the ledger of what did."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from zorro_keras.applications.pipelines.fault_reasons import ADVICE, REASONS

OnError = Literal["raise", "skip", "drop_modality"]
ON_ERROR: tuple[str, ...] = ("raise", "skip", "drop_modality")


class ZorroError(Exception):
    """A fault a user can act on. Everything the library raises about data is one of these.

    Args:
        message: str. One sentence: what is wrong.
        path: optional str or path. The file at fault.
        row: optional int or str. The row, shard record or stream at fault.
        stage: optional str. What was being done: `"open"`, `"decode"`, `"read_source"`, ...
        reason: str. One of `REASONS`.
        advice: str. What to do about it. Default: the advice that belongs to the reason.

    Raises:
        ValueError: if `reason` is not in `REASONS`.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        row: int | str | None = None,
        stage: str | None = None,
        reason: str = "unknown",
        advice: str = "",
    ) -> None:
        if reason not in REASONS:
            raise ValueError(f"`reason` must be one of {sorted(REASONS)}. Received: reason={reason!r}")
        super().__init__(message)
        self.message = message
        self.path = None if path is None else str(path)
        self.row = row
        self.stage = stage
        self.reason = reason
        self.advice = advice or ADVICE[reason]

    def __str__(self) -> str:
        facts = [("path", self.path), ("row", self.row), ("stage", self.stage), ("reason", self.reason)]
        facts.append(("advice", self.advice or None))
        lines = [f"  {name}: {_printable(value)}" for name, value in facts if value is not None]
        return "\n".join([_printable(self.message), *lines])

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self._details())

    def _details(self) -> dict[str, Any]:
        names = ("path", "row", "stage", "reason", "advice")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, Any]:
        """Everything this error says, as a plain dict."""
        return {"error": type(self).__name__, "message": self.message, **self._details()}


class MediaError(ZorroError):
    """A media file cannot be used."""

    exit_code = 3


class SourceError(ZorroError):
    """A list of clips cannot be used."""

    exit_code = 3


class ShardError(ZorroError):
    """A packed shard cannot be written or trusted."""

    exit_code = 3


class TrainingError(ZorroError):
    """A training run cannot go on."""

    exit_code = 4


class RunStoppedError(ZorroError):
    """A training run was asked to stop, is saved, and can go on. No fault of anything."""

    exit_code = 5


class CheckpointError(ZorroError):
    """A checkpoint cannot be written or trusted."""

    exit_code = 4


class ConfigError(ZorroError):
    """A command or a configuration asks for something that does not exist."""

    exit_code = 2


def _rebuild(kind: type[ZorroError], message: str, details: dict[str, Any]) -> ZorroError:
    return kind(message, **details)


def _printable(value: object) -> str:
    """`value` as text any terminal can print: a file name may hold bytes that are not UTF-8."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def check_on_error(on_error: str) -> None:
    """Raises ValueError unless `on_error` is `"raise"`, `"skip"` or `"drop_modality"`."""
    if on_error not in ON_ERROR:
        raise ValueError(f"`on_error` must be one of {ON_ERROR}. Received: on_error={on_error!r}")


class Ledger:
    """Accounts for every id of a source exactly once: used, used without a stream, skipped or failed.

    Use it as a context manager: a block that ends normally is checked by `close`.

    Args:
        expected_ids: iterable of str. The ids to account for, each once.
        max_bad_fraction: float in [0, 1]. The run stops when a larger share of the ids loses a stream or is
            skipped.
        on_error: `"raise"`, `"skip"` or `"drop_modality"`. With `"raise"` a fault is written down as failed
            and raised; with `"skip"` a clip that lost one stream is skipped as a whole.
        log_path: optional path. Faults are appended here, one JSON object per line, as they come.

    Raises:
        SourceError: if an id is expected twice.
    """

    def __init__(
        self,
        expected_ids: Iterable[str],
        *,
        max_bad_fraction: float = 0.01,
        on_error: OnError = "raise",
        log_path: str | Path | None = None,
    ) -> None:
        check_on_error(on_error)
        if not 0.0 <= max_bad_fraction <= 1.0:
            raise ValueError(
                f"`max_bad_fraction` must be within [0, 1]. Received: max_bad_fraction={max_bad_fraction}"
            )
        self.max_bad_fraction = max_bad_fraction
        self.on_error = on_error
        self._outcomes: dict[str, str | None] = {}
        for clip_id in expected_ids:
            if clip_id in self._outcomes:
                raise SourceError(
                    f"The id {clip_id!r} is listed twice.", row=clip_id, stage="ledger", reason="duplicate_id"
                )
            self._outcomes[clip_id] = None
        self._reasons: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._first_errors: list[ZorroError] = []
        self._log = None if log_path is None else open(log_path, "a", encoding="utf-8")  # noqa: SIM115

    def use(self, clip_id: str) -> None:
        """Writes down that a clip was used whole."""
        self._settle(clip_id, "used")

    def drop_stream(self, clip_id: str, stream: str, error: ZorroError) -> str:
        """Writes down that a clip was used without a damaged stream. Returns the outcome under `on_error`."""
        outcome = "dropped_stream" if self.on_error == "drop_modality" else "skipped"
        return self._fault(clip_id, outcome, error, stream)

    def skip(self, clip_id: str, error: ZorroError) -> str:
        """Writes down that a clip was left out. Returns the outcome under `on_error`."""
        return self._fault(clip_id, "skipped", error)

    def fail(self, clip_id: str, error: ZorroError) -> None:
        """Writes down that a clip stopped the run, and raises `error`."""
        self._write_fault(clip_id, "failed", error)
        raise error

    def summary(self) -> dict[str, Any]:
        """Counts by outcome and by reason; `unaccounted` counts the ids nobody has settled yet."""
        outcomes = {name: self._counts[name] for name in ("used", "dropped_stream", "skipped", "failed")}
        return {
            "expected": len(self._outcomes),
            **outcomes,
            "unaccounted": len(self._outcomes) - sum(outcomes.values()),
            "bad_fraction": self._num_bad() / max(len(self._outcomes), 1),
            "reasons": dict(sorted(self._reasons.items())),
        }

    def close(self) -> None:
        """Closes the log and checks that every id was settled.

        Raises:
            SourceError: if an expected id is unaccounted for.
        """
        self._close_log()
        missing = [clip_id for clip_id, outcome in self._outcomes.items() if outcome is None]
        if missing:
            raise SourceError(
                f"{len(missing)} of {len(self._outcomes)} ids are unaccounted for, the first: {missing[:5]}.",
                stage="ledger",
                reason="unaccounted",
            )

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._close_log()

    def _fault(self, clip_id: str, outcome: str, error: ZorroError, stream: str | None = None) -> str:
        if self.on_error == "raise":
            self.fail(clip_id, error)
        self._write_fault(clip_id, outcome, error, stream)
        self._check_share()
        return outcome

    def _write_fault(self, clip_id: str, outcome: str, error: ZorroError, stream: str | None = None) -> None:
        self._settle(clip_id, outcome)
        self._reasons[error.reason] += 1
        if len(self._first_errors) < 5:
            self._first_errors.append(error)
        if self._log is not None:
            row = {"id": clip_id, "outcome": outcome, "stream": stream, **error.to_json()}
            self._log.write(json.dumps(row) + "\n")
            self._log.flush()

    def _settle(self, clip_id: str, outcome: str) -> None:
        if clip_id not in self._outcomes:
            raise SourceError(
                f"The id {clip_id!r} was not expected.", row=clip_id, stage="ledger", reason="unaccounted"
            )
        if self._outcomes[clip_id] is not None:
            raise SourceError(
                f"The id {clip_id!r} was accounted for twice: {self._outcomes[clip_id]}, then {outcome}.",
                row=clip_id,
                stage="ledger",
                reason="duplicate_id",
            )
        self._outcomes[clip_id] = outcome
        self._counts[outcome] += 1

    def _num_bad(self) -> int:
        return self._counts["dropped_stream"] + self._counts["skipped"] + self._counts["failed"]

    def _check_share(self) -> None:
        num_bad, num_all = self._num_bad(), len(self._outcomes)
        if num_bad <= self.max_bad_fraction * num_all:
            return
        first = "; ".join(f"{error.path or error.row}: {error.reason}" for error in self._first_errors)
        raise SourceError(
            f"{num_bad} of {num_all} clips are bad, more than the share allowed "
            f"(max_bad_fraction={self.max_bad_fraction}). The first: {_printable(first)}.",
            stage="ledger",
            reason="too_many_faults",
        )

    def _close_log(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
