"""Real processes with gloo on loopback."""

import os
import pickle
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from copperline.data import BoardPair
from copperline.errors import TrainingError
from copperline.taxonomy import DEEPPCB
from copperline.training.checkpoint import Checkpoint
from copperline.training.config import TrainConfig
from copperline.training.distributed import ALONE, join_world
from copperline.training.loop import train
from copperline.training.validation import curve_figures

CONFIG = TrainConfig(
    epochs=2, crop_size=64, batch_size=8, micro_batch=4, crops_per_pair=3, warmup_steps=1, precision="float32"
)

SCRIPT = """
import pickle, sys
from functools import partial
from pathlib import Path
import torch
from copperline.errors import CopperlineError
from copperline.taxonomy import DEEPPCB
from copperline.training.distributed import join_world
from copperline.training.loop import train
from copperline.training.validation import curve_figures

pairs, config = pickle.loads(Path(sys.argv[1]).read_bytes())
folder, mode = Path(sys.argv[2]), sys.argv[3]
try:
    with join_world(timeout_s=20) as world:
        if mode == "other data" and world.rank == 1:
            mode = "what only one has"
        if mode == "one dies" and world.rank == 1:
            sys.exit(7)
        validate = lambda network, world: curve_figures(network, pairs, DEEPPCB, world)
        result = train(pairs, DEEPPCB, config, folder, world=world, validate=validate, data_hash=mode)
        torch.save((result.network.state_dict(), result.history), folder / f"rank{world.rank}.pt")
except CopperlineError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def run_workers(pairs: list[BoardPair], folder: Path, mode: str, count: int = 2) -> tuple[list[int], list[str]]:
    (folder / "job.pickle").write_bytes(pickle.dumps((pairs, CONFIG)))
    (folder / "train.py").write_text(SCRIPT)
    shared = {
        **os.environ,
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(folder / "train.py"), str(folder / "job.pickle"), str(folder), mode]
    processes = [
        subprocess.Popen(command, env={**shared, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True)
        for rank in range(count)
    ]
    try:
        errors = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes], errors


def test_two_workers_train_the_network_that_one_trains(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    codes, errors = run_workers(tiny_pairs, tmp_path, "equal")
    assert codes == [0, 0], errors
    (first, history), (second, others) = (
        torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [m["loss"] for m in history] == [m["loss"] for m in others]
    checkpoint = Checkpoint.load(tmp_path)  # written by the main worker alone
    assert (checkpoint.epoch, checkpoint.step, checkpoint.classes) == (2, 0, DEEPPCB.names)
    assert all(torch.equal(checkpoint.average[name], first[name]) for name in first)

    alone = tmp_path / "alone"
    alone.mkdir()
    result = train(
        tiny_pairs,
        DEEPPCB,
        CONFIG,
        alone,
        validate=lambda network, world: curve_figures(network, tiny_pairs, DEEPPCB, world),
    )
    # Two micro-batches, one each: even the order of additions is the same, so that the networks are equal to the bit.
    weights = result.network.state_dict()
    assert all(torch.equal(weights[name], first[name]) for name in first)
    assert [{**m, "seconds": 0} for m in result.history] == [{**m, "seconds": 0} for m in history]
    assert "val_map50" in history[-1] and "val_map50" not in others[-1]


def test_worker_whose_neighbour_died_says_so_soon(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    started = time.monotonic()
    codes, errors = run_workers(tiny_pairs, tmp_path, "one dies")
    assert codes == [1, 7]
    assert "WorkerLostError: lost touch with one of the 2 workers" in errors[0]
    assert time.monotonic() - started < 60


def test_workers_with_different_data_do_not_begin(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    codes, errors = run_workers(tiny_pairs, tmp_path, "other data")
    # Where one is faster, gloo may abort the other while it leaves: after it has said why.
    assert 0 not in codes
    assert "expected the same place to begin at and data on 2 workers" in errors[0]


def test_workers_that_never_come_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    with pytest.raises(TrainingError, match="2 workers cannot meet within 1 s"), join_world(timeout_s=1):
        pass


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
        assert world == ALONE
        assert (world.rank, world.size, world.is_main) == (0, 1, True)
