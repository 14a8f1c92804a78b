"""`ErrorAnalysis`: every error of a model at its operating point, with where it is, how bad it is and what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from copperline.data.pairs import BoardPair
from copperline.detections import Detections
from copperline.evaluation.error_costs import map50_gains
from copperline.evaluation.error_kinds import FOUND, STAGES, ErrorKind, FoundError, sort_errors
from copperline.evaluation.matching import MATCHING_IOU, StagedMatches, match_in_stages, pairwise_iou
from copperline.model_info import OperatingPoint
from copperline.taxonomy import Taxonomy

GUESS = 0.05
"""Confidence below which a detection is noise: the choice of an operating point never goes there."""

SIDES = (24, 32, 40, 56)
"""Where the size bins meet: side of a square of the label's area, in pixels. Half of DeepPCB's labels are below 35."""

SIZE_BINS = (f"< {SIDES[0]} px", *(f"{low} - {high} px" for low, high in pairwise(SIDES)), f">= {SIDES[-1]} px")


class LabelRecord(BaseModel):
    """A label: name of its class (`class` in JSON); box x1, y1, x2, y2 in pixels of the test image."""

    model_config = ConfigDict(frozen=True)

    class_name: str = Field(alias="class")
    box: tuple[float, float, float, float]


class DetectionRecord(LabelRecord):
    """A detection: as a label, with its confidence."""

    confidence: float


class ErrorCase(BaseModel):
    """One error.

    Attributes:
        number: 1-based place in its kind, the worst first; the same in pictures, tables and JSON.
        kind: what went wrong.
        board: index of the board in the list that was measured.
        board_id, board_group: of that board.
        label: the label concerned; None for a false alarm. Of a duplicate, the label that another detection has.
        detection: the called detection concerned; None for a missed label.
        iou: of label and detection. Of a missed label its highest IoU with any called detection, of a false alarm that
            with any label.
        side: square root of the label's area, in pixels; of the detection's where there is no label.
        uncalled: for a label that was not found, the highest confidence of a detection of its class there (IoU from
            0.33) that was not called; None if there is none. From `GUESS` on, the model saw the defect and the
            threshold, or a surer detection in that place, hid it.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    kind: ErrorKind
    board: int
    board_id: str
    board_group: str
    label: LabelRecord | None
    detection: DetectionRecord | None
    iou: float
    side: float
    uncalled: float | None

    @property
    def class_name(self) -> str:
        """The label's class; the detection's where there is no label."""
        record = self.label or self.detection
        assert record is not None  # an error is of a label, of a detection or of both
        return record.class_name

    @property
    def blind(self) -> bool:
        """Of a label not found: whether the model had nothing but noise there, so that no threshold finds it."""
        return self.kind.loses_label and (self.uncalled is None or self.uncalled < GUESS)


class ErrorAnalysis(BaseModel):
    """All errors, with what they are to be held against.

    Of N labels F were found, by F of C called detections; then
    missed + wrong class + loose box = N - F, wrong class + loose box + duplicate + false alarm = C - F,
    and found loosely is a part of F.

    Attributes:
        images, labels, found, called: numbers of boards, labels, found labels and called detections.
        labels_by_class, labels_by_size, labels_by_group: numbers of labels; the rows of the tables, in their order.
        map50_gain: how much higher mAP50 would be without the errors of a kind (see `map50_gains`).
        cases: by kind, in the order of `ErrorKind`; within a kind the worst first.
    """

    model_config = ConfigDict(frozen=True)

    images: int
    labels: int
    found: int
    called: int
    labels_by_class: dict[str, int]
    labels_by_size: dict[str, int]
    labels_by_group: dict[str, int]
    map50_gain: dict[ErrorKind, float | None]
    cases: tuple[ErrorCase, ...]

    def of_kind(self, kind: ErrorKind) -> tuple[ErrorCase, ...]:
        return tuple(case for case in self.cases if case.kind == kind)

    def counts(self) -> dict[ErrorKind, int]:
        """Number of cases of each kind, also of those without any."""
        number = Counter(case.kind for case in self.cases)
        return {kind: number[kind] for kind in ErrorKind}

    def by_class(self) -> dict[str, dict[ErrorKind, int]]:
        return self._table(self.labels_by_class, [case.class_name for case in self.cases])

    def by_size(self) -> dict[str, dict[ErrorKind, int]]:
        return self._table(self.labels_by_size, [size_bin(case.side) for case in self.cases])

    def by_group(self) -> dict[str, dict[ErrorKind, int]]:
        return self._table(self.labels_by_group, [case.board_group for case in self.cases])

    def by_board(self) -> dict[str, dict[ErrorKind, int]]:
        """Boards with an error that counts at the operating point, those with the most first."""
        ids = [case.board_id for case in self.cases]
        errors = Counter(case.board_id for case in self.cases if case.kind.is_error)
        counts = self._table(dict.fromkeys(ids, 0), ids)
        return {board: counts[board] for board in sorted(errors, key=lambda b: (-errors[b], b))}

    def _table(self, rows: dict[str, int], row_of_case: Sequence[str]) -> dict[str, dict[ErrorKind, int]]:
        number = Counter(zip(row_of_case, (case.kind for case in self.cases), strict=True))
        return {row: {kind: number[row, kind] for kind in ErrorKind} for row in rows}


