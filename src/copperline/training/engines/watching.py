"""The command's side of a run on several workers: hands on what they report, and decides what a failure means."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from copperline.errors import CopperlineError, TrainingError
from copperline.training.engines.base import Tell
from copperline.training.engines.reports import CheckpointKept, EpochDone, Failed, Report, StepDone
from copperline.training.loop import Listener


class WorkersLost(Exception):
    """Workers died, or failed in a way that need not repeat itself: they can be started again. The text says how."""


@dataclass
class Watch:
    """Follows a run through all its starts.

    Attributes:
        listeners: told of steps, and of each epoch once.
        stall_s: so long may pass without any report.
        failures: that this start's workers reported.
        step: done last.
        epochs_kept: whole epochs in the last checkpoint that was kept.
    """

    listeners: Sequence[Listener]
    stall_s: float
    failures: list[Failed] = field(default_factory=list)
    step: int = 0
    epochs_kept: int = 0
    _epochs_told: int = 0
    _heard: float = field(default_factory=time.monotonic)

    def begin(self, wait_s: float = 0.0) -> None:
        """Before the workers are started, again or for the first time.

        Args:
            wait_s: how long they may have to wait for a place.
        """
        self.failures = []
        self._heard = time.monotonic() + wait_s

    def take(self, reports: Sequence[Report]) -> None:
        for report in reports:
            self._heard = time.monotonic()
            match report:
                case StepDone():
                    self.step = report.step
                    for listener in self.listeners:
                        listener.on_step(report.step, report.total_steps, report.loss)
                case EpochDone() if report.epoch > self._epochs_told:
                    self._epochs_told = report.epoch
                    for listener in self.listeners:
                        listener.on_epoch(report.epoch, report.metrics)
                case CheckpointKept():
                    self.epochs_kept = report.epoch
                case Failed():
                    self.failures.append(report)
                case _:
                    pass

    def require_progress(self) -> None:
        """Raises TrainingError if the workers have been silent for too long."""
        silent = time.monotonic() - self._heard
        if silent > self.stall_s:
            raise TrainingError(
                f"the workers have been stuck for {silent:.0f} s after step {self.step}",
                fix="look at their logs; the last checkpoint is kept: go on with --resume. If a step or a validation "
                "really takes so long, raise COPPERLINE_TRAINING_STALL_S",
            )

    def failure(self, died: str | None, log: str) -> CopperlineError | WorkersLost:
        """Why this start came to its end, from what the workers reported and from how they ended.

        Args:
            died: what killed a worker, in words; None: nothing is known to have.
            log: where more is to be found.
        """
        for report in self.failures:
            if (error := report.for_people) is not None:
                return error
        if died is not None:
            return WorkersLost(died)
        root = next((report for report in self.failures if not report.consequence), None)
        if root is not None:
            return WorkersLost(f"worker {root.rank} failed ({root.problem}; see {log})")
        if self.failures:
            return WorkersLost(f"worker {self.failures[0].rank} lost touch with another")
        return WorkersLost(f"the workers ended before their work did; see {log}")


def with_restarts(attempt: Callable[[str | None], None], max_failures: int) -> None:
    """Calls `attempt` until it does not raise WorkersLost.

    Args:
        attempt: is given what went wrong the last time, in words.
        max_failures: so often it may raise it.

    Raises:
        TrainingError: it raised it more often.
    """
    reason: str | None = None
    for number in range(1, max_failures + 2):
        try:
            attempt(reason)
        except WorkersLost as lost:
            if number > max_failures:
                allowed = (
                    f"failure {number}, where at most {max_failures} are allowed" if max_failures else "no restarts"
                )
                raise TrainingError(
                    f"{lost} ({allowed})", fix="the last checkpoint is kept: go on with --resume"
                ) from lost
            reason = f"{lost} (failure {number} of at most {max_failures})"
        else:
            return


def tell_start(tell: Tell, outline: str, engine: str, reason: str | None) -> None:
    """One line for the first start, and one for each that follows."""
    if reason is None:
        tell(f"Training {engine}: {outline}.")
    else:
        tell(f"{reason[0].upper()}{reason[1:]}. Started again {engine}: {outline}.")
