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
        torch._foreach_lerp_(self._mine, self._source, 1 - self.current_decay())

    @torch.no_grad()
    def move_by(self, share: Tensor) -> None:
        """`update`, but by a share (0-dimensional, on the device) that whoever calls works out, and counts."""
        difference = torch._foreach_sub(self._source, self._mine)
        torch._foreach_mul_(difference, share)
        torch._foreach_add_(self._mine, difference)

    def current_decay(self) -> float:
        """After so many updates."""
        return self.decay * (1 - math.exp(-self.updates / self.ramp))


def _floating(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in network.state_dict().values() if tensor.is_floating_point()]
