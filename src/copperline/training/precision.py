"""Which arithmetic to train in."""

from __future__ import annotations

import torch

from copperline.training.config import TrainConfig


def autocast_dtype(config: TrainConfig, device: torch.device) -> torch.dtype | None:
    """The reduced precision to compute in, or None for float32.

    `auto` takes bfloat16 only where the hardware multiplies in it: emulated, it is slower than float32.
    """
    if config.precision == "float32":
        return None
    if config.precision == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else None
