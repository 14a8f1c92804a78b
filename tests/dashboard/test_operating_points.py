from __future__ import annotations

import pytest

from copperline.dashboard.operating_points import operating_point


@pytest.mark.parametrize("text", ["", "0.5", "[1]", "null", "not JSON", '{"thresholds": [0.5]}', "{}"])
def test_what_cannot_be_understood_is_not_measured(text: str) -> None:
    point = operating_point(text)
    assert point.criterion.startswith("not measured")
    assert point.thresholds == {}


def test_thresholds_that_are_numbers_are_kept() -> None:
    point = operating_point('{"criterion": "recall", "thresholds": {"open": 1, "short": "high", "spur": 0.25}}')
    assert (point.criterion, point.thresholds) == ("recall", {"open": 1.0, "spur": 0.25})
