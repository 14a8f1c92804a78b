"""Workers that are processes on this machine."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from copperline.files import atomic_file
from copperline.training.checkpoint import CHECKPOINT_NAME, Checkpoint
from copperline.training.engines.base import Tell, cores_each, in_words, result_of
from copperline.training.engines.job import TrainingJob
from copperline.training.engines.reports import ReportReader
from copperline.training.engines.stopping import ended_by_sigterm, stop
from copperline.training.engines.watching import Watch, tell_start, with_restarts
from copperline.training.loop import Listener, TrainResult

WORKERS_FOLDER = "workers"
"""In the run's folder: what each worker reported and printed."""
POLL_S = 0.05
START_S = 120.0
"""How long workers may take to import what they need, on top of the limit for a step."""
GRACE_S = 3.0
"""How long the other workers may take to say why they end, once one has ended."""


@dataclass(frozen=True)
class WorkerOrder:
    """What a worker process reads from its file.

    Attributes:
        folder: the run's.
        resume: whether to go on from the checkpoint there.
        threads: CPU threads of this machine, shared by the workers.
        device_name: see `World`.
        timeout_s: how long a worker waits for the others.
        parent: process id of the command, without which the worker ends.
    """

    job: TrainingJob
    folder: Path
    resume: bool
    threads: int
    device_name: str | None
    timeout_s: float
    parent: int


@dataclass(frozen=True)
class LocalWorkers:
    """Starts the workers, and all of them again from the last checkpoint when one is lost.

    Attributes:
        workers: how many.
        threads: CPU threads of this machine, shared by the workers.
        device_name: see `World`.
        max_failures: so often they are started again.
        stall_s: so long may pass without a step.
    """

    workers: int
    threads: int
    device_name: str | None = None
    max_failures: int = 3
    stall_s: float = 900.0

    def train(
        self,
        job: TrainingJob,
        folder: Path,
        *,
        resume: Checkpoint | None,
        listeners: Sequence[Listener],
        tell: Tell,
    ) -> TrainResult:
        """See `Engine`."""
        watch = Watch(listeners, self.stall_s)
        logs = folder / WORKERS_FOLDER
        kept = resume
        if resume is not None:
            resume.save(folder)

        def attempt(reason: str | None) -> None:
            nonlocal kept
            if reason is not None:
                kept = Checkpoint.load(folder) if (folder / CHECKPOINT_NAME).is_file() else None
            outline = job.outline(self.workers, self._each, job.steps_done(kept))
            tell_start(tell, outline, "on this machine", reason)
            timeout_s = self.stall_s + 60  # the command sees first that nothing goes on
            order = WorkerOrder(job, folder, kept is not None, self.threads, self.device_name, timeout_s, os.getpid())
            watch.begin(START_S)
            self._run(order, logs, watch)

        try:
            with ended_by_sigterm():
                with_restarts(attempt, self.max_failures)
        finally:
            _clear(folder)
        return result_of(Checkpoint.load(folder))

    @property
    def _each(self) -> str:
        on_gpu = self.device_name != "cpu" and torch.cuda.is_available()
        return in_words(cores_each(self.threads, self.workers), on_gpu=on_gpu)

    def _run(self, order: WorkerOrder, logs: Path, watch: Watch) -> None:
        """One start of the workers. Raises CopperlineError or WorkersLost unless all of them finish."""
        logs.mkdir(exist_ok=True)
        order_file = logs / "order.pickle"
        with atomic_file(order_file) as temporary:
            temporary.write_bytes(pickle.dumps(order))
        names = [logs / f"rank{rank}" for rank in range(self.workers)]
        reports = [name.with_suffix(".jsonl") for name in names]
        for report in reports:
            report.unlink(missing_ok=True)
        readers = [ReportReader(report) for report in reports]
        with _meeting_place() as environment:
            started = [self._start(rank, order_file, name, environment) for rank, name in enumerate(names)]
            try:
                died = _follow(started, readers, watch)
            finally:
                stop(started)
                order_file.unlink(missing_ok=True)
        watch.take([report for reader in readers for report in reader()])
        # Whatever ends a worker once the last checkpoint is kept, its own exit or another's: nothing is to be repeated.
        finished = watch.epochs_kept >= order.job.config.epochs
        if (died is not None or watch.failures) and not finished:
            raise watch.failure(died or None, f"{logs}")

    def _start(self, rank: int, order: Path, name: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        of_worker = {
            **os.environ,
            **environment,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(self.workers),
            "LOCAL_WORLD_SIZE": str(self.workers),
            "OMP_NUM_THREADS": str(cores_each(self.threads, self.workers)),
        }
        command = [sys.executable, "-m", "copperline.training.engines.worker", str(order), f"{name}.jsonl"]
        with name.with_suffix(".log").open("ab") as log:
            # Not in the terminal's group of processes: Ctrl-C is the command's alone, which then stops the workers.
            return subprocess.Popen(
                command, env=of_worker, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )


def _follow(started: Sequence[subprocess.Popen[bytes]], readers: Sequence[ReportReader], watch: Watch) -> str | None:
    """Hands on reports until all workers have ended, or one has in the wrong way.

    Returns:
        None: all finished. Else what killed a worker, in words, or "" if none was killed.
    """
    while True:
        statuses = [process.poll() for process in started]
        watch.take([report for reader in readers for report in reader()])
        if all(status == 0 for status in statuses):
            return None
        if any(statuses):
            break
        watch.require_progress()
        time.sleep(POLL_S)
    # A worker that was killed takes the others with it, and one that failed does too: let each say what it saw.
    deadline = time.monotonic() + GRACE_S
    killed = _killed(statuses)
    while any(process.poll() is None for process in started) and time.monotonic() < deadline and not killed:
        time.sleep(POLL_S)
        killed = _killed([process.poll() for process in started])
    return killed


def _killed(statuses: Sequence[int | None]) -> str:
    for rank, status in enumerate(statuses):
        if status is not None and status < 0:
            name = signal.Signals(-status).name
            hint = " (out of memory?)" if -status == signal.SIGKILL else ""
            return f"worker {rank} of {len(statuses)} was killed by {name}{hint}"
    return ""


@contextmanager
def _meeting_place() -> Iterator[dict[str, str]]:
    """Where the workers find each other, on loopback alone: in variables of their environment.

    The store lives in the command and not in a worker, on a port that is bound before anybody is told of it.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(socket.SOMAXCONN)
        port = int(listener.getsockname()[1])
        store = TCPStore(
            "127.0.0.1",
            port,
            is_master=True,
            wait_for_workers=False,
            timeout=timedelta(seconds=60),
            master_listen_fd=listener.detach(),
        )
    loopback = "lo" if sys.platform == "linux" else "lo0"
    yield {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": str(True),
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", loopback),
    }
    del store


def _clear(folder: Path) -> None:
    """What a worker left half-written when it was killed."""
    for left in folder.glob(f".{CHECKPOINT_NAME}.*.tmp"):
        left.unlink(missing_ok=True)
