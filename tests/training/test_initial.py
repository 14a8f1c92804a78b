"""Runs that start from a trained model, and runs on several data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from copperline.data import BoardPair
from copperline.errors import ModelError, TrainingError
from copperline.registry import builtin_model
from copperline.runtime import OnnxModel
from copperline.taxonomy import DEEPPCB, Taxonomy
from copperline.training.batches import ImageCache, epoch_order
from copperline.training.checkpoint import Checkpoint
from copperline.training.config import FINE_TUNING, TrainConfig
from copperline.training.initial import InitialModel, crops_to_measure, initial_network
from copperline.training.loop import Metrics, train
from copperline.training.predictor import TorchPredictor

SHIPPED = builtin_model("deeppcb")
CONFIG = TrainConfig(
    epochs=2, crop_size=96, crops_per_pair=2, batch_size=8, warmup_steps=2, precision="float32",
    network=SHIPPED.card.network, learning_rate=1e-3, init="deeppcb 1", init_sha256=SHIPPED.sha256,
)  # fmt: skip


class PowerCut(Exception):
    """Ends a run in the middle."""


class Stop:
    def on_step(self, step: int, total_steps: int, loss: float) -> None:
        if step == 3:
            raise PowerCut

    def on_epoch(self, epoch: int, metrics: Metrics) -> None: ...


class Losses:
    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_step(self, step: int, total_steps: int, loss: float) -> None:
        self.losses.append(loss)

    def on_epoch(self, epoch: int, metrics: Metrics) -> None: ...


def test_the_network_before_the_first_step_is_the_model(tiny_pairs: list[BoardPair]) -> None:
    cache = ImageCache(tiny_pairs, 10)
    network = initial_network(SHIPPED.path, CONFIG, DEEPPCB, crops_to_measure(cache, CONFIG, ()))
    for i in range(2):
        test, reference = cache[i]
        images = np.stack([test, reference, np.abs(test.astype(int) - reference)])[None].astype(np.float32) / 255  # type: ignore[operator]
        ours, theirs = TorchPredictor(network).raw(images), OnnxModel(SHIPPED.path, threads=1).raw(images)
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-5)


def test_it_starts_where_the_model_is_and_not_anew(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    begun, anew = Losses(), Losses()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    train(tiny_pairs, DEEPPCB, CONFIG, tmp_path / "a", init=SHIPPED.path, listeners=[begun])
    fresh = CONFIG.model_copy(update={"init": None, "init_sha256": None})
    train(tiny_pairs, DEEPPCB, fresh, tmp_path / "b", listeners=[anew])
    assert begun.losses[0] < 0.75 * anew.losses[0]


def test_a_resumed_run_needs_no_model_and_ends_as_the_whole_one(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected = train(tiny_pairs, DEEPPCB, CONFIG, whole, init=SHIPPED.path).network.state_dict()
    with pytest.raises(PowerCut):
        train(tiny_pairs, DEEPPCB, CONFIG, cut, init=SHIPPED.path, listeners=[Stop()])
    checkpoint = Checkpoint.load(cut)
    assert (checkpoint.epoch, checkpoint.config.init_sha256) == (1, SHIPPED.sha256)
    resumed = train(tiny_pairs, DEEPPCB, checkpoint.config, cut, resume=checkpoint)
    assert all(torch.equal(expected[name], tensor) for name, tensor in resumed.network.state_dict().items())


def test_what_cannot_be_started_from(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    two = Taxonomy(tuple(DEEPPCB)[:2])
    with pytest.raises(TrainingError, match=r"with the classes of the data, open, short; deeppcb 1 has open, short, m"):
        InitialModel.of("deeppcb 1", SHIPPED.path, two)
    with pytest.raises(TrainingError, match="is to start from deeppcb 1, found no model"):
        train(tiny_pairs, DEEPPCB, CONFIG, tmp_path)
    with pytest.raises(ModelError, match=r"expected yolo12-pico\S* with SHA-256 \w{12} to start from, found yolo12-"):
        train(tiny_pairs, DEEPPCB, CONFIG, tmp_path, init=builtin_model("golden-only").path)
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError):
        InitialModel.of("no", tmp_path / "no.onnx", DEEPPCB)


def test_the_settings_for_fine_tuning_are_milder() -> None:
    mild, usual = TrainConfig(**FINE_TUNING), TrainConfig()
    assert mild.epochs < usual.epochs
    assert mild.learning_rate < usual.learning_rate
    assert mild.warmup_steps < usual.warmup_steps


def test_data_sets_share_the_crops_as_asked() -> None:
    parts = [0] * 30 + [1] * 3
    config = TrainConfig(crops_per_pair=4, batch_size=8, mix=(1, 3))
    order = epoch_order(33, config, 0, parts)
    assert len(order) == len(epoch_order(33, config.model_copy(update={"mix": ()}), 0))
    counts = np.bincount(order, minlength=33)
    assert counts[30:].sum() == pytest.approx(0.75 * len(order), abs=1)
    for part in (counts[:30], counts[30:]):
        assert part.max() - part.min() <= 1
    assert np.array_equal(order, epoch_order(33, config, 0, parts))
    assert not np.array_equal(order, epoch_order(33, config, 1, parts))


def test_shares_of_another_number_of_data_sets_are_refused(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"mix": (1.0, 1.0)})
    with pytest.raises(TrainingError, match="expected shares of no data sets, found 2"):
        train(tiny_pairs, DEEPPCB, config, tmp_path, init=SHIPPED.path)
