"""What the cells of `notebooks/pcb_defect_detection` call: the place, its boards, the long steps, pictures and tables.

Each cell is a line or two over these and over the product's own functions.
"""

from copperline.workflows.notebook.boards import Boards, find_boards, take_in
from copperline.workflows.notebook.output import Picture, Table, per_cent
from copperline.workflows.notebook.parameters import Parameters
from copperline.workflows.notebook.pictures import labelled_samples, predicted_samples
from copperline.workflows.notebook.place import Place, find_place
from copperline.workflows.notebook.steps import inspect_here, register_here, train_here, training_config
from copperline.workflows.notebook.tables import (
    classes_table,
    conversion_table,
    figures_table,
    prices_table,
    result_table,
    shared_table,
    sizes_table,
    splits_table,
    thresholds_table,
    versions_table,
)

__all__ = [
    "Boards",
    "Parameters",
    "Picture",
    "Place",
    "Table",
    "classes_table",
    "conversion_table",
    "figures_table",
    "find_boards",
    "find_place",
    "inspect_here",
    "labelled_samples",
    "per_cent",
    "predicted_samples",
    "prices_table",
    "register_here",
    "result_table",
    "shared_table",
    "sizes_table",
    "splits_table",
    "take_in",
    "thresholds_table",
    "train_here",
    "training_config",
    "versions_table",
]
