"""Optimizer and learning rate."""

from __future__ import annotations

import math

import torch
from torch import nn

from copperline.training.config import TrainConfig


def learning_rate(step: int, total_steps: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine down to `final_learning_rate` of the peak.

    >>> config = TrainConfig(learning_rate=1.0, warmup_steps=10, final_learning_rate=0.1)
    >>> [round(learning_rate(step, 110, config), 3) for step in (0, 9, 60, 110)]
    [0.1, 1.0, 0.55, 0.1]
    """
    warmup = min(config.warmup_steps, max(total_steps // 5, 1))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(total_steps - warmup, 1)
    floor = config.final_learning_rate
    return config.learning_rate * (floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)


def make_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; biases and norms are not decayed."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.99), fused=True)
