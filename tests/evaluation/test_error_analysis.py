from __future__ import annotations

import json
from pathlib import Path

import pytest

from copperline.data.pairs import BoardPair
from copperline.detections import Detections
from copperline.evaluation.error_analysis import SIZE_BINS, ErrorAnalysis, ErrorKind, analyse_errors, size_bin
from copperline.evaluation.evaluate import evaluate
from copperline.model_info import OperatingPoint
from copperline.taxonomy import DEEPPCB

HALF = OperatingPoint.uniform(DEEPPCB, 0.5)


def board(board_id: str, labels: Detections, group: str = "g") -> BoardPair:
    return BoardPair(board_id, group, "val", Path("t.png"), None, labels, 640, 640)


def boxes(*corners: float, size: float = 20) -> list[list[float]]:
    return [[c, c, c + size, c + size] for c in corners]


def analyse(detections: list[Detections], pairs: list[BoardPair]) -> ErrorAnalysis:
    return analyse_errors(detections, pairs, DEEPPCB, HALF)


def test_a_small_case_by_hand() -> None:
    pairs = [
        board("a", Detections.of(boxes(0, 100, 200), [0, 0, 1]), "north"),
        board("b", Detections.of(boxes(0, size=60), [5]), "south"),
    ]
    detections = [
        Detections.of(boxes(0, 100, 200, 300), [0, 2, 1, 3], [0.9, 0.8, 0.4, 0.6]),
        Detections.empty(),
    ]
    result = analyse(detections, pairs)
    assert (result.images, result.labels, result.found, result.called) == (2, 4, 1, 3)
    named = {kind: count for kind, count in result.counts().items() if count}
    assert named == {ErrorKind.MISSED: 2, ErrorKind.WRONG_CLASS: 1, ErrorKind.FALSE_ALARM: 1}

    blind, near = result.of_kind(ErrorKind.MISSED)
    assert (blind.board_id, blind.class_name, blind.uncalled, blind.blind, blind.side) == (
        "b",
        "pin-hole",
        None,
        True,
        60,
    )
    assert (near.board_id, near.class_name, near.uncalled, near.blind) == ("a", "short", 0.4, False)
    (confused,) = result.of_kind(ErrorKind.WRONG_CLASS)
    assert confused.label is not None
    assert confused.detection is not None
    assert (confused.label.class_name, confused.detection.class_name) == ("open", "mousebite")
    assert (confused.detection.confidence, confused.iou, confused.label.box) == (0.8, 1.0, (100, 100, 120, 120))
    assert confused.class_name == "open"

    assert result.labels_by_class["open"] == 2
    assert result.by_class()["open"][ErrorKind.WRONG_CLASS] == 1
    assert result.by_class()["spur"][ErrorKind.FALSE_ALARM] == 1
    assert result.labels_by_size == dict.fromkeys(SIZE_BINS, 0) | {"< 24 px": 3, ">= 56 px": 1}
    assert result.by_size()[">= 56 px"][ErrorKind.MISSED] == 1
    assert result.labels_by_group == {"north": 3, "south": 1}
    assert result.by_group()["south"] == dict.fromkeys(ErrorKind, 0) | {ErrorKind.MISSED: 1}
    assert list(result.by_board()) == ["a", "b"]
    assert sum(result.by_board()["a"].values()) == 3


