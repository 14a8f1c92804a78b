"""One board's detections against its labels: which were found, missed, taken for another class, or called falsely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from copperline.detections import Detections
from copperline.evaluation.matching import MATCHING_IOU, Floats, Integers, Mask, Stage, match_in_stages


@dataclass(frozen=True, eq=False, slots=True)
class BoardComparison:
    """D detections against L labels, matched at `MATCHING_IOU`.

    Attributes:
        label_of: (D,) int64, the label at the detection's place, of its class or, failing that, of another; -1: none.
        right: (D,) bool, whether that label is of the detection's class.
        iou: (D,) float64, of detection and label, 0 for none.
        found_labels: (L,) bool, whether a detection of the label's class found it.
    """

    label_of: Integers
    right: Mask
    iou: Floats
    found_labels: Mask

    @property
    def found(self) -> int:
        """Labels found, which are the detections that are right."""
        return int(self.right.sum())

    @property
    def missed(self) -> int:
        """Labels not found; one that was taken for another class is among them."""
        return len(self.found_labels) - self.found

    @property
    def false(self) -> int:
        """Detections that found no label of their class."""
        return len(self.right) - self.found


def compare_board(detections: Detections, labels: Detections) -> BoardComparison:
    """Compares what was called on one board with its labels.

    Args:
        detections: at the operating point, the most confident first.
        labels: of the same class ids.

    >>> called = Detections.of([[0, 0, 10, 10], [50, 0, 60, 10]], [1, 2], [0.9, 0.8])
    >>> done = compare_board(called, Detections.of([[1, 0, 10, 10], [50, 0, 60, 10], [80, 0, 90, 9]], [1, 0, 0]))
    >>> done.found, done.missed, done.false, done.label_of.tolist(), done.right.tolist()
    (1, 2, 1, [0, 1], [True, False])
    """
    staged = match_in_stages([detections], [labels], [Stage(MATCHING_IOU), Stage(MATCHING_IOU, same_class=False)])
    right = staged.stage == 0
    found_labels = np.zeros(len(labels), bool)
    found_labels[staged.label_found[right]] = True
    return BoardComparison(staged.label_found, right, staged.iou, found_labels)
