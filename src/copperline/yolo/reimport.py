"""The way back from an exported ONNX file to a network that can be trained on.

The export folds each batch norm into its convolution: what is left is a weight and a bias. They are put back as a norm
that changes nothing, and then `measure_norms` gives the norms the statistics that they would have on the images to
train on. That matters, because a norm in training divides by the statistics of its batch, not by those that it holds:
with made-up ones the first step would compute something else than the exported model does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from copperline.errors import ModelError
from copperline.yolo.blocks import ConvNorm
from copperline.yolo.network import Network, build_network

# The exported graph is that of `DecodedNetwork`, whose network has this name.
_ROOT = "network"


def network_from_onnx(path: Path, name: str, classes: int) -> Network:
    """The network `name` in eval mode, computing what the exported file computes.

    Args:
        path: an ONNX file that `export_onnx` wrote and the runtime can open.
        name: of the network that was exported, as in the file's `ModelInfo`.
        classes: number of them.

    Raises:
        ModelError: the file cannot be read, or holds another network.
    """
    network = build_network(name, classes).eval()
    folded = _folded_convolutions(path)
    convolutions = {key: module for key, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    missing = sorted(convolutions.keys() ^ folded.keys())
    wrong = [key for key in convolutions if key in folded and convolutions[key].weight.shape != folded[key][0].shape]
    if missing or wrong:
        raise ModelError(
            f"expected the convolutions of {name} for {classes} classes, found others (first: {(missing or wrong)[0]})",
            where=path,
            fix="start from a model that this version of Copperline exported, or train without --init",
        )
    norms = {f"{key}.conv": module for key, module in network.named_modules() if isinstance(module, ConvNorm)}
    with torch.no_grad():
        for key, convolution in convolutions.items():
            weight, bias = folded[key]
            convolution.weight.copy_(weight)
            if key in norms:
                norms[key].norm.weight.fill_(math.sqrt(1 + norms[key].norm.eps))
                norms[key].norm.bias.copy_(bias)
            elif convolution.bias is not None:
                convolution.bias.copy_(bias)
    return network


@torch.no_grad()
def measure_norms(network: Network, images: Iterable[Tensor]) -> None:
    """Gives every batch norm the mean and variance that its input has on `images`; what is computed stays the same.

    Args:
        network: in eval mode.
        images: at least one batch, each (N, 3, H, W) in [0, 1].
    """
    layers = [module for module in network.modules() if isinstance(module, ConvNorm)]
    sums = [torch.zeros(2, layer.norm.num_features, dtype=torch.float64) for layer in layers]
    counts = [0] * len(layers)

    def listener(position: int) -> Any:
        def add(module: nn.Module, inputs: Any, output: Tensor) -> None:
            values = output.double()
            sums[position] += torch.stack((values.sum((0, 2, 3)), values.square().sum((0, 2, 3)))).cpu()
            counts[position] += values.numel() // values.shape[1]

        return add

    with ExitStack() as stack:
        for position, layer in enumerate(layers):
            stack.callback(layer.conv.register_forward_hook(listener(position)).remove)
        for batch in images:
            network(batch)
    for layer, total, count in zip(layers, sums, counts, strict=True):
        mean = total[0] / count
        variance = (total[1] / count - mean.square()).clamp(min=0)
        _restate(layer.norm, mean, variance)


def _restate(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """The same line from input to output, said with another mean and variance."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    offset = norm.bias.double() - slope * norm.running_mean.double()
    mean, variance = mean.to(slope.device), variance.to(slope.device)
    weight = slope * (variance + norm.eps).sqrt()
    for target, value in (
        (norm.weight, weight),
        (norm.bias, offset + slope * mean),
        (norm.running_mean, mean),
        (norm.running_var, variance),
    ):
        target.copy_(value)


def _folded_convolutions(path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Dotted name of each convolution -> its weight and bias, as the graph has them."""
    try:
        graph = onnx.load(str(path)).graph
    except OSError as error:
        raise ModelError(
            f"the model file cannot be read ({error.strerror})", where=path, fix="check the path, or restore the file"
        ) from error
    values = {tensor.name: tensor for tensor in graph.initializer}
    # The exporter keeps equal tensors once, and names the others as copies of them.
    copies = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}
    return dict(_convolutions(graph, values, copies, path))


def _convolutions(
    graph: Any, values: dict[str, Any], copies: dict[str, str], path: Path
) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        names = [copies.get(name, name) for name in node.input[1:]]
        if len(names) != 2 or not all(name in values for name in names):
            raise ModelError(
                f"expected a weight and a bias at {node.name}, found {len(names)} tensors",
                where=path,
                fix="start from a model that Copperline exported",
            )
        weight, bias = (torch.from_numpy(np.array(onnx.numpy_helper.to_array(values[name]))) for name in names)
        yield _module_name(node.name), (weight, bias)


def _module_name(node: str) -> str:
    """The module's dotted name, from the scopes that the exporter writes into a node's name.

    A scope inside a list or sequence repeats the name of what it is in.

    >>> _module_name("/network/stem/stem.0/conv/Conv")
    'stem.0.conv'
    >>> _module_name("/network/stage8/blocks.0/first/conv/Conv")
    'stage8.blocks.0.first.conv'
    """
    parts: list[str] = []
    for scope in node.strip("/").split("/")[:-1]:
        if parts and scope.startswith(f"{parts[-1]}."):
            parts.pop()
        parts.append(scope)
    return ".".join(parts[1:] if parts[:1] == [_ROOT] else parts)
