"""A step on micro-batches against plain torch on the same crops."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from copperline.data import BoardPair
from copperline.training.batches import Batch, ImageCache, batches
from copperline.training.config import TrainConfig
from copperline.training.distributed import ALONE
from copperline.training.step import GradientStep, NormStatistics
from copperline.yolo.loss import DetectionLoss
from copperline.yolo.network import Network, build_network

CPU = torch.device("cpu")


def network() -> Network:
    torch.manual_seed(0)
    return build_network("yolo12-pico", 6).train()


def first_step(pairs: list[BoardPair], micro_batch: int) -> list[Batch]:
    config = TrainConfig(crop_size=64, batch_size=4, micro_batch=micro_batch)
    return next(batches(ImageCache(pairs, 10), config, 0))


def relative_difference(first: Tensor, second: Tensor) -> float:
    return float((first - second).norm() / second.norm().clamp(min=1e-12))


def test_one_micro_batch_is_plain_backpropagation(tiny_pairs: list[BoardPair]) -> None:
    ours, plain = network(), network()
    (batch,) = first_step(tiny_pairs, 4)
    losses = GradientStep(ours, ALONE, 1, CPU, None)([batch], 1)

    images = batch.images.contiguous(memory_format=torch.channels_last).float().div_(255)
    sums = DetectionLoss()(plain(images), batch.targets)
    loss = sums.total / sums.normaliser.clamp(min=1)
    loss.backward()
    assert float(losses[0]) == pytest.approx(float(loss.detach()), rel=1e-6)
    for (name, mine), theirs in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert mine.grad is not None and theirs.grad is not None, name
        assert relative_difference(mine.grad, theirs.grad) < 1e-4, name
    for (name, mine), theirs in zip(ours.named_buffers(), plain.buffers(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-5), name


def test_micro_batches_weigh_by_what_they_hold(tiny_pairs: list[BoardPair]) -> None:
    """With norms that compute the same on any batch, cutting the batch changes nothing."""
    cut, whole = network(), network()
    cut.eval(), whole.eval()
    losses = GradientStep(cut, ALONE, 2, CPU, None)(first_step(tiny_pairs, 2), 1)
    expected = GradientStep(whole, ALONE, 1, CPU, None)(first_step(tiny_pairs, 4), 1)
    assert torch.allclose(losses, expected, rtol=1e-4)
    for (name, mine), theirs in zip(cut.named_parameters(), whole.named_parameters(), strict=True):
        assert relative_difference(mine.grad, theirs[1].grad) < 1e-3, name


def test_statistics_are_the_mean_over_micro_batches() -> None:
    norm = nn.BatchNorm2d(3, momentum=0.1)
    alone = [copy.deepcopy(norm) for _ in range(2)]
    images = torch.randn(2, 4, 3, 8, 8) * 3 + 1
    statistics = NormStatistics(norm)
    statistics.begin()
    for part, one in zip(images, alone, strict=True):
        norm(part)
        statistics.collect()
        one(part)
    statistics.settle(2, step=7)
    assert torch.allclose(norm.running_mean, (alone[0].running_mean + alone[1].running_mean) / 2)
    assert torch.allclose(norm.running_var, (alone[0].running_var + alone[1].running_var) / 2)
    assert int(norm.num_batches_tracked) == 7