def analyse_errors(
    detections: Sequence[Detections],
    pairs: Sequence[BoardPair],
    taxonomy: Taxonomy,
    operating_point: OperatingPoint,
) -> ErrorAnalysis:
    """Sorts each called detection and each label into right or one kind of error.

    Detections find labels in four stages, the most confident first; a later stage has only what the earlier ones left:

    1. IoU from 0.33, same class: **found**. If the IoU is below 0.5, it is on a list of its own, **found loosely**:
       right at the operating point, wrong for mAP50.
    2. IoU from 0.33, another class: **wrong class**, as in the confusion matrix.
    3. IoU from 0.1, same class: **loose box**, too far off even for the operating point.
    4. IoU from 0.1, another class: also **wrong class**; its IoU tells it from those of stage 2.

    Of what is left, a label is **missed**; a detection with an IoU from 0.1 with a label is a **duplicate** (another
    detection has that label), any other a **false alarm**. Wrong class and loose box cost recall and precision at
    once; missed costs recall, duplicate and false alarm cost precision.

    Worst first means: missed, those of which the model saw least, then the largest; wrong class, duplicate and false
    alarm, by falling confidence; loose box and found loosely, by rising IoU.

    Args:
        detections: of each board, from the lowest confidence on: they tell a blind miss from one at the threshold.
        pairs: the same boards, with their labels.
        taxonomy: the classes.
        operating_point: the thresholds in force.

    Raises:
        ValueError: detections and pairs are not of the same number of boards.
        ModelError: the operating point lacks a class.
    """
    limits = operating_point.as_array(taxonomy)
    matches = match_in_stages([d.called(limits) for d in detections], [pair.labels for pair in pairs], STAGES)
    errors = sort_errors(matches)
    labels = matches.labels
    sizes = Counter(size_bin(float(side)) for side in _sides(labels))
    groups = Counter(pairs[image].board_group for image in matches.label_images)
    return ErrorAnalysis(
        images=len(pairs),
        labels=len(labels),
        found=int((matches.stage == FOUND).sum()),
        called=len(matches.detections),
        labels_by_class={c.name: int((labels.class_ids == c.id).sum()) for c in taxonomy},
        labels_by_size={name: sizes[name] for name in SIZE_BINS},
        labels_by_group={group: groups[group] for group in sorted({pair.board_group for pair in pairs})},
        map50_gain=map50_gains(detections, matches, errors, len(taxonomy)),
        cases=_worst_first([_case(error, matches, detections, pairs, taxonomy) for error in errors]),
    )


def size_bin(side: float) -> str:
    """The name of the size bin that a defect of this side, in pixels, is in.

    >>> size_bin(23.9), size_bin(24), size_bin(300)
    ('< 24 px', '24 - 32 px', '>= 56 px')
    """
    return SIZE_BINS[int(np.searchsorted(SIDES, side, side="right"))]


def _case(
    error: FoundError,
    matches: StagedMatches,
    everything: Sequence[Detections],
    pairs: Sequence[BoardPair],
    taxonomy: Taxonomy,
) -> ErrorCase:
    label = None if error.label is None else matches.labels[error.label]
    detection = None if error.detection is None else matches.detections[error.detection]
    board = int(matches.label_images[error.label] if label is not None else matches.detection_images[error.detection])
    subject = label if label is not None else detection
    assert subject is not None  # an error is of a label, of a detection or of both
    uncalled = None
    if label is not None and error.kind.loses_label:
        called = matches.detections[matches.detection_images == board]
        uncalled = _best_uncalled(label, everything[board], called)
    return ErrorCase(
        number=0,
        kind=error.kind,
        board=board,
        board_id=pairs[board].board_id,
        board_group=pairs[board].board_group,
        label=None if label is None else LabelRecord.model_validate(_record(label, taxonomy)),
        detection=None if detection is None else DetectionRecord.model_validate(_record(detection, taxonomy)),
        iou=round(error.iou, 4),
        side=round(float(_sides(subject)[0]), 2),
        uncalled=uncalled,
    )


def _best_uncalled(label: Detections, everything: Detections, called: Detections) -> float | None:
    alike = everything[everything.class_ids == label.class_ids[0]]
    there = alike[pairwise_iou(alike.boxes, label.boxes) >= MATCHING_IOU]
    rivals = called[called.class_ids == label.class_ids[0]]
    was_called = (there.boxes[:, None] == rivals.boxes[None]).all(axis=2).any(axis=1)
    left = there.confidences[~was_called]
    return round(float(left.max()), 4) if len(left) else None


def _sides(boxes: Detections) -> np.ndarray:
    return np.sqrt(boxes.areas().astype(np.float64))


def _record(one: Detections, taxonomy: Taxonomy) -> dict[str, Any]:
    return one.to_dicts(taxonomy)[0]


def _worst_first(cases: Sequence[ErrorCase]) -> tuple[ErrorCase, ...]:
    def badness(case: ErrorCase) -> tuple[float, float]:
        if case.detection is None:
            return case.uncalled or 0.0, -case.side
        if case.kind in (ErrorKind.LOOSE_BOX, ErrorKind.FOUND_LOOSELY):
            return case.iou, -case.detection.confidence
        return -case.detection.confidence, -case.side

    ordered = []
    for kind in ErrorKind:
        of_kind = sorted((case for case in cases if case.kind == kind), key=lambda case: (*badness(case), case.board))
        ordered += [case.model_copy(update={"number": number}) for number, case in enumerate(of_kind, start=1)]
    return tuple(ordered)
