from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.detections import Detections, box_iou
from copperline.evaluation.error_kinds import FOUND, NEAR_IOU, STAGES, ErrorKind, FoundError, sort_errors
from copperline.evaluation.evaluate import confusion_counts
from copperline.evaluation.matching import MATCHING_IOU, StagedMatches, match, match_in_stages

CLASSES = 3


def sort(called: list[Detections], labels: list[Detections]) -> tuple[StagedMatches, list[FoundError]]:
    matches = match_in_stages(called, labels, STAGES)
    return matches, sort_errors(matches)


def of(box: list[float], class_id: int = 0, confidence: float | None = None) -> Detections:
    return Detections.of([box], [class_id], None if confidence is None else [confidence])


@st.composite
def some_boxes(draw: st.DrawFn, confidences: bool) -> Detections:
    """A few boxes on a small board, so that most of them overlap."""
    boxes = draw(st.lists(st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 30)] * 2), max_size=6))
    ids = draw(st.lists(st.integers(0, CLASSES - 1), min_size=len(boxes), max_size=len(boxes)))
    sure = draw(st.lists(st.integers(1, 9), min_size=len(boxes), max_size=len(boxes)))
    corners = [(x, y, x + w, y + h) for x, y, w, h in boxes]
    return Detections.of(corners, ids, [s / 10 for s in sure] if confidences else None)


boards = st.lists(st.tuples(some_boxes(confidences=True), some_boxes(confidences=False)), max_size=3)


@given(boards)
@settings(deadline=None, max_examples=200)
def test_every_detection_and_label_is_right_or_in_one_kind(boards: list[tuple[Detections, Detections]]) -> None:
    called, labels = [b[0] for b in boards], [b[1] for b in boards]
    matches, errors = sort(called, labels)
    n = Counter(error.kind for error in errors)
    found = int(match(called, labels).correct.sum())
    all_labels, all_called = sum(map(len, labels)), sum(map(len, called))
    lost = n[ErrorKind.MISSED] + n[ErrorKind.WRONG_CLASS] + n[ErrorKind.LOOSE_BOX]
    assert lost == all_labels - found
    assert lost - n[ErrorKind.MISSED] + n[ErrorKind.DUPLICATE] + n[ErrorKind.FALSE_ALARM] == all_called - found
    assert n[ErrorKind.FOUND_LOOSELY] <= found

    detections_in = [error.detection for error in errors if error.detection is not None]
    labels_in = [error.label for error in errors if error.label is not None and error.kind is not ErrorKind.DUPLICATE]
    assert len(detections_in) == len(set(detections_in))
    assert len(labels_in) == len(set(labels_in))
    right = set(np.flatnonzero((matches.stage == FOUND) & (matches.iou >= 0.5)).tolist())
    assert right | set(detections_in) == set(range(all_called))
    assert set(matches.label_found[list(right)].tolist()) | set(labels_in) == set(range(all_labels))

    confused = confusion_counts(called, labels, CLASSES)[:-1, :-1]
    near_enough = [e for e in errors if e.kind is ErrorKind.WRONG_CLASS and e.iou >= MATCHING_IOU]
    assert len(near_enough) == confused.sum() - np.trace(confused)


@given(boards)
@settings(deadline=None, max_examples=100)
def test_each_kind_is_what_it_says(boards: list[tuple[Detections, Detections]]) -> None:
    called, labels = [b[0] for b in boards], [b[1] for b in boards]
    m, errors = sort(called, labels)
    taken = set(m.label_found[m.label_found >= 0].tolist())
    for e in errors:
        alike = None
        if e.label is not None and e.detection is not None:
            assert m.label_images[e.label] == m.detection_images[e.detection]
            iou = box_iou(m.labels[e.label].boxes, m.detections[e.detection].boxes)[0, 0]
            assert abs(iou - e.iou) < 1e-6
            alike = m.labels.class_ids[e.label] == m.detections.class_ids[e.detection]
        match e.kind:
            case ErrorKind.MISSED:
                assert e.detection is None
                assert e.label not in taken
            case ErrorKind.WRONG_CLASS:
                assert alike is not None
                assert not alike
                assert e.iou >= NEAR_IOU
            case ErrorKind.LOOSE_BOX:
                assert alike
                assert NEAR_IOU <= e.iou < MATCHING_IOU
            case ErrorKind.DUPLICATE:
                assert e.label in taken
                assert e.iou >= NEAR_IOU
            case ErrorKind.FALSE_ALARM:
                assert e.label is None
                assert e.iou < NEAR_IOU
            case ErrorKind.FOUND_LOOSELY:
                assert alike
                assert MATCHING_IOU <= e.iou < 0.5


def test_one_of_each_by_hand() -> None:
    label = of([0, 0, 100, 100])
    cases = {
        ErrorKind.MISSED: Detections.empty(),
        ErrorKind.WRONG_CLASS: of([0, 0, 100, 90], 1, 0.9),
        ErrorKind.LOOSE_BOX: of([0, 0, 100, 20], 0, 0.9),
        ErrorKind.FOUND_LOOSELY: of([0, 0, 100, 40], 0, 0.9),
    }
    for kind, called in cases.items():
        (error,) = sort([called], [label])[1]
        assert error.kind is kind
        assert error.label == 0
    (alarm,) = sort([of([0, 0, 9, 9], 0, 0.9)], [Detections.empty()])[1]
    assert (alarm.kind, alarm.label, alarm.iou) == (ErrorKind.FALSE_ALARM, None, 0.0)
    twice = Detections.of([[0, 0, 100, 100], [0, 0, 100, 40]], [0, 2], [0.6, 0.9])
    (second,) = sort([twice], [label])[1]
    # The surer one is of another class: the label belongs to the detection of its own.
    assert (second.kind, second.label, second.detection) == (ErrorKind.DUPLICATE, 0, 0)


def test_a_loose_box_of_another_class_is_a_wrong_class() -> None:
    (error,) = sort([of([0, 0, 100, 20], 1, 0.9)], [of([0, 0, 100, 100])])[1]
    assert (error.kind, error.iou) == (ErrorKind.WRONG_CLASS, 0.2)


def test_a_detection_below_the_nearness_is_a_false_alarm_beside_a_miss() -> None:
    missed, alarm = sort([of([0, 0, 100, 9], 0, 0.9)], [of([0, 0, 100, 100])])[1]
    assert (missed.kind, alarm.kind) == (ErrorKind.MISSED, ErrorKind.FALSE_ALARM)
    assert missed.iou == alarm.iou == 0.09


def test_a_label_of_another_board_is_not_near() -> None:
    label, called = of([0, 0, 10, 10]), of([0, 0, 10, 10], 0, 0.9)
    _, errors = sort([called, Detections.empty()], [Detections.empty(), label])
    assert [e.kind for e in errors] == [ErrorKind.MISSED, ErrorKind.FALSE_ALARM]
    assert [e.iou for e in errors] == [0.0, 0.0]
