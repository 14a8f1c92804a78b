from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from copperline.data import BoardPair, open_dataset
from copperline.data.synthetic import write_synthetic_dataset
from copperline.inspection import Detector, inspect_image
from copperline.monitoring import BRIGHTNESS, CONFIDENCE, CONTRAST, QUANTITIES, REGISTRATION
from copperline.registry import Baseline, builtin_model
from copperline.settings import Settings
from copperline.taxonomy import Call
from copperline.workflows.baselining import NOT_SEEN, measure_baseline

Pairs = tuple[BoardPair, ...]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    folder = tmp_path_factory.mktemp("data") / "boards"
    write_synthetic_dataset(folder, train=4, test=1, size=320, processes=1)
    dataset, _ = open_dataset(folder)
    return tuple(pair for pair in dataset if pair.split != "test")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    settings = Settings(workspace=tmp_path_factory.mktemp("workspace"), threads=1)
    return Detector.load("builtin:deeppcb", settings=settings)


def measured(detector: Detector, *pairs: BoardPair, remark: str = NOT_SEEN, kind: str = "boards") -> Baseline:
    baseline = measure_baseline(detector, pairs, remark, kind=kind)
    assert baseline is not None
    return baseline


def test_it_counts_what_inspections_report(detector: Detector, pairs: Pairs) -> None:
    baseline = measured(detector, *pairs)
    found = [inspect_image(detector, pair.test_path, pair.reference_path).verdict for pair in pairs]
    assert baseline.boards == len(pairs) == 4
    assert sum(len(verdict.detections) for verdict in found) == baseline.detections_per_board * 4 > 0
    assert baseline.calls == {call: sum(verdict.call is call for verdict in found) for call in Call}
    assert baseline.counts(BRIGHTNESS) == BRIGHTNESS.counts([verdict.brightness for verdict in found])
    assert baseline.counts(CONTRAST) == CONTRAST.counts([verdict.contrast for verdict in found])
    scores = [verdict.registration_score for verdict in found if verdict.registration_score is not None]
    assert baseline.counts(REGISTRATION) == REGISTRATION.counts(scores)
    shown = [d for verdict in found for d in verdict.detections.to_dicts(detector.taxonomy)]
    by_class = baseline.counts_by_class(CONFIDENCE)
    assert by_class is not None
    assert tuple(by_class) == detector.taxonomy.names
    for name, counts in by_class.items():
        assert counts == CONFIDENCE.counts([d["confidence"] for d in shown if d["class"] == name])


def test_the_operating_point_decides_what_counts(detector: Detector, pairs: Pairs) -> None:
    strict = measured(detector.with_operating_point(1.0), *pairs)
    assert strict.detections_per_board == 0
    assert strict.calls == {Call.PASS: 4, Call.FAIL: 0, Call.WITHHELD: 0}
    assert strict.counts(BRIGHTNESS) == measured(detector, *pairs).counts(BRIGHTNESS)


def test_boards_without_a_reference_have_no_registration(detector: Detector, pairs: Pairs) -> None:
    baseline = measured(detector, *(dataclasses.replace(pair, reference_path=None) for pair in pairs))
    assert baseline.counts(REGISTRATION) == (0,) * 20
    assert baseline.boards == 4


def test_a_wrong_reference_counts_as_withheld(detector: Detector, pairs: Pairs) -> None:
    baseline = measured(detector, dataclasses.replace(pairs[0], reference_path=pairs[1].reference_path))
    assert baseline.calls == {Call.PASS: 0, Call.FAIL: 0, Call.WITHHELD: 1}
    assert baseline.detections_per_board == 0
    assert sum(baseline.counts(REGISTRATION) or ()) == 1


def test_boards_that_cannot_be_inspected_are_said(
    detector: Detector, pairs: Pairs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = dataclasses.replace(pairs[0], test_path=tmp_path / "gone.png")
    baseline = measured(detector, *pairs, gone, gone)
    assert baseline.boards == 4
    assert baseline.measured_on.endswith("; 2 more could not be inspected")
    assert caplog.messages == []
    assert measure_baseline(detector, [gone], NOT_SEEN) is None
    (message,) = caplog.messages
    assert message.startswith("note: no baseline for drift: none of 1 boards of validation could be inspected (first: ")
    assert "gone.png" in message
    assert measure_baseline(detector, [], NOT_SEEN) is None


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (["groupA"], "1 board, group A, tried"),
        (["b", "groupa", "b"], "3 boards, groups a and b, tried"),
        (["a", "b", "c", "group"], "4 boards, groups a, b, c and group, tried"),
        (["a", "b", "c", "d", "e"], "5 boards, 5 groups, tried"),
    ],
)
def test_groups_are_named_while_they_are_few(detector: Detector, pairs: Pairs, groups: list[str], words: str) -> None:
    named = [dataclasses.replace(pairs[0], board_group=group) for group in groups]
    assert measured(detector, *named, remark="tried").measured_on == words


@pytest.mark.parametrize("name", ["deeppcb", "golden-only"])
def test_the_shipped_baselines_say_what_they_are_of(name: str) -> None:
    card = builtin_model(name).card
    baseline = card.baseline
    assert baseline is not None
    assert [quantity.name for quantity in QUANTITIES] == list(baseline.histograms)
    by_class = baseline.counts_by_class(CONFIDENCE)
    assert by_class is not None
    assert tuple(by_class) == card.classes
    assert baseline.detections_per_board == pytest.approx(sum(map(sum, by_class.values())) / baseline.boards)
    # Nothing that passed the operating point lies below the lowest threshold.
    for class_name, counts in by_class.items():
        below = int(card.operating_point.thresholds[class_name] / CONFIDENCE.width)
        assert sum(counts[:below]) == 0
    refitted = card.splits["val"].boards == 0
    assert ("trained on too" in baseline.measured_on) == refitted
    assert baseline.measured_on.startswith("150 validation boards of DeepPCB's trainval list, groups 44000 and 77000, ")


@pytest.mark.parametrize("name", ["deeppcb", "golden-only"])
def test_the_shipped_baselines_can_be_measured_again(name: str) -> None:
    data = os.environ.get("COPPERLINE_DEEPPCB")
    if not data:
        pytest.skip("COPPERLINE_DEEPPCB does not name DeepPCB")
    shipped = builtin_model(name)
    dataset, _ = open_dataset(data, splits=("val",))
    again = measured(Detector.load(shipped.path, threads=1), *dataset.split("val"))
    assert shipped.card.baseline is not None
    assert again.model_copy(update={"measured_on": shipped.card.baseline.measured_on}) == shipped.card.baseline
