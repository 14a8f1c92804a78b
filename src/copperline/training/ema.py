"""Exponential moving average of the weights: the model that is validated and shipped."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import nn

Averaged = TypeVar("Averaged", bound=nn.Module)


class WeightAverage(Generic[Averaged]):
    """Keeps `network`, the averaged copy. The decay grows with the updates, so that early weights are soon forgotten."""

    def __init__(self, network: Averaged, decay: float, ramp: float = 300.0) -> None:
        self.network: Averaged = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self.ramp, self.updates = decay, ramp, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.updates += 1
        decay = self.decay * (1 - math.exp(-self.updates / self.ramp))
        current = network.state_dict()
        floating = [
            (mine, current[name]) for name, mine in self.network.state_dict().items() if mine.is_floating_point()
        ]
        mine, theirs = [pair[0] for pair in floating], [pair[1].detach() for pair in floating]
        torch._foreach_lerp_(mine, theirs, 1 - decay)
