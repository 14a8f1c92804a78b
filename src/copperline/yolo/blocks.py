"""Building blocks of YOLOv12: convolution, residual bottlenecks, ELAN stages, area attention.

Written from the paper: Tian, Ye, Doermann, "YOLOv12: Attention-Centric Real-Time Object Detectors" (2025).
Tensors are (N, C, H, W) float32 throughout.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Activation = Callable[[], nn.Module]


def silu() -> nn.Module:
    return nn.SiLU(inplace=True)


def relu() -> nn.Module:
    return nn.ReLU(inplace=True)


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch norm, activation: (N, c_in, H, W) -> (N, c_out, H / stride, W / stride)."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        activation: Activation = silu,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.03)
        self.activation = activation()


class Bottleneck(nn.Module):
    """Two 3x3 convolutions with a shortcut; channels stay the same."""

    def __init__(self, channels: int, hidden: int, activation: Activation = silu) -> None:
        super().__init__()
        self.first = ConvNorm(channels, hidden, 3, activation=activation)
        self.second = ConvNorm(hidden, channels, 3, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(self.first(x))
        return out


class CspBlock(nn.Module):
    """Cross-stage partial block: half of the channels pass through two bottlenecks, half pass by."""

    def __init__(self, channels: int, activation: Activation = silu) -> None:
        super().__init__()
        hidden = channels // 2
        self.through = ConvNorm(channels, hidden, activation=activation)
        self.past = ConvNorm(channels, hidden, activation=activation)
        self.blocks = nn.Sequential(*(Bottleneck(hidden, hidden, activation) for _ in range(2)))
        self.fuse = ConvNorm(2 * hidden, channels, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fuse(torch.cat((self.blocks(self.through(x)), self.past(x)), 1))
        return out


class AreaAttention(nn.Module):
    """Self-attention within `areas` horizontal bands of the map, plus a 7x7 depthwise positional convolution.

    (N, C, H, W) -> (N, C, H, W); H * W must be divisible by `areas`. Cost falls by the factor `areas` against
    attention over the whole map, while a band stays wide enough to see context.
    """

    def __init__(self, channels: int, heads: int, areas: int) -> None:
        super().__init__()
        self.heads, self.areas = heads, areas
        self.qkv = ConvNorm(channels, 3 * channels, activation=nn.Identity)
        self.position = ConvNorm(channels, channels, 7, groups=channels, activation=nn.Identity)
        self.project = ConvNorm(channels, channels, activation=nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        depth = c // self.heads
        # Channels are laid out head by head as (query, key, value), each `depth` wide.
        qkv = self.qkv(x).view(n, self.heads, 3 * depth, self.areas, h * w // self.areas)
        query, key, value = qkv.permute(0, 3, 1, 4, 2).split(depth, dim=4)  # each (N, areas, heads, L, depth)
        # Written out: on a CPU, in training, the fused kernel takes twice as long for bands of some 100 tokens.
        weights = (query @ key.transpose(-1, -2) * depth**-0.5).softmax(-1)
        mixed = weights.to(value.dtype) @ value
        out = mixed.permute(0, 2, 4, 1, 3).reshape(n, c, h, w)
        values = value.permute(0, 2, 4, 1, 3).reshape(n, c, h, w)
        projected: Tensor = self.project(out + self.position(values))
        return projected


class AttentionBlock(nn.Module):
    """Area attention and a pointwise two-layer perceptron, each with a shortcut."""

    def __init__(
        self, channels: int, heads: int, areas: int, mlp_ratio: float = 2.0, activation: Activation = silu
    ) -> None:
        super().__init__()
        hidden = int(channels * mlp_ratio)
        self.attention = AreaAttention(channels, heads, areas)
        self.mlp = nn.Sequential(
            ConvNorm(channels, hidden, activation=activation), ConvNorm(hidden, channels, activation=nn.Identity)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        out: Tensor = x + self.mlp(x)
        return out


class ElanStage(nn.Module):
    """Efficient layer aggregation: every block's output joins the fusion.

    With `split` (as in YOLO11's stages) half of the entry's channels pass by the blocks; without it (as in
    YOLOv12's R-ELAN) the entry itself is narrow and feeds the chain.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        width: int,
        blocks: list[nn.Module],
        *,
        split: bool,
        activation: Activation = silu,
    ) -> None:
        super().__init__()
        self.split = split
        entry = 2 * width if split else width
        self.enter = ConvNorm(c_in, entry, activation=activation)
        self.blocks = nn.ModuleList(blocks)
        self.fuse = ConvNorm(entry + len(blocks) * width, c_out, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        entry = self.enter(x)
        parts = list(entry.chunk(2, 1)) if self.split else [entry]
        for block in self.blocks:
            parts.append(block(parts[-1]))
        out: Tensor = self.fuse(torch.cat(parts, 1))
        return out


def bottleneck_stage(
    c_in: int,
    c_out: int,
    *,
    depth: int = 1,
    width_ratio: float = 0.5,
    hidden_ratio: float = 0.5,
    csp: bool = False,
    activation: Activation = silu,
) -> ElanStage:
    """ELAN stage of plain bottlenecks (of `hidden_ratio` of their channels inside), or of CSP blocks with `csp`."""
    width = int(c_out * width_ratio)
    blocks: list[nn.Module] = [
        CspBlock(width, activation) if csp else Bottleneck(width, int(width * hidden_ratio), activation)
        for _ in range(depth)
    ]
    return ElanStage(c_in, c_out, width, blocks, split=True, activation=activation)


def attention_stage(
    c_in: int,
    c_out: int,
    *,
    depth: int,
    areas: int,
    chain: int = 2,
    head_depth: int = 32,
    activation: Activation = silu,
) -> ElanStage:
    """R-ELAN stage of chains of area-attention blocks."""
    width = c_out // 2
    blocks: list[nn.Module] = [
        nn.Sequential(*(AttentionBlock(width, width // head_depth, areas, activation=activation) for _ in range(chain)))
        for _ in range(depth)
    ]
    return ElanStage(c_in, c_out, width, blocks, split=False, activation=activation)


def csp_stage(c_in: int, c_out: int, *, depth: int = 1, activation: Activation = silu) -> ElanStage:
    """R-ELAN stage of CSP blocks, for maps on which attention does not pay."""
    width = c_out // 2
    return ElanStage(
        c_in, c_out, width, [CspBlock(width, activation) for _ in range(depth)], split=False, activation=activation
    )
