"""Synthetic boards: golden boards in the style of a product, defects drawn into any golden image by what they do to
its nets, and scans that differ as real ones do. Everything follows from a seed.
"""

from copperline.data.synthetic.boards import Board, draw_board
from copperline.data.synthetic.dataset import write_synthetic_dataset
from copperline.data.synthetic.defects import draw_defects
from copperline.data.synthetic.generate import generate_pairs, synthetic_pair
from copperline.data.synthetic.scan import ScanSettings, binarised_scan, misregister
from copperline.data.synthetic.sizes import DefectSizes
from copperline.data.synthetic.styles import BoardStyle
from copperline.data.synthetic.whole_board import Distortion, draw_whole_board

__all__ = [
    "Board",
    "BoardStyle",
    "DefectSizes",
    "Distortion",
    "ScanSettings",
    "binarised_scan",
    "draw_board",
    "draw_defects",
    "draw_whole_board",
    "generate_pairs",
    "misregister",
    "synthetic_pair",
    "write_synthetic_dataset",
]
