"""Board pairs on disk: reading DeepPCB, YOLO and COCO layouts, writing YOLO and COCO, Copperline's own data set folder,
splits by board group, and images. `data.download` fetches DeepPCB; `data.synthetic` draws boards; both are imported
by their own names.
"""

from copperline.data.coco import read_coco, write_coco
from copperline.data.combining import combined
from copperline.data.deeppcb import read_deeppcb
from copperline.data.golden import read_golden
from copperline.data.images import (
    decode_image,
    is_bare,
    read_grey,
    read_image,
    read_pair,
    sha256_of,
    to_grey,
    write_image,
)
from copperline.data.pairs import SPLITS, BoardDataset, BoardPair, Split
from copperline.data.report import ImportReport, SkippedBoard
from copperline.data.splits import assign_splits
from copperline.data.statistics import GreyLevels, grey_levels
from copperline.data.store import SavedDataset, data_hash, load_saved, open_dataset, save_dataset, saved_dataset
from copperline.data.yolo import read_yolo, write_yolo

__all__ = [
    "SPLITS",
    "BoardDataset",
    "BoardPair",
    "GreyLevels",
    "ImportReport",
    "SavedDataset",
    "SkippedBoard",
    "Split",
    "assign_splits",
    "combined",
    "data_hash",
    "decode_image",
    "grey_levels",
    "is_bare",
    "load_saved",
    "open_dataset",
    "read_coco",
    "read_deeppcb",
    "read_golden",
    "read_grey",
    "read_image",
    "read_pair",
    "read_yolo",
    "save_dataset",
    "saved_dataset",
    "sha256_of",
    "to_grey",
    "write_coco",
    "write_image",
    "write_yolo",
]
