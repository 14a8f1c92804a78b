"""Two real processes with gloo on loopback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from copperline.data import BoardPair
from copperline.errors import TrainingError
from copperline.taxonomy import DEEPPCB
from copperline.training.checkpoint import Checkpoint
from copperline.training.distributed import join_world

SCRIPT = """
import pickle, sys
from pathlib import Path
import torch
from copperline.taxonomy import DEEPPCB
from copperline.training.config import TrainConfig
from copperline.training.distributed import join_world
from copperline.training.loop import train

pairs = pickle.loads(Path(sys.argv[1]).read_bytes())
config = TrainConfig(epochs=1, crop_size=64, batch_size=8, crops_per_pair=2, precision="float32")
with join_world() as world:
    result = train(pairs, DEEPPCB, config, Path(sys.argv[2]), world=world)
    torch.save(result.network.state_dict(), Path(sys.argv[2]) / f"rank{world.rank}.pt")
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_two_processes_train_one_network(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    import pickle

    (tmp_path / "pairs.pickle").write_bytes(pickle.dumps(tiny_pairs))
    (tmp_path / "train.py").write_text(SCRIPT)
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, str(tmp_path / "train.py"), str(tmp_path / "pairs.pickle"), str(tmp_path)]
    processes = [
        subprocess.Popen(command, env={**shared, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors

    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    weights = [name for name, tensor in first.items() if tensor.is_floating_point() and "running" not in name]
    assert all(torch.equal(first[name], second[name]) for name in weights)
    checkpoint = Checkpoint.load(tmp_path)  # written by the main process alone
    assert checkpoint.epoch == 1
    assert checkpoint.classes == DEEPPCB.names
    assert all(torch.equal(checkpoint.average[name], first[name]) for name in weights)


@pytest.mark.parametrize(
    ("variables", "message"),
    [({"WORLD_SIZE": "two"}, "whole numbers"), ({"WORLD_SIZE": "2", "RANK": "2"}, r"expected RANK in 0\.\.1")],
)
def test_wrong_environment_is_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=message), join_world():
        pass


def test_alone_without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("RANK", raising=False)
    with join_world() as world:
        assert (world.rank, world.size, world.is_main) == (0, 1, True)
