import pytest
import torch

from copperline.training.config import TrainConfig
from copperline.training.ema import WeightAverage
from copperline.training.schedule import learning_rate, make_optimizer


def test_learning_rate_rises_then_falls() -> None:
    config = TrainConfig(learning_rate=0.01, warmup_steps=20)
    rates = [learning_rate(s, 200, config) for s in range(200)]
    peak = rates.index(max(rates))
    assert 18 <= peak <= 21
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == pytest.approx(0.01)
    assert rates[-1] < 0.0002


def test_warm_up_takes_at_most_a_fifth_of_a_short_run() -> None:
    config = TrainConfig(learning_rate=1.0, warmup_steps=1000)
    assert learning_rate(2, 10, config) > 0.9


def test_norms_and_biases_are_not_decayed() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    decayed, others = make_optimizer(network, TrainConfig(weight_decay=0.1)).param_groups
    assert (decayed["weight_decay"], [p.ndim for p in decayed["params"]]) == (0.1, [4])
    assert (others["weight_decay"], {p.ndim for p in others["params"]}) == (0.0, {1})


def test_average_follows_the_weights_and_their_statistics() -> None:
    network = torch.nn.BatchNorm1d(1)
    average = WeightAverage(network, decay=0.5, ramp=1e-9)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.running_mean.fill_(8.0)
    average.update()
    assert average.network.weight.item() == pytest.approx(2.0)  # half-way from 1 to 3
    assert average.network.running_mean.item() == pytest.approx(4.0)
    assert not average.network.training
