"""ONNX export: the network with its boxes decoded, its contract (`ModelInfo`) inside the file."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from copperline.files import atomic_file
from copperline.model_info import METADATA_KEY, ModelInfo
from copperline.yolo.network import Network

OPSET = 17


class DecodedNetwork(nn.Module):
    """(N, 3, H, W) float32 in [0, 1] -> (N, 4 + C, A): centre x, y, width, height in pixels; class probabilities."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        output = self.network(images)
        boxes = output.boxes()
        low, high = boxes[..., :2], boxes[..., 2:]
        return torch.cat(((low + high) / 2, high - low, output.class_logits.sigmoid()), -1).transpose(1, 2)


def export_onnx(network: Network, info: ModelInfo, path: Path) -> Path:
    """Writes `network` as ONNX with free batch size, height and width, atomically.

    Raises:
        DataError: the file cannot be written.
    """
    decoded = DecodedNetwork(copy.deepcopy(network).float().cpu()).eval()
    example = torch.zeros(1, 3, 4 * network.stride, 4 * network.stride)
    with atomic_file(path) as temporary:
        with warnings.catch_warnings():
            # The exporter warns of its successor, which cannot yet trace attention over a map of free size.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                decoded,
                (example,),
                str(temporary),
                input_names=["images"],
                output_names=["predictions"],
                dynamic_axes={"images": {0: "n", 2: "h", 3: "w"}, "predictions": {0: "n", 2: "anchors"}},
                opset_version=OPSET,
                dynamo=False,
            )
        model = onnx.load(str(temporary))
        onnx.helper.set_model_props(model, {METADATA_KEY: info.model_dump_json()})
        onnx.checker.check_model(model)
        onnx.save(model, str(temporary))
    return path
