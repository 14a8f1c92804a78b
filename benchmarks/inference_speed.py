"""Time of one 640 x 640 px board in ONNX Runtime: shipped model against `yolo12n`, alternating in one run.

Absolute times depend on the machine and on what else runs there; the ratio depends on them much less. The weights of
`yolo12n` are random, which changes nothing in its arithmetic.

Run: python benchmarks/inference_speed.py [--model builtin:deeppcb] [--threads 2] [--rounds 60]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from copperline.inspection import Detector
from copperline.model_info import ModelInfo, OperatingPoint
from copperline.runtime import OnnxModel
from copperline.taxonomy import DEEPPCB
from copperline.yolo.export import export_onnx
from copperline.yolo.network import build_network, count_parameters

SIDE = 640


def untrained(name: str, folder: Path, threads: int) -> OnnxModel:
    torch.manual_seed(0)
    network = build_network(name, len(DEEPPCB)).eval()
    info = ModelInfo(
        network=name,
        parameters=count_parameters(network),
        stride=network.stride,
        classes=ModelInfo.class_infos(DEEPPCB),
        operating_point=OperatingPoint.uniform(DEEPPCB, 0.5),
        data_hash="",
    )
    return OnnxModel(export_onnx(network, info, folder / f"{name}.onnx"), threads=threads)


def seconds_of(models: dict[str, OnnxModel], rounds: int) -> dict[str, list[float]]:
    images = np.random.default_rng(0).random((1, 3, SIDE, SIDE), dtype=np.float32)
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            start = time.perf_counter()
            model.raw(images)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin:deeppcb")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = {
            arguments.model: Detector.load(arguments.model, threads=arguments.threads).model,
            "yolo12n": untrained("yolo12n", Path(folder), arguments.threads),
        }
        seconds = seconds_of(models, arguments.rounds)
    print(f"{SIDE} x {SIDE} px, batch 1, {arguments.threads} threads, {arguments.rounds} rounds")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    for name, model in models.items():
        quartiles = " / ".join(f"{1e3 * v:.1f}" for v in np.percentile(seconds[name], (25, 50, 75)))
        print(f"{name}: {model.info.parameters:,} parameters, {quartiles} ms (quartiles)")
    ratios = np.array(seconds["yolo12n"]) / np.array(seconds[arguments.model])
    low, middle, high = np.percentile(ratios, (25, 50, 75))
    print(f"{arguments.model} is {middle:.2f} times as fast (quartiles {low:.2f} - {high:.2f})")


if __name__ == "__main__":
    main()
