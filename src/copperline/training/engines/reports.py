"""What a worker tells the command that started it, wherever it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from copperline import errors
from copperline.errors import CopperlineError, TrainingError
from copperline.training.distributed import WorkerLostError
from copperline.training.loop import Metrics


@dataclass(frozen=True, slots=True)
class Met:
    """All workers have met: training begins, or goes on."""

    workers: int


@dataclass(frozen=True, slots=True)
class StepDone:
    step: int
    total_steps: int
    loss: float


@dataclass(frozen=True, slots=True)
class EpochDone:
    epoch: int
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class CheckpointKept:
    """The checkpoint lies where the command finds it."""

    epoch: int
    step: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker ends because of an error.

    Attributes:
        rank: of the worker.
        error: the name of the error's class.
        problem, where, line, fix: of a CopperlineError; of any other, `problem` is its text.
        consequence: it is none of this worker's own: it lost touch with another.
    """

    rank: int
    error: str
    problem: str
    where: str | None = None
    line: int | None = None
    fix: str | None = None
    consequence: bool = False

    @classmethod
    def of(cls, rank: int, error: BaseException) -> Failed:
        name = type(error).__name__
        if isinstance(error, CopperlineError):
            lost = isinstance(error, WorkerLostError)
            return cls(rank, name, error.problem, error.where, error.line, error.fix, lost)
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return cls(
                rank,
                TrainingError.__name__,
                f"worker {rank} has too little memory ({_first_line(error)})",
                fix="lower --batch-size or --micro-batch, or take machines or GPUs with more memory",
            )
        return cls(rank, name, f"{name}: {_first_line(error)}")

    @property
    def for_people(self) -> CopperlineError | None:
        """The error that it was, if it is one that a user can act on and that starting again would only repeat."""
        kind = getattr(errors, self.error, None)
        if self.consequence or not (isinstance(kind, type) and issubclass(kind, CopperlineError)):
            return None
        error = kind(self.problem, where=self.where, fix=self.fix)
        error.line = self.line
        return error


Report = Met | StepDone | EpochDone | CheckpointKept | Failed
Send = Callable[[Report], None]
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Met, StepDone, EpochDone, CheckpointKept, Failed)}


class ReportingListener:
    """Listens to the loop in the main worker, and sends on what it hears."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def on_step(self, step: int, total_steps: int, loss: float) -> None:
        self._send(StepDone(step, total_steps, loss))

    def on_epoch(self, epoch: int, metrics: Metrics) -> None:
        self._send(EpochDone(epoch, metrics))


class ReportWriter:
    """Appends reports to a file, a line each, so that whatever kills a worker leaves all but the last one whole."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def __call__(self, report: Report) -> None:
        self._file.write(json.dumps({type(report).__name__: asdict(report)}) + "\n")
        self._file.flush()


class ReportReader:
    """Reads what was appended since it read last."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def __call__(self) -> list[Report]:
        """Whole lines alone: the rest of a line may still be written."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:  # the worker has not begun yet
            return []
        self._offset += len(whole) + len(newline)
        return [_report(line) for line in whole.splitlines()]


def _report(line: bytes) -> Report:
    ((name, content),) = json.loads(line).items()
    report: Report = _KINDS[name](**content)
    return report


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "no reason given")
