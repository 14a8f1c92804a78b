from pathlib import Path

import pytest
import torch

from copperline.data import BoardPair
from copperline.errors import TrainingError
from copperline.taxonomy import DEEPPCB
from copperline.training.checkpoint import CHECKPOINT_NAME, Checkpoint
from copperline.training.config import TrainConfig
from copperline.training.distributed import World
from copperline.training.loop import Metrics, TrainResult, train

CONFIG = TrainConfig(
    epochs=3, crop_size=64, crops_per_pair=2, batch_size=8, warmup_steps=2, precision="float32", validate_every=2
)


class PowerCut(Exception):
    """Ends a run in the middle."""


class Recorder:
    def __init__(self, stop_after: int | None = None) -> None:
        self.losses: list[float] = []
        self.epochs: list[int] = []
        self.stop_after = stop_after

    def on_step(self, step: int, total_steps: int, loss: float) -> None:
        assert 1 <= step <= total_steps
        self.losses.append(loss)
        if step == self.stop_after:
            raise PowerCut

    def on_epoch(self, epoch: int, metrics: Metrics) -> None:
        self.epochs.append(epoch)


def run(pairs: list[BoardPair], folder: Path, config: TrainConfig = CONFIG, **options: object) -> TrainResult:
    return train(pairs, DEEPPCB, config, folder, data_hash="abc", **options)  # type: ignore[arg-type]


def test_learns_a_handful_of_boards(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    recorder = Recorder()
    config = CONFIG.model_copy(update={"epochs": 12, "learning_rate": 5e-3, "ema_decay": 0.8})
    result = run(tiny_pairs, tmp_path, config, listeners=[recorder])
    assert recorder.epochs == list(range(1, 13))
    first, last = recorder.losses[:4], recorder.losses[-4:]
    assert sum(last) < 0.8 * sum(first)
    assert not result.network.training
    assert len(result.history) == 12


def test_validates_when_due_and_at_the_end(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    seen: list[bool] = []

    def validate(network: torch.nn.Module, world: World) -> Metrics:
        seen.append(network.training)
        return {"val_map50": 0.5}

    history = run(tiny_pairs, tmp_path, validate=validate).history
    assert seen == [False, False]
    assert [("val_map50" in m) for m in history] == [False, True, True]


def test_resumed_run_ends_where_the_uninterrupted_one_does(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected = run(tiny_pairs, whole).network.state_dict()
    with pytest.raises(PowerCut):
        run(tiny_pairs, cut, listeners=[Recorder(stop_after=3)])  # in the middle of the second epoch
    checkpoint = Checkpoint.load(cut)
    assert checkpoint.epoch == 1
    resumed = run(tiny_pairs, cut, resume=checkpoint)
    assert all(torch.equal(expected[name], tensor) for name, tensor in resumed.network.state_dict().items())
    assert len(resumed.history) == 3


def test_run_resumed_in_the_middle_of_an_epoch_ends_there_too(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    config = CONFIG.model_copy(update={"batch_size": 4, "micro_batch": 2})  # 4 steps in an epoch
    expected = run(tiny_pairs, whole, config)
    with pytest.raises(PowerCut):
        run(tiny_pairs, cut, config, listeners=[Recorder(stop_after=7)], checkpoint_every_s=0.0)
    checkpoint = Checkpoint.load(cut)
    assert (checkpoint.epoch, checkpoint.step) == (1, 2)
    resumed = run(tiny_pairs, cut, config, resume=checkpoint)
    weights = resumed.network.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in expected.network.state_dict().items())
    assert [m["loss"] for m in resumed.history] == [m["loss"] for m in expected.history]


def test_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    class Poison(Recorder):
        def on_epoch(self, epoch: int, metrics: Metrics) -> None:
            raise AssertionError("an epoch with a broken loss must not end")

    run(tiny_pairs, tmp_path, CONFIG)
    before = (tmp_path / CHECKPOINT_NAME).read_bytes()
    diverging = CONFIG.model_copy(update={"learning_rate": 1e30, "warmup_steps": 0, "gradient_clip": 1e30})
    with pytest.raises(TrainingError, match=r"the loss is not finite in epoch 1, step \d"):
        run(tiny_pairs, tmp_path, diverging, listeners=[Poison()])
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("update", "data_hash", "message"), [({"seed": 9}, "abc", "other settings"), ({}, "other", "other data")]
)
def test_resume_refuses_what_does_not_fit(
    tiny_pairs: list[BoardPair], tmp_path: Path, update: dict[str, int], data_hash: str, message: str
) -> None:
    config = CONFIG.model_copy(update={"epochs": 1})
    run(tiny_pairs, tmp_path, config)
    checkpoint = Checkpoint.load(tmp_path)
    with pytest.raises(TrainingError, match=message):
        train(tiny_pairs, DEEPPCB, config.model_copy(update=update), tmp_path, data_hash=data_hash, resume=checkpoint)


def test_checkpoint_round_trip_and_damage(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    run(tiny_pairs, tmp_path, CONFIG.model_copy(update={"epochs": 1}))
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT_NAME]
    path = tmp_path / CHECKPOINT_NAME
    assert Checkpoint.load(path).classes == DEEPPCB.names
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="cannot be read"):
        Checkpoint.load(path)
    with pytest.raises(TrainingError, match="no checkpoint"):
        Checkpoint.load(tmp_path / "nowhere")


def test_checkpoint_that_cannot_be_written_is_an_error(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot be written"):
        run(tiny_pairs, tmp_path / "file", CONFIG.model_copy(update={"epochs": 1}))


def test_reduced_precision_learns_too(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    recorder = Recorder()
    run(tiny_pairs, tmp_path, CONFIG.model_copy(update={"precision": "bfloat16"}), listeners=[recorder])
    assert recorder.losses[-1] < recorder.losses[0]
