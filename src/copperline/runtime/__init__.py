"""The network in ONNX Runtime, without torch: pre- and post-processing, tiling of large images."""

from copperline.runtime.postprocess import (
    EVALUATION_FLOOR,
    INSPECTION_FLOOR,
    Selection,
    decode_predictions,
    suppressed,
)
from copperline.runtime.preprocess import network_input
from copperline.runtime.session import OnnxModel
from copperline.runtime.tiling import TileProgress, Tiling, predict_tiled

__all__ = [
    "EVALUATION_FLOOR",
    "INSPECTION_FLOOR",
    "OnnxModel",
    "Selection",
    "TileProgress",
    "Tiling",
    "decode_predictions",
    "network_input",
    "predict_tiled",
    "suppressed",
]
