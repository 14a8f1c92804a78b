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
from copperline.runtime.tiling import Look, Tile, TileProgress, Tiling, look_at_tiles, predict_tiled

__all__ = [
    "EVALUATION_FLOOR",
    "INSPECTION_FLOOR",
    "Look",
    "OnnxModel",
    "Selection",
    "Tile",
    "TileProgress",
    "Tiling",
    "decode_predictions",
    "look_at_tiles",
    "network_input",
    "predict_tiled",
    "suppressed",
]
