"""What each kind of error costs: how much higher mAP50 would be without it.

After the dAP of TIDE (Bolya et al. 2020, arXiv:2008.08115): an oracle mends all errors of one kind and mAP50 is
measured again. The gains of the kinds do not add up to what is missing from 100 %: one error can hide another, and
errors among the detections below the thresholds, which mAP50 ranks too, are in no kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from copperline.detections import Detections
from copperline.evaluation.average_precision import COCO_MAX_DETECTIONS, coco_ap_of, nan_mean
from copperline.evaluation.error_kinds import TIGHT_IOU, ErrorKind, FoundError
from copperline.evaluation.matching import Floats, Integers, Mask, StagedMatches, match, pairwise_iou


def map50_gains(
    detections: Sequence[Detections], matches: StagedMatches, errors: Sequence[FoundError], classes: int
) -> dict[ErrorKind, float | None]:
    """The gain in mAP50 for each kind of error, were it mended alone; None if no class has a label.

    How the oracle mends an error, so that nothing else changes:

    - with a label and a detection (wrong class, loose box, found loosely): the detection takes on the label's class
      and box, and keeps its confidence;
    - with a surplus detection (duplicate, false alarm): it is dropped;
    - missed: the label is dropped, as in TIDE. A detection in its place would need a confidence, and the gain would
      hang on it; without the label, the model is as good on it as on the others. A class that has no label left is
      then found perfectly.

    Detections that were not called and could have found a label that is mended are dropped: they would be duplicates.

    Args:
        detections: of each board, from the lowest confidence on.
        matches: of the called ones among them, from which `errors` were sorted.
        errors: from `sort_errors`.
        classes: number of classes.
    """
    oracle = _Oracle(detections, matches)
    images = len(detections)
    as_it_is = _ap50(oracle.everything, oracle.images, matches.labels, matches.label_images, images, classes)
    gains: dict[ErrorKind, float | None] = {}
    for kind in ErrorKind:
        of_kind = [error for error in errors if error.kind == kind]
        mended = as_it_is if not of_kind else _ap50(*oracle.mend(of_kind), images, classes)
        mended = np.where(np.isnan(mended) & ~np.isnan(as_it_is), 1.0, mended)
        gain = float(nan_mean(mended) - nan_mean(as_it_is))
        gains[kind] = None if np.isnan(gain) else gain
    return gains


class _Oracle:
    """All boards' detections as rows, and which of them were called."""

    def __init__(self, detections: Sequence[Detections], matches: StagedMatches) -> None:
        self.everything = Detections.concatenate(list(detections))
        self.images = np.repeat(np.arange(len(detections)), [len(d) for d in detections])
        self.matches = matches
        self.row_of_called = self._rows_of_called()
        self.called = np.zeros(len(self.everything), dtype=bool)
        self.called[self.row_of_called] = True

    def _rows_of_called(self) -> Integers:
        called = self.matches.detections
        rows = {key: row for row, key in enumerate(_keys(self.images, self.everything))}
        return np.array([rows[key] for key in _keys(self.matches.detection_images, called)], dtype=np.int64)

    def mend(self, errors: Sequence[FoundError]) -> tuple[Detections, Integers, Detections, Integers]:
        """Detections, their boards, labels and their boards, after mending `errors`."""
        boxes, class_ids = self.everything.boxes.copy(), self.everything.class_ids.copy()
        kept, labels_kept = np.ones(len(boxes), dtype=bool), np.ones(len(self.matches.labels), dtype=bool)
        for error in errors:
            if error.kind in (ErrorKind.DUPLICATE, ErrorKind.FALSE_ALARM):
                kept[self.row_of_called[error.detection]] = False
                continue
            assert error.label is not None  # all other kinds have one
            kept &= ~self._rivals(error.label)
            if error.detection is None:
                labels_kept[error.label] = False
            else:
                row = self.row_of_called[error.detection]
                boxes[row] = self.matches.labels.boxes[error.label]
                class_ids[row] = self.matches.labels.class_ids[error.label]
        mended = Detections(boxes, class_ids, self.everything.confidences)
        return mended[kept], self.images[kept], self.matches.labels[labels_kept], self.matches.label_images[labels_kept]

    def _rivals(self, label: int) -> Mask:
        """Rows that were not called and could have found the label."""
        rivals: Mask = ~self.called & (self.images == self.matches.label_images[label])
        rivals &= self.everything.class_ids == self.matches.labels.class_ids[label]
        rows = np.flatnonzero(rivals)
        near = pairwise_iou(self.everything.boxes[rows], self.matches.labels.boxes[label][None]) >= TIGHT_IOU
        rivals[rows[~near]] = False
        return rivals


def _keys(images: Integers, detections: Detections) -> list[tuple[float, ...]]:
    table = np.column_stack([images, detections.class_ids, detections.confidences, detections.boxes])
    return [tuple(row) for row in table.tolist()]


def _ap50(
    detections: Detections,
    detection_images: Integers,
    labels: Detections,
    label_images: Integers,
    images: int,
    classes: int,
) -> Floats:
    """(C,) COCO's AP at IoU 0.5; NaN where a class has no labels."""
    matches = match(
        _by_board(detections, detection_images, images),
        _by_board(labels, label_images, images),
        TIGHT_IOU,
        max_per_class=COCO_MAX_DETECTIONS,
    )
    ap: Floats = coco_ap_of(matches, classes, np.ones((1, images), dtype=np.int64))[0, :, 0]
    return ap


def _by_board(rows: Detections, images: npt.NDArray[np.int64], boards: int) -> list[Detections]:
    ends = np.searchsorted(images, np.arange(boards + 1))
    return [rows[start:end] for start, end in pairwise(ends)]
