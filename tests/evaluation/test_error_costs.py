from __future__ import annotations

import pytest

from copperline.detections import Detections
from copperline.evaluation.average_precision import coco_ap
from copperline.evaluation.error_costs import map50_gains
from copperline.evaluation.error_kinds import STAGES, ErrorKind, sort_errors
from copperline.evaluation.matching import match_in_stages


def gains(detections: list[Detections], labels: list[Detections], classes: int = 1) -> dict[ErrorKind, float | None]:
    matches = match_in_stages([d.called(0.5) for d in detections], labels, STAGES)
    return map50_gains(detections, matches, sort_errors(matches), classes)


def boxes(*corners: float) -> list[list[float]]:
    return [[c, 0, c + 20, 20] for c in corners]


LABELS = [Detections.of(boxes(0, 100), [0, 0])]


def only(kind: ErrorKind, gain: float) -> dict[ErrorKind, object]:
    return {k: pytest.approx(gain if k is kind else 0.0, abs=1e-9) for k in ErrorKind}


def test_a_perfect_model_has_nothing_to_gain() -> None:
    found = [Detections.of(boxes(0, 100), [0, 0], [0.9, 0.8])]
    assert gains(found, LABELS) == only(ErrorKind.MISSED, 0.0)


def test_a_missed_label() -> None:
    # One of two found: precision 1 up to recall 0.5, 51 of COCO's 101 recalls.
    found = [Detections.of(boxes(0), [0], [0.9])]
    assert gains(found, LABELS) == only(ErrorKind.MISSED, 50 / 101)


def test_the_detection_below_the_threshold_goes_with_the_missed_label() -> None:
    # It finds its label in mAP50, after a false one. Left behind, it would be a false one itself.
    found = [Detections.of(boxes(0, 300, 100), [0, 0, 0], [0.9, 0.4, 0.3])]
    assert coco_ap(found, LABELS, 1)[0, 0] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert gains(found, LABELS) == only(ErrorKind.MISSED, 1 - (51 + 50 * 2 / 3) / 101)


def test_a_class_without_a_label_left_is_found_perfectly() -> None:
    labels = [Detections.of(boxes(0, 100), [0, 1])]
    found = [Detections.of(boxes(0), [0], [0.9])]
    assert gains(found, labels, 2) == only(ErrorKind.MISSED, 0.5)


def test_a_false_alarm_and_a_duplicate() -> None:
    false = [Detections.of(boxes(0, 300, 100), [0, 0, 0], [0.9, 0.8, 0.7])]
    loss = 1 - (51 + 50 * 2 / 3) / 101
    assert gains(false, LABELS) == only(ErrorKind.FALSE_ALARM, loss)
    second = [Detections.of([*boxes(0, 100), [0, 0, 20, 9]], [0, 0, 0], [0.9, 0.7, 0.8])]
    assert gains(second, LABELS) == only(ErrorKind.DUPLICATE, loss)


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ([100, 0, 120, 5], ErrorKind.LOOSE_BOX),
        ([100, 0, 120, 8], ErrorKind.FOUND_LOOSELY),
    ],
)
def test_a_box_that_is_not_tight(box: list[float], kind: ErrorKind) -> None:
    found = [Detections.of([*boxes(0), box], [0, 0], [0.9, 0.8])]
    assert gains(found, LABELS) == only(kind, 50 / 101)


def test_a_wrong_class_keeps_its_confidence_and_has_no_rival() -> None:
    labels = [Detections.of(boxes(0, 100, 200), [0, 0, 1])]
    # The label at 100 is called class 1, surer than the right one at 200; its own class is there below the threshold.
    found = [Detections.of(boxes(0, 100, 100, 200), [0, 1, 0, 1], [0.9, 0.8, 0.1, 0.7])]
    assert coco_ap(found, labels, 2)[:, 0].tolist() == pytest.approx([1.0, 0.5])
    assert gains(found, labels, 2) == only(ErrorKind.WRONG_CLASS, 0.25)


def test_without_labels_nothing_is_measured() -> None:
    found = [Detections.of(boxes(0), [0], [0.9])]
    assert set(gains(found, [Detections.empty()]).values()) == {None}


def test_boards_are_kept_apart() -> None:
    found = [Detections.of(boxes(0), [0], [0.6]), Detections.of(boxes(50, 100), [0, 0], [0.9, 0.55])]
    labels = [Detections.of(boxes(0), [0]), Detections.of(boxes(100), [0])]
    assert coco_ap(found, labels, 1)[0, 0] == pytest.approx(2 / 3)
    assert gains(found, labels) == only(ErrorKind.FALSE_ALARM, 1 / 3)


def test_what_else_was_seen_of_a_mended_label_does_not_stand_in_the_way() -> None:
    labels = [Detections.of(boxes(0, 100, 200), [0, 0, 0]), Detections.of(boxes(0), [1])]
    found = [
        Detections.of(boxes(0, 100, 100, 200), [0, 1, 0, 0], [0.9, 0.6, 0.3, 0.2]),
        Detections.of(boxes(0), [1], [0.7]),
    ]
    # The label at 100 was found at 0.3; named rightly at 0.6, it leaves class 0 perfect, as it was, and class 1 too.
    assert coco_ap(found, labels, 2)[:, 0].tolist() == [1.0, 1.0]
    assert gains(found, labels, 2)[ErrorKind.WRONG_CLASS] == pytest.approx(0.0)


def test_a_called_detection_is_no_rival() -> None:
    # One detection lies on two labels; the missed one must not take it along.
    labels = [Detections.of([[0, 0, 20, 20], [0, 4, 20, 24]], [0, 0])]
    assert gains([Detections.of([[0, 0, 20, 20]], [0], [0.9])], labels) == only(ErrorKind.MISSED, 50 / 101)
