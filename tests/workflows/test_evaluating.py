from __future__ import annotations

from pathlib import Path

import pytest

from copperline.data.pairs import BoardPair
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.evaluation import evaluate
from copperline.model_info import OperatingPoint
from copperline.taxonomy import DEEPPCB
from copperline.workflows.evaluating import MeasuredDetector, require_boards

HALF = OperatingPoint.uniform(DEEPPCB, 0.5)
LABEL, FOUND = Detections.of([[0, 0, 20, 20]], [0]), Detections.of([[0, 0, 20, 20]], [0], [0.9])
NOTHING = Detections.empty()


def measured() -> MeasuredDetector:
    """Board a is missed, b has no reference and so no clean board, c has a false call on its clean board."""
    pairs = tuple(
        BoardPair(name, "g", "val", Path("t.png"), None if name == "b" else Path("r.png"), LABEL, 640, 640)
        for name in "abc"
    )
    detections, clean = [NOTHING, FOUND, FOUND], [NOTHING, FOUND]
    figures = evaluate(detections, [LABEL] * 3, clean, DEEPPCB, HALF, resamples=5)
    named = figures.model_copy(update={"model": "m", "model_version": "3", "seconds": 1.0})
    return MeasuredDetector(named, DEEPPCB, pairs, detections, clean)


def test_figures_without_a_board() -> None:
    everything = measured()
    assert everything.evaluation.recall == pytest.approx(2 / 3)
    without_a = everything.without(["a"])
    assert (without_a.images, without_a.labels, without_a.recall) == (2, 2, 1.0)
    assert (without_a.clean_boards, without_a.false_call_boards) == (1, 1)
    assert (without_a.model, without_a.model_version, without_a.intervals) == ("m", "3", {})
    without_b = everything.without(["b"])
    assert (without_b.clean_boards, without_b.false_call_boards) == (2, 1)
    without_bc = everything.without(["c", "b"])
    assert (without_bc.clean_boards, without_bc.false_call_boards, without_bc.recall) == (1, 0, 0.0)


def test_errors_are_those_of_the_operating_point() -> None:
    everything = measured()
    (case,) = everything.errors().cases
    assert (case.kind, case.board_id) == ("missed", "a")


def test_boards_that_are_not_there_are_named() -> None:
    with pytest.raises(DataError, match=r"found 'd', 'A' to exclude; name boards .* such as a$"):
        measured().without(["a", "d", "A"])


def test_some_board_must_be_left() -> None:
    require_boards(measured().pairs, ["a", "b"])
    with pytest.raises(DataError, match="all 3 excluded"):
        require_boards(measured().pairs, ["a", "b", "c", "c"])
