"""A job of some seconds, what it comes to when nothing goes wrong, and the worker processes of this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from copperline.data import BoardPair
from copperline.snowflake_settings import SnowflakeSettings
from copperline.taxonomy import DEEPPCB
from copperline.training.checkpoint import Checkpoint
from copperline.training.config import TrainConfig
from copperline.training.engines import Engine, ThisProcess, TrainingJob
from copperline.training.loop import Metrics, TrainResult

# Two micro-batches a step, one for each of two workers; 30 steps, with a checkpoint after each.
CONFIG = TrainConfig(
    epochs=3,
    crop_size=64,
    crops_per_pair=10,
    batch_size=8,
    micro_batch=4,
    warmup_steps=2,
    precision="float32",
    validate_every=3,
)


class Trial:
    """One run, and what was heard of it.

    Attributes:
        at: what to do when so many steps are done for the first time.
        when: what to do when a line with these words is told.
        steps, epochs, lines: what the engine told, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.at: dict[int, Callable[[], None]] = {}
        self.when: dict[str, Callable[[], None]] = {}
        self.steps: list[int] = []
        self.epochs: list[int] = []
        self.lines: list[str] = []

    def tell(self, line: str) -> None:
        self.lines.append(line)
        for words in [words for words in self.when if words in line]:
            self.when.pop(words)()

    def on_step(self, step: int, total_steps: int, loss: float) -> None:
        self.steps.append(step)
        for due in [number for number in self.at if number <= step]:
            self.at.pop(due)()

    def on_epoch(self, epoch: int, metrics: Metrics) -> None:
        self.epochs.append(epoch)

    def train(self, engine: Engine, job: TrainingJob, resume: Checkpoint | None = None) -> TrainResult:
        result = engine.train(job, self.folder, resume=resume, listeners=[self], tell=self.tell)
        assert result is not None
        return result


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    folder = tmp_path / "run"
    folder.mkdir()
    return Trial(folder)


@pytest.fixture
def job(tiny_pairs: list[BoardPair]) -> TrainingJob:
    return TrainingJob(tiny_pairs, tiny_pairs[:3], DEEPPCB, CONFIG, "abc", checkpoint_every_s=0)


@pytest.fixture
def diverging(job: TrainingJob) -> TrainingJob:
    """Whose loss is not finite after a step or two."""
    wild = {"learning_rate": 1e30, "warmup_steps": 0, "gradient_clip": 1e30}
    return dataclasses.replace(job, config=job.config.model_copy(update=wild))


@pytest.fixture(scope="session")
def undisturbed(tiny_pairs: list[BoardPair], tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """What one worker in this process makes of the job."""
    plain = TrainingJob(tiny_pairs, tiny_pairs[:3], DEEPPCB, CONFIG, "abc")
    return Trial(tmp_path_factory.mktemp("undisturbed")).train(ThisProcess(1, "cpu"), plain)


@pytest.fixture(scope="session")
def same() -> Callable[[TrainResult, TrainResult], bool]:
    """Whether two runs came to the same weights, to the bit, and to the same figures."""

    def compare(one: TrainResult, other: TrainResult) -> bool:
        first, second = one.network.state_dict(), other.network.state_dict()
        figures = [[{k: v for k, v in m.items() if k != "seconds"} for m in run.history] for run in (one, other)]
        return all(torch.equal(first[name], second[name]) for name in first) and figures[0] == figures[1]

    return compare


@pytest.fixture(scope="session")
def worker_processes() -> Callable[[int], dict[int, int]]:
    """Process ids, by rank, of the workers that a process has started on this machine."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("processes are looked up in /proc")

    def look_up(parent: int) -> dict[int, int]:
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and (rank := _rank_of(folder, parent)) is not None:
                found[rank] = int(folder.name)
        return found

    return look_up


def _rank_of(folder: Path, parent: int) -> int | None:
    try:
        if b"copperline.training.engines.worker" not in (folder / "cmdline").read_bytes():
            return None
        if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) != parent:
            return None
        variables = (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # it has just ended
        return None
    return next((int(variable[5:]) for variable in variables if variable.startswith(b"RANK=")), None)


@pytest.fixture
def labeled(container_runtime: Any, tiny_pairs: list[BoardPair]) -> SnowflakeSettings:
    """Names of objects, with the boards of `job` in the table, and one board that no job is of."""
    names = SnowflakeSettings()
    rows = container_runtime.rows_of(tiny_pairs)
    container_runtime.write_table(names, [*rows, dataclasses.replace(rows[0], filename="test_board.png", split="test")])
    return names
