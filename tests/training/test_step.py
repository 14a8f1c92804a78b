"""A step on micro-batches against plain torch on the same crops."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from copperline.data import BoardPair
from copperline.training.batches import Batch, ImageCache, batches, shares
from copperline.training.config import TrainConfig
from copperline.training.distributed import ALONE, World
from copperline.training.step import GradientStep, NormStatistics, running_buffers
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
    statistics = NormStatistics(norm, [torch.zeros_like(buffer) for buffer in running_buffers(norm)])
    statistics.begin()
    for part, one in zip(images, alone, strict=True):
        norm(part)
        statistics.collect()
        one(part)
    statistics.settle(2, step=7)
    assert torch.allclose(norm.running_mean, (alone[0].running_mean + alone[1].running_mean) / 2)
    assert torch.allclose(norm.running_var, (alone[0].running_var + alone[1].running_var) / 2)
    assert int(norm.num_batches_tracked) == 7


def test_a_long_gradient_is_shortened_as_torch_does_it(tiny_pairs: list[BoardPair]) -> None:
    long, short, theirs = network(), network(), network()
    for one, largest_norm in ((long, 1e9), (short, 0.5), (theirs, math.inf)):
        GradientStep(one, ALONE, 2, CPU, None, largest_norm)(first_step(tiny_pairs, 2), 1)
    norm = nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
    assert norm > 1
    for (name, mine), other, unclipped in zip(
        short.named_parameters(), theirs.parameters(), long.parameters(), strict=True
    ):
        assert mine.grad is not None and other.grad is not None and unclipped.grad is not None, name
        assert torch.allclose(mine.grad, other.grad, rtol=1e-4, atol=1e-9), name
        assert torch.allclose(unclipped.grad, other.grad * float(norm) / 0.5, rtol=1e-3, atol=1e-7), name


def test_the_second_step_has_nothing_of_the_first(tiny_pairs: list[BoardPair]) -> None:
    batch = first_step(tiny_pairs, 4)
    twice, once = network().eval(), network().eval()  # so that the norms stay as they are
    step = GradientStep(twice, ALONE, 1, CPU, None)
    step(batch, 1)
    assert torch.equal(step(batch, 2), GradientStep(once, ALONE, 1, CPU, None)(batch, 1))
    for (name, mine), theirs in zip(twice.named_parameters(), once.parameters(), strict=True):
        assert mine.grad is not None and theirs.grad is not None, name
        assert torch.equal(mine.grad, theirs.grad), name
        assert mine.grad.stride() == mine.stride(), name


@dataclasses.dataclass(frozen=True)
class HalfOfTwo(World):
    """One of two workers, which is handed what the other sends."""

    sent: list[Tensor] = dataclasses.field(default_factory=list)
    other: list[Tensor] = dataclasses.field(default_factory=list)

    def add_up(self, message: Tensor, meanwhile: Callable[[], object]) -> None:
        self.sent.append(message.clone())
        meanwhile()
        for other in self.other:
            message += other


@pytest.mark.parametrize("count", [2, 3, 5])
def test_two_workers_come_to_the_same_to_the_bit(tiny_pairs: list[BoardPair], count: int) -> None:
    config = TrainConfig(crop_size=64, batch_size=2 * count, micro_batch=2)
    batch = next(batches(ImageCache(tiny_pairs, 10), config, 0))
    first, second = (batch[part] for part in shares(config, 2))
    one, two = network(), network()
    losses = GradientStep(one, ALONE, count, CPU, None, 0.5)(batch, 1)
    GradientStep(network(), (theirs := HalfOfTwo()), count, CPU, None)(second, 1)
    waited: list[str] = []
    halved = GradientStep(two, HalfOfTwo(other=theirs.sent), count, CPU, None, 0.5)
    assert torch.equal(halved(first, 1, meanwhile=lambda: waited.append("once")), losses)
    assert waited == ["once"]
    for (name, mine), theirs_ in zip(one.named_parameters(), two.parameters(), strict=True):
        assert mine.grad is not None and theirs_.grad is not None, name
        assert torch.equal(mine.grad, theirs_.grad), name
    for (name, mine), theirs_ in zip(one.named_buffers(), two.buffers(), strict=True):
        assert torch.equal(mine, theirs_), name
