"""`copperline train` under torchrun: two processes, one network, one registered version, also when one is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from copperline.training import Checkpoint

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked up in /proc")
def test_a_killed_process_is_started_again_and_goes_on_from_the_checkpoint(demo: Any, tmp_path: Path) -> None:
    command = [sys.executable, *TORCHRUN, "-m", "copperline", "train", "--data", str(demo.data), "--json"]
    command += ["--epochs", "30", "--crops-per-pair", "1", "--batch-size", "2", "--micro-batch", "1"]
    command += ["--workspace", str(tmp_path), "--gpus-per-worker", "0"]
    started = subprocess.Popen(
        command,
        env={**os.environ, "COPPERLINE_THREADS": "2", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait(started, lambda: list(tmp_path.glob("runs/*/checkpoint.pt")))
        os.kill(_process_of_rank(1, started.pid), signal.SIGKILL)
        out, err = started.communicate(timeout=200)
    finally:
        started.terminate()  # torchrun ends its processes
    assert started.returncode == 0, err
    (result,) = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert result["model_version"] == 1
    (run,) = (tmp_path / "runs").iterdir()
    assert result["run"] == str(run)
    assert Checkpoint.load(run).epoch == 30
    begun, again = [line for line in err.splitlines() if line.startswith("Training: ")]
    assert begun.startswith("Training: 2 workers with 1 core each; 2 crops a step, 1 for each worker; learning rate")
    assert "of them done before" in again


def _wait(started: subprocess.Popen[str], done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 100
    while not done():
        assert started.poll() is None, started.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _process_of_rank(rank: int, torchrun: int) -> int:
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == torchrun and f"RANK={rank}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                return int(folder.name)
        except (OSError, ValueError, IndexError):  # no process, or one that has just ended
            continue
    raise AssertionError(f"no process of rank {rank}")
