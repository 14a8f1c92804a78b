"""What went wrong: each called detection and each label is right or in exactly one kind of error.

The idea of telling errors apart by what would have mended them is that of TIDE (Bolya et al. 2020, "TIDE: A General
Toolbox for Identifying Object Detection Errors", arXiv:2008.08115), as is the IoU of 0.1 from which a box has to do
with a label at all. The kinds here are simpler, each error is in one of them only, and they are stated at the
operating point and its matching IoU, so that their counts add up to the recall and the precision of an `Evaluation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from copperline.evaluation.matching import MATCHING_IOU, Integers, Stage, StagedMatches, pairwise_iou

NEAR_IOU = 0.1
"""From here on a detection has to do with a label (TIDE's background threshold); below it there is no label."""

TIGHT_IOU = 0.5
"""IoU at which mAP50 counts a label as found; the operating point is content with `MATCHING_IOU`."""

FOUND, _WRONG_CLASS, _LOOSE_BOX, _LOOSE_AND_WRONG = range(4)
STAGES = (
    Stage(MATCHING_IOU),
    Stage(MATCHING_IOU, same_class=False),
    Stage(NEAR_IOU),
    Stage(NEAR_IOU, same_class=False),
)
"""How detections find labels, for `match_in_stages`: as found, as wrong class, as loose box, as wrong class."""


class ErrorKind(StrEnum):
    """What went wrong. The first five count against recall or precision, `FOUND_LOOSELY` against mAP50 alone."""

    MISSED = "missed"
    WRONG_CLASS = "wrong_class"
    LOOSE_BOX = "loose_box"
    DUPLICATE = "duplicate"
    FALSE_ALARM = "false_alarm"
    FOUND_LOOSELY = "found_loosely"

    @property
    def words(self) -> str:
        return self.value.replace("_", " ")

    @property
    def loses_label(self) -> bool:
        """Whether it counts against recall."""
        return self in (ErrorKind.MISSED, ErrorKind.WRONG_CLASS, ErrorKind.LOOSE_BOX)

    @property
    def is_error(self) -> bool:
        """Whether it counts at the operating point."""
        return self is not ErrorKind.FOUND_LOOSELY


_KIND_OF_STAGE = {
    FOUND: ErrorKind.FOUND_LOOSELY,
    _WRONG_CLASS: ErrorKind.WRONG_CLASS,
    _LOOSE_BOX: ErrorKind.LOOSE_BOX,
    _LOOSE_AND_WRONG: ErrorKind.WRONG_CLASS,
}


@dataclass(frozen=True)
class FoundError:
    """One error, as indices into a `StagedMatches`.

    Attributes:
        kind: what went wrong.
        label: the label concerned; None for a false alarm. Of a duplicate, the label that another detection has.
        detection: the detection concerned; None for a missed label.
        iou: of the two; where one is None, the highest IoU of the other with any detection or label of the board.
    """

    kind: ErrorKind
    label: int | None
    detection: int | None
    iou: float


def sort_errors(matches: StagedMatches) -> list[FoundError]:
    """Every error in `matches`, which must be of `STAGES`; for the meaning of the kinds see `analyse_errors`."""
    return [*_paired(matches), *_missed(matches), *_surplus(matches)]


def _paired(m: StagedMatches) -> list[FoundError]:
    """Detections that have a label, but not as they should."""
    wrong = (m.stage > FOUND) | ((m.stage == FOUND) & (m.iou < TIGHT_IOU))
    return [
        FoundError(_KIND_OF_STAGE[int(m.stage[d])], int(m.label_found[d]), int(d), float(m.iou[d]))
        for d in np.flatnonzero(wrong)
    ]


def _missed(m: StagedMatches) -> list[FoundError]:
    errors = []
    for label in np.flatnonzero(m.found_by < 0):
        on_board = np.flatnonzero(m.detection_images == m.label_images[label])
        _, iou = _nearest(on_board, pairwise_iou(m.detections.boxes[on_board], m.labels.boxes[label][None]))
        errors.append(FoundError(ErrorKind.MISSED, int(label), None, iou))
    return errors


def _surplus(m: StagedMatches) -> list[FoundError]:
    """Detections without a label of their own. One near a label is a second one: a free label it would have got."""
    errors = []
    for detection in np.flatnonzero(m.label_found < 0):
        on_board = np.flatnonzero(m.label_images == m.detection_images[detection])
        label, iou = _nearest(on_board, pairwise_iou(m.detections.boxes[detection][None], m.labels.boxes[on_board]))
        if iou >= NEAR_IOU:
            errors.append(FoundError(ErrorKind.DUPLICATE, label, int(detection), iou))
        else:
            errors.append(FoundError(ErrorKind.FALSE_ALARM, None, int(detection), iou))
    return errors


def _nearest(candidates: Integers, ious: np.ndarray) -> tuple[int | None, float]:
    if not len(candidates):
        return None, 0.0
    best = int(ious.argmax())
    return int(candidates[best]), float(ious[best])
