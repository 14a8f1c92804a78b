"""The network in torch as a detector, for validation while it trains."""

from __future__ import annotations

import torch

from copperline.data.images import Image
from copperline.detections import Detections, FloatArray
from copperline.reference import register
from copperline.runtime import EVALUATION_FLOOR, Selection, decode_predictions, network_input
from copperline.yolo.export import DecodedNetwork
from copperline.yolo.network import Network


class TorchPredictor:
    """Registers the reference, runs the network, decodes: what the ONNX runtime does, but in torch.

    `network` is used as it is, in eval mode, on its device.
    """

    def __init__(self, network: Network, floor: float = EVALUATION_FLOOR) -> None:
        self.network = network
        self.selection = Selection(floor=floor)
        self._decoded = DecodedNetwork(network).eval()

    def __call__(self, test: Image, reference: Image | None) -> Detections:
        aligned = None if reference is None else register(test, reference).reference
        predictions = self.raw(network_input(test, aligned, self.network.stride))
        return decode_predictions(predictions, self.selection, width=test.shape[1], height=test.shape[0])

    @torch.no_grad()
    def raw(self, images: FloatArray) -> FloatArray:
        """(1, 3, H, W) -> (4 + C, A), as `ModelInfo` describes them."""
        device = next(self.network.parameters()).device
        batch = torch.from_numpy(images).to(device).contiguous(memory_format=torch.channels_last)
        predictions: FloatArray = self._decoded(batch)[0].float().cpu().numpy()
        return predictions
