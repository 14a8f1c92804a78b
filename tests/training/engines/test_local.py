"""Real worker processes on this machine, and what becomes of a run when they are killed, stopped or fail."""

from __future__ import annotations

import dataclasses
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from copperline.errors import DataError, TrainingError
from copperline.training.checkpoint import Checkpoint
from copperline.training.engines import LocalWorkers, ThisProcess, TrainingJob
from copperline.training.loop import TrainResult

Same = Callable[[TrainResult, TrainResult], bool]
Processes = Callable[[int], dict[int, int]]

# A command that trains, whose process the tests can end.
COMMAND = """
import pickle, sys
from pathlib import Path
from copperline.training.engines import LocalWorkers
from copperline.training.console import training_progress

if __name__ == "__main__":
    job = pickle.loads(Path(sys.argv[1]).read_bytes())
    with training_progress() as bar:
        LocalWorkers(2, 2, "cpu").train(job, Path(sys.argv[2]), resume=None, listeners=[bar], tell=bar.tell)
"""


def gone_within(seconds: float, pids: list[int]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(
            Path(f"/proc/{pid}/cmdline").is_file() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids
        ):
            return True
        time.sleep(0.05)
    return False


def test_neither_a_cut_nor_a_killed_worker_costs_a_bit_of_the_result(
    trial: Any, job: TrainingJob, undisturbed: TrainResult, same: Same, worker_processes: Processes
) -> None:
    """Begun in this process, cut, and resumed on two workers, one of which is killed in the middle of an epoch."""

    class PowerCut(Exception):
        """Ends a run in the middle."""

    def cut() -> None:
        raise PowerCut

    trial.at[5] = cut
    with pytest.raises(PowerCut):
        trial.train(ThisProcess(1, "cpu"), job)
    trial.at[15] = lambda: os.kill(worker_processes(os.getpid())[1], signal.SIGKILL)
    result = trial.train(LocalWorkers(2, 2, "cpu"), job, Checkpoint.load(trial.folder))
    assert same(result, undisturbed)
    assert trial.epochs == [1, 2, 3]
    assert trial.lines[0] == "Training: 1 worker with 1 core; 8 crops a step; learning rate 0.006; 30 steps."
    assert trial.lines[1] == (
        "Training on this machine: 2 workers with 1 core each; 8 crops a step, 4 for each worker; learning rate 0.006; "
        "30 steps, 4 of them done before."
    )
    begun_again = re.fullmatch(
        r"Worker 1 of 2 was killed by SIGKILL \(out of memory\?\) \(failure 1 of at most 3\)\. Started again on this "
        r"machine: 2 workers .*, (\d+) of them done before\.",
        trial.lines[2],
    )
    assert begun_again is not None
    assert int(begun_again[1]) > 10  # in the middle of the second epoch
    assert len(trial.lines) == 3
    assert sorted(path.name for path in trial.folder.iterdir()) == ["checkpoint.pt", "workers"]
    assert (trial.folder / "workers" / "rank1.log").is_file()


def test_a_worker_that_is_lost_when_all_is_done_is_not_started_again(
    trial: Any, job: TrainingJob, undisturbed: TrainResult, same: Same, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Worker 1 is killed at its very end, as by a fault in the code that takes its connections down."""
    kept = tmp_path / "the last checkpoint is kept"
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os, time\n"
        "def end():\n"
        f"    while not os.path.exists({str(kept)!r}):\n"
        "        time.sleep(0.05)\n"
        "    os.kill(os.getpid(), 9)\n"
        "if os.environ.get('RANK') == '1':\n"
        "    atexit.register(end)\n"
    )
    monkeypatch.setattr(trial, "on_epoch", lambda epoch, _: kept.touch() if epoch == job.config.epochs else None)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    assert same(trial.train(LocalWorkers(2, 2, "cpu", max_failures=0), job), undisturbed)
    assert len(trial.lines) == 1


def test_a_loss_that_is_not_finite_is_told_as_it_was_and_not_tried_again(trial: Any, diverging: TrainingJob) -> None:
    with pytest.raises(TrainingError, match=r"the loss is not finite in epoch 1, step \d .*--learning-rate"):
        trial.train(LocalWorkers(2, 2, "cpu"), diverging)
    assert len(trial.lines) == 1


def test_a_missing_image_is_told_as_it_was(trial: Any, job: TrainingJob, tmp_path: Path) -> None:
    gone = dataclasses.replace(job.pairs[3], test_path=tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"gone\.png"):
        trial.train(LocalWorkers(2, 2, "cpu"), dataclasses.replace(job, pairs=[*job.pairs[:3], gone]))
    assert len(trial.lines) == 1


def test_a_worker_that_hangs_is_an_error_after_the_limit_and_no_worker_is_left(
    trial: Any, job: TrainingJob, worker_processes: Processes
) -> None:
    pids: list[int] = []

    def freeze() -> None:
        pids.extend(worker_processes(os.getpid()).values())
        os.kill(pids[0], signal.SIGSTOP)

    trial.at[3] = freeze
    with pytest.raises(TrainingError, match=r"stuck for 1\d s after step [3-5]; .*--resume"):
        trial.train(LocalWorkers(2, 2, "cpu", stall_s=10), job)
    assert len(pids) == 2
    assert gone_within(5, pids)


def test_ctrl_c_ends_the_workers_and_keeps_the_checkpoint(
    trial: Any, job: TrainingJob, worker_processes: Processes
) -> None:
    pids: list[int] = []

    def interrupt() -> None:
        pids.extend(worker_processes(os.getpid()).values())
        signal.raise_signal(signal.SIGINT)

    trial.at[5] = interrupt
    with pytest.raises(KeyboardInterrupt):
        trial.train(LocalWorkers(2, 2, "cpu"), job)
    assert len(pids) == 2
    assert gone_within(5, pids)
    assert Checkpoint.load(trial.folder).step >= 4
    assert not list(trial.folder.glob(".checkpoint*"))


@pytest.mark.parametrize(("ending", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_workers_do_not_outlive_the_command(
    trial: Any, job: TrainingJob, worker_processes: Processes, ending: signal.Signals, status: int, tmp_path: Path
) -> None:
    (tmp_path / "command.py").write_text(COMMAND)
    (tmp_path / "job.pickle").write_bytes(pickle.dumps(job))
    command = subprocess.Popen(
        [sys.executable, str(tmp_path / "command.py"), str(tmp_path / "job.pickle"), str(trial.folder)]
    )
    try:
        deadline = time.monotonic() + 60
        while not (trial.folder / "checkpoint.pt").is_file() and time.monotonic() < deadline:
            time.sleep(0.02)
        pids = list(worker_processes(command.pid).values())
        command.send_signal(ending)
        assert command.wait(20) == status
    finally:
        command.kill()
    assert len(pids) == 2
    assert gone_within(5, pids)
    assert Checkpoint.load(trial.folder).config == job.config
