"""Exponential moving average of the weights: the model that is validated and shipped."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Averaged = TypeVar("Averaged", bound=nn.Module)


class WeightAverage(Generic[Averaged]):
    """Keeps `network`, an averaged copy of `source`. The decay grows, so that early weights are soon forgotten."""

    def __init__(self, source: Averaged, decay: float, ramp: float = 300.0) -> None:
        self.network: Averaged = copy.deepcopy(source).eval().requires_grad_(False)
        self.decay, self.ramp, self.updates = decay, ramp, 0
        # Weights and the norms' statistics; state_dict() is too slow to be asked in every step.
        self._mine, self._source = _floating(self.network), _floating(source)

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the weights that `source` has now."""
        self.updates += 1
        decay = self.decay * (1 - math.exp(-self.updates / self.ramp))
        torch._foreach_lerp_(self._mine, self._source, 1 - decay)


def _floating(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in network.state_dict().values() if tensor.is_floating_point()]