def test_counts_agree_with_the_evaluation(make_boards) -> None:  # type: ignore[no-untyped-def]
    detections, labels = make_boards(7, 60, classes=6)
    pairs = [board(str(i), label, f"g{i % 3}") for i, label in enumerate(labels)]
    result = analyse(detections, pairs)
    figures = evaluate(detections, labels, [], DEEPPCB, HALF, resamples=0)
    n = result.counts()
    assert all(
        n[kind] for kind in (ErrorKind.MISSED, ErrorKind.WRONG_CLASS, ErrorKind.DUPLICATE, ErrorKind.FALSE_ALARM)
    )
    lost = n[ErrorKind.MISSED] + n[ErrorKind.WRONG_CLASS] + n[ErrorKind.LOOSE_BOX]
    false = lost - n[ErrorKind.MISSED] + n[ErrorKind.DUPLICATE] + n[ErrorKind.FALSE_ALARM]
    assert figures.labels == result.labels
    assert figures.recall == pytest.approx(1 - lost / result.labels)
    assert figures.precision == pytest.approx(1 - false / result.called)
    assert figures.false_detections_per_image == pytest.approx(false / 60)
    for table in (result.by_class(), result.by_size(), result.by_group()):
        assert {kind: sum(row[kind] for row in table.values()) for kind in ErrorKind} == n
    assert sum(result.labels_by_size.values()) == sum(result.labels_by_group.values()) == result.labels


def test_the_worst_come_first_and_are_numbered() -> None:
    places = range(0, 600, 100)
    labels = Detections.of([*boxes(*places[:4]), *boxes(400, size=30)], [0] * 5)
    noise = Detections.of(boxes(0, 100, 200), [0, 0, 0], [0.3, 0.02, 0.4])
    alarms = Detections.of(boxes(550, 600), [2, 3], [0.6, 0.9])
    result = analyse([Detections.concatenate([noise, alarms])], [board("a", labels)])
    missed = result.of_kind(ErrorKind.MISSED)
    assert [case.uncalled for case in missed] == [None, None, 0.02, 0.3, 0.4]
    assert [case.side for case in missed[:2]] == [30, 20]
    assert [case.number for case in missed] == [1, 2, 3, 4, 5]
    assert [case.blind for case in missed] == [True, True, True, False, False]
    sure = [case.detection.confidence for case in result.of_kind(ErrorKind.FALSE_ALARM) if case.detection]
    assert sure == [0.9, 0.6]


def test_a_called_detection_is_not_uncalled() -> None:
    # The only open there is called for the label beside it.
    labels = Detections.of([[0, 0, 20, 20], [0, 4, 20, 24]], [0, 0])
    result = analyse([Detections.of([[0, 0, 20, 20]], [0], [0.9])], [board("a", labels)])
    (missed,) = result.of_kind(ErrorKind.MISSED)
    assert missed.uncalled is None
    assert missed.iou == pytest.approx(16 / 24, abs=1e-4)


def test_a_surer_class_hides_the_right_one() -> None:
    detections = [Detections.of(boxes(0, 0), [2, 0], [0.9, 0.8])]
    (wrong,) = analyse(detections, [board("a", Detections.of(boxes(0), [0]))]).cases
    assert (wrong.kind, wrong.uncalled) == (ErrorKind.WRONG_CLASS, 0.8)


def test_json_is_for_people_who_look_for_wrong_labels() -> None:
    result = analyse([Detections.of(boxes(0), [2], [0.9])], [board("a", Detections.of(boxes(0), [0]))])
    (case,) = json.loads(result.model_dump_json(by_alias=True))["cases"]
    assert case == {
        "number": 1, "kind": "wrong_class", "board": 0, "board_id": "a", "board_group": "g",
        "label": {"class": "open", "box": [0, 0, 20, 20]},
        "detection": {"class": "mousebite", "box": [0, 0, 20, 20], "confidence": 0.9},
        "iou": 1.0, "side": 20.0, "uncalled": None,
    }  # fmt: skip
    assert ErrorAnalysis.model_validate_json(result.model_dump_json(by_alias=True)) == result


def test_nothing_is_no_error() -> None:
    result = analyse([], [])
    assert (result.cases, result.labels, result.by_board()) == ((), 0, {})
    with pytest.raises(ValueError, match="the same boards"):
        analyse([Detections.empty()], [])


@pytest.mark.parametrize(("side", "name"), [(0, "< 24 px"), (31.9, "24 - 32 px"), (32, "32 - 40 px"), (56, ">= 56 px")])
def test_size_bins(side: float, name: str) -> None:
    assert size_bin(side) == name
