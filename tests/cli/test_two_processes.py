"""`copperline train` as torchrun starts it: two processes, one network, one registered version."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


def test_two_processes_register_one_model(demo: Any, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "copperline", "train", "--data", str(demo.data), "--epochs", "1", "--json"]
    command += ["--crops-per-pair", "1", "--batch-size", "2"]
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"COPPERLINE_THREADS": "2", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [*command, "--workspace", str(tmp_path)],
            env={**shared, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    (main_out, main_err), (other_out, other_err) = [process.communicate(timeout=200) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], main_err + other_err
    assert json.loads(main_out.splitlines()[-1])["model_version"] == 1
    assert other_out == ""
    assert len(list((tmp_path / "runs").iterdir())) == 1
