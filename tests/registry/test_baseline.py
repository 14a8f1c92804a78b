from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from copperline.errors import ModelError
from copperline.monitoring import BINS, BRIGHTNESS, CONFIDENCE, CONTRAST, REGISTRATION
from copperline.registry import Baseline, ModelCard
from copperline.taxonomy import Call


def content(**changes: Any) -> dict[str, Any]:
    """Three boards, as a card's JSON has them."""
    return {
        "boards": 3,
        "measured_on": "3 boards of validation, group A, which the model had not seen",
        "histograms": {
            "confidence": {"open": CONFIDENCE.counts([0.81, 0.97]), "short": CONFIDENCE.counts([])},
            "registration_score": REGISTRATION.counts([0.9, 0.93]),
            "brightness": BRIGHTNESS.counts([100, 110, 120]),
        },
        "detections_per_board": 2 / 3,
        "calls": {"PASS": 1, "FAIL": 1, "WITHHELD": 1},
        **changes,
    }


def histograms(**changes: Any) -> dict[str, Any]:
    return content(histograms={**content()["histograms"], **changes})


def test_it_travels_in_the_card(card: ModelCard, tmp_path: Path) -> None:
    with_baseline = card.model_copy(update={"baseline": Baseline.model_validate(content())})
    with_baseline.write(tmp_path)
    read = ModelCard.read(tmp_path)
    assert read == with_baseline
    assert read.baseline is not None
    assert read.baseline.calls == {Call.PASS: 1, Call.FAIL: 1, Call.WITHHELD: 1}
    assert json.loads((tmp_path / "card.json").read_text())["baseline"] == json.loads(json.dumps(content()))


def test_cards_from_before_have_none(card: ModelCard, tmp_path: Path) -> None:
    old = card.model_dump(mode="json")
    del old["baseline"]
    (tmp_path / "card.json").write_text(json.dumps(old))
    assert ModelCard.read(tmp_path).baseline is None


def test_counts_are_found_by_quantity() -> None:
    baseline = Baseline.model_validate(content())
    assert baseline.counts(BRIGHTNESS) == BRIGHTNESS.counts([100, 110, 120])
    assert baseline.counts_by_class(CONFIDENCE) == content()["histograms"]["confidence"]
    for found in (baseline.counts(CONTRAST), baseline.counts(CONFIDENCE), baseline.counts_by_class(BRIGHTNESS)):
        assert found is None
    assert [(quantity.name, name) for quantity, name, _ in baseline.named()] == [
        ("confidence", "open"),
        ("confidence", "short"),
        ("registration_score", None),
        ("brightness", None),
    ]


def test_the_page_shows_it(card: ModelCard) -> None:
    lines = card.model_copy(update={"baseline": Baseline.model_validate(content())}).to_markdown().splitlines()
    for line in (
        "## Baseline for drift",
        "Measured on 3 boards of validation, group A, which the model had not seen.",
        "Calls: 1 PASS, 1 FAIL, 1 WITHHELD. Detections per board: 0.67.",
        "| confidence, open | 2 | 0.8 - 1 |",
        "| confidence, short | 0 | not measured |",
        "| brightness | 3 | 89.6 - 128 |",
    ):
        assert line in lines
    assert "Not measured: whether its inspections drift cannot be told." in card.to_markdown()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (histograms(brightness=[1, 2]), "brightness: expected 20 counts, found 2"),
        (histograms(confidence={"open": [0] * 21}), "confidence of open: expected 20 counts, found 21"),
        (histograms(brightness=[-1] + [0] * 19), "brightness: expected whole counts from 0, found -1 in bin 0"),
        (histograms(brightness=[0] * 19 + [0.5]), r"found 0\.5 in bin 19"),
        (histograms(brightness=[True] + [0] * 19), "found True in bin 0"),
        (histograms(brightness={"open": [0] * BINS}), "brightness: expected 20 counts, found an object"),
        (histograms(confidence=[0] * BINS), "confidence: expected counts for each class, found a list"),
        (histograms(hue=[0] * BINS), "quantities confidence, registration_score, brightness, contrast, found 'hue'"),
        (histograms(brightness=[4] + [0] * 19), "brightness: expected at most 3 boards, found 4"),
        (content(histograms=[]), "expected an object of quantities, found a list"),
        (content(calls={"PASS": 2}), "expected calls of 3 boards, found 2"),
        (content(calls={"PASS": 4, "FAIL": -1}), "greater than or equal to 0"),
        (content(calls={"MAYBE": 3}), "calls.MAYBE"),
        (content(boards=0, calls={}), "boards"),
        (content(measured_on=""), "measured_on"),
        (content(detections_per_board=float("nan")), "detections_per_board"),
        (content(of="x"), "Extra inputs"),
    ],
)
def test_what_is_wrong_is_said(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        Baseline.model_validate(wrong)
    assert len(caught.value.errors()) == 1


def test_a_damaged_baseline_names_card_and_place(card: ModelCard, tmp_path: Path) -> None:
    damaged = card.model_dump(mode="json") | {"baseline": histograms(contrast=[1])}
    (tmp_path / "card.json").write_text(json.dumps(damaged))
    with pytest.raises(
        ModelError, match=r"card\.json: .*\(baseline\.histograms: .*contrast: expected 20 counts, found 1"
    ):
        ModelCard.read(tmp_path)
