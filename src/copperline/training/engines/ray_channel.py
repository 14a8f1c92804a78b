"""Between the workers on a Ray cluster and the command: an actor beside the command, which both can reach."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from copperline.files import atomic_file, read_whole
from copperline.training.checkpoint import CHECKPOINT_NAME, Checkpoint
from copperline.training.engines.reports import CheckpointKept, Report, StepDone

SEND_EVERY_S = 0.5
TAKE_TIMEOUT_S = 60.0
KEEP_TIMEOUT_S = 300.0


class Channel:
    """Holds what workers sent until the command takes it: reports, and the latest checkpoint.

    It is on the node of the command, so that a checkpoint that a worker has handed over outlives every other node.
    """

    def __init__(self) -> None:
        self._reports: list[Report] = []
        self._checkpoint: bytes | None = None
        self._regroup = False

    def put(self, reports: list[Report]) -> None:
        self._reports += reports

    def keep(self, checkpoint: bytes, reports: list[Report]) -> bool:
        """Takes a checkpoint; tells whether the worker is to end now, because all are going to be started anew."""
        self._checkpoint = checkpoint
        self._reports += reports
        return self._regroup

    def take(self) -> tuple[list[Report], bytes | None]:
        """All that came since the last call."""
        taken = self._reports, self._checkpoint
        self._reports, self._checkpoint = [], None
        return taken

    def ask_to_regroup(self) -> None:
        self._regroup = True


class Regroup(Exception):
    """The command wants to start the workers anew, on more nodes."""


class WorkerEnd:
    """The workers' end of a channel. Without the command there is no channel, and a worker that sends fails."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._waiting: list[Report] = []
        self._sent = time.monotonic()

    def send(self, report: Report) -> None:
        """Steps are sent together, about twice a second; whatever else at once."""
        self._waiting.append(report)
        if not isinstance(report, StepDone) or time.monotonic() - self._sent > SEND_EVERY_S:
            self.flush()

    def flush(self) -> None:
        import ray

        ray.get(self._channel.put.remote(self._waiting), timeout=TAKE_TIMEOUT_S)
        self._waiting, self._sent = [], time.monotonic()

    def keep(self, checkpoint: Checkpoint) -> None:
        """Hands over a checkpoint, and waits until it has arrived. Raises Regroup if it was the last one."""
        import ray

        reports = [*self._waiting, CheckpointKept(checkpoint.epoch, checkpoint.step)]
        self._waiting = []
        arrived = self._channel.keep.remote(as_bytes(checkpoint), reports)
        if ray.get(arrived, timeout=KEEP_TIMEOUT_S):
            raise Regroup


def as_bytes(checkpoint: Checkpoint) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return read_whole(checkpoint.save(Path(folder)))


def from_bytes(content: bytes) -> Checkpoint:
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(content, Path(folder))
        return Checkpoint.load(Path(folder))


def write_checkpoint(content: bytes, folder: Path) -> None:
    """Raises DataError if the folder cannot be written."""
    with atomic_file(folder / CHECKPOINT_NAME) as temporary:
        temporary.write_bytes(content)
