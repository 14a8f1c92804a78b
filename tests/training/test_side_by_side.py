"""The scripts that train several networks on one GPU, here without one."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from copperline.data import BoardPair
from copperline.errors import TrainingError
from copperline.taxonomy import DEEPPCB
from copperline.training.batches import ImageCache, batches
from copperline.training.checkpoint import Checkpoint
from copperline.training.config import TrainConfig
from copperline.training.loop import train
from copperline.yolo.loss import DetectionLoss
from copperline.yolo.network import Network, build_network

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
CONFIG = TrainConfig(
    epochs=2,
    crop_size=64,
    batch_size=8,
    micro_batch=8,
    crops_per_pair=3,
    warmup_steps=1,
    learning_rate=3e-4,
    precision="float32",
)


@pytest.fixture(scope="module")
def scripts() -> Iterator[tuple[ModuleType, ModuleType]]:
    sys.path.insert(0, str(SCRIPTS))
    yield importlib.import_module("train_side_by_side"), importlib.import_module("graphed_step")
    sys.path.remove(str(SCRIPTS))


def fresh_network() -> Network:
    torch.manual_seed(CONFIG.seed)
    return build_network(CONFIG.network, len(DEEPPCB))


def weights(network: Network) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_loss_of_fixed_shapes_is_the_loss(scripts: tuple[ModuleType, ModuleType], tiny_pairs: list[BoardPair]) -> None:
    step = scripts[1]
    torch.manual_seed(0)
    network = build_network("yolo12-pico", 6).train()
    loss = DetectionLoss()
    parameters = list(network.parameters())
    labelled = 0
    for (batch,) in batches(ImageCache(tiny_pairs, 10), CONFIG, 0):
        output = network(batch.images.float() / 255)
        usual = loss(output, batch.targets)
        fixed = step.fixed_shape_loss(output, step.padded(batch).targets, loss)
        assert torch.allclose(torch.stack(usual), torch.stack(fixed), rtol=1e-5)
        expected = torch.autograd.grad(usual.total, parameters, retain_graph=True)
        for ours, theirs in zip(torch.autograd.grad(fixed.total, parameters), expected, strict=True):
            assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
        labelled += int(batch.targets.mask.sum())
    assert labelled > 5


def test_more_labels_than_there_is_room_for_are_told(
    scripts: tuple[ModuleType, ModuleType], tiny_pairs: list[BoardPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts[1], "MOST_LABELS", 0)
    ((batch,), *_) = batches(ImageCache(tiny_pairs, 10), CONFIG, 0)
    with pytest.raises(TrainingError, match="expected at most 0 labels in a crop, found 1"):
        scripts[1].padded(batch)


def test_a_variant_is_the_network_that_copperline_trains(
    scripts: tuple[ModuleType, ModuleType], tiny_pairs: list[BoardPair], tmp_path: Path
) -> None:
    script = scripts[0]
    boards = script.Boards("", ImageCache(tiny_pairs, 10), "data", CONFIG, 0)
    boards.begin([("first", "yolo12-pico", CONFIG.learning_rate), ("slow", "yolo12-pico", 1e-6)], torch.device("cpu"))
    script.train_all([boards], seconds=600)
    for variant in boards.variants:
        variant.save(tmp_path / variant.name, boards.hash)

    result = train(tiny_pairs, DEEPPCB, CONFIG, tmp_path, data_hash="data")
    saved = Checkpoint.load(tmp_path / "first")
    assert (saved.config, saved.data_hash, saved.epoch) == (CONFIG, "data", 2)
    assert [epoch["loss"] for epoch in saved.history] == pytest.approx([e["loss"] for e in result.history], rel=1e-3)
    # Adam makes steps of noise where a gradient is next to nothing: together the weights went where the others went.
    start, end = weights(fresh_network()), weights(result.network)
    ours = torch.cat([saved.average[name].flatten() for name, _ in result.network.named_parameters()])
    assert (ours - end).norm() < 0.1 * (end - start).norm()
    slow = Checkpoint.load(tmp_path / "slow")
    assert slow.config.learning_rate == 1e-6
    assert not torch.allclose(slow.network["stem.0.conv.weight"], saved.network["stem.0.conv.weight"], atol=1e-4)
    # Nothing is left to train, so that a resumed run goes on to what comes after training.
    resumed = train(tiny_pairs, DEEPPCB, saved.config, tmp_path, data_hash="data", resume=saved)
    assert len(resumed.history) == 2


def test_epochs_without_time_are_left_out(
    scripts: tuple[ModuleType, ModuleType], tiny_pairs: list[BoardPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripts[0]
    monkeypatch.setattr(script, "FIRST_LOOK_S", 0.0)
    monkeypatch.setattr(script, "LOOK_S", 0.0)
    boards = script.Boards("", ImageCache(tiny_pairs, 10), "", CONFIG.model_copy(update={"epochs": 500}), 0)
    boards.begin([("only", "yolo12-pico", 1e-3)], torch.device("cpu"))
    script.train_all([boards], seconds=1.0)
    assert boards.step == boards.total_steps
    assert 1 <= boards.epochs < 500
