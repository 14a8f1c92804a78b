"""The networks: `yolo12n`, faithful to the paper's smallest, and ours, made for a CPU: `yolo12-pico` and its wider
`yolo12-pico-wide`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from copperline.errors import ModelError
from copperline.yolo.blocks import ConvNorm, attention_stage, bottleneck_stage, csp_stage, relu
from copperline.yolo.head import DetectionHead, HeadOutput


class Yolo12N(nn.Module):
    """YOLO12-n: strides 8, 16 and 32, 2.6 M parameters with 80 classes.

    (N, 3, H, W) in [0, 1], H and W multiples of 32 -> HeadOutput. Attention runs at stride 16 in four areas and at
    stride 32 over the whole map.
    """

    stride = 32

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            ConvNorm(3, 16, 3, 2), ConvNorm(16, 32, 3, 2), bottleneck_stage(32, 64, width_ratio=0.25)
        )
        self.down8 = ConvNorm(64, 64, 3, 2)
        self.stage8 = bottleneck_stage(64, 128, width_ratio=0.25)
        self.down16 = ConvNorm(128, 128, 3, 2)
        self.stage16 = attention_stage(128, 128, depth=2, areas=4)
        self.down32 = ConvNorm(128, 256, 3, 2)
        self.stage32 = attention_stage(256, 256, depth=2, areas=1)
        self.merge16 = csp_stage(256 + 128, 128)
        self.merge8 = csp_stage(128 + 128, 64)
        self.neck_down16 = ConvNorm(64, 64, 3, 2)
        self.neck16 = csp_stage(64 + 128, 128)
        self.neck_down32 = ConvNorm(128, 128, 3, 2)
        self.neck32 = bottleneck_stage(128 + 256, 256, csp=True)
        self.upsample = nn.Upsample(scale_factor=2.0)
        self.head = DetectionHead((64, 128, 256), (8, 16, 32), classes)

    def forward(self, images: Tensor) -> HeadOutput:
        c8 = self.stage8(self.down8(self.stem(images)))
        c16 = self.stage16(self.down16(c8))
        c32 = self.stage32(self.down32(c16))
        p16 = self.merge16(torch.cat((self.upsample(c32), c16), 1))
        p8 = self.merge8(torch.cat((self.upsample(p16), c8), 1))
        n16 = self.neck16(torch.cat((self.neck_down16(p8), p16), 1))
        n32 = self.neck32(torch.cat((self.neck_down32(n16), c32), 1))
        out: HeadOutput = self.head([p8, n16, n32])
        return out


class Yolo12Pico(nn.Module):
    """Ours: YOLOv12's stages and head at one scale, under 0.5 M parameters, made for a CPU.

    (N, 3, H, W) in [0, 1], H and W multiples of 32 -> HeadOutput at stride 8. Against YOLO12-n: ReLU, which ONNX
    Runtime fuses into the convolution; no stage at stride 4, whose large maps cost memory traffic more than
    arithmetic, and full 3x3 bottlenecks at stride 8, where the defects are told apart; one head, since all defects
    are some 35 px wide, and no stage at stride 32; no attention, since what a defect is can be seen within 100 px; a
    depthwise-separable head. What each of these costs and brings is in docs/experiments.md.

    Args:
        stem: channels at stride 4.
        deep: channels at stride 16.
        merged: share of the channels at stride 8 that the bottlenecks after merging work on.
    """

    stride = 32

    def __init__(self, classes: int, *, stem: int = 16, deep: int = 96, merged: float = 0.5) -> None:
        super().__init__()
        a = relu
        self.stem = nn.Sequential(ConvNorm(3, 16, 3, 2, activation=a), ConvNorm(16, stem, 3, 2, activation=a))
        self.down8 = ConvNorm(stem, 64, 3, 2, activation=a)
        self.stage8 = bottleneck_stage(64, 64, depth=2, hidden_ratio=1.0, activation=a)
        self.down16 = ConvNorm(64, deep, 3, 2, activation=a)
        self.stage16 = bottleneck_stage(deep, deep, depth=2, hidden_ratio=1.0, activation=a)
        self.merge8 = bottleneck_stage(deep + 64, 64, depth=2, width_ratio=merged, hidden_ratio=1.0, activation=a)
        self.upsample = nn.Upsample(scale_factor=2.0)
        self.head = DetectionHead((64,), (8,), classes, lean=True, width=64, activation=a)

    def forward(self, images: Tensor) -> HeadOutput:
        c8 = self.stage8(self.down8(self.stem(images)))
        c16 = self.stage16(self.down16(c8))
        out: HeadOutput = self.head([self.merge8(torch.cat((self.upsample(c16), c8), 1))])
        return out


Network = Yolo12N | Yolo12Pico
NETWORKS: dict[str, Callable[[int], Network]] = {
    "yolo12-pico": Yolo12Pico,
    "yolo12-pico-wide": partial(Yolo12Pico, stem=32, deep=128, merged=0.75),
    "yolo12n": Yolo12N,
}


def build_network(name: str, classes: int) -> Network:
    """A network with fresh weights, by name; raises ModelError for an unknown name."""
    if name not in NETWORKS:
        raise ModelError(f"unknown network {name!r}", fix=f"use one of {', '.join(NETWORKS)}")
    return NETWORKS[name](classes)


def count_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())
