from __future__ import annotations

from datetime import UTC, datetime

import pytest

from copperline.dashboard.charts_plant import (
    GREY,
    class_colours,
    confidence_chart,
    pareto_chart,
    rate_grid,
    trend_chart,
)
from copperline.monitoring import BINS
from copperline.quality import class_defect_rate, machine_yield, pareto
from copperline.taxonomy import DEEPPCB


def test_colours_are_the_taxonomys_and_grey_for_others() -> None:
    colours = {c.name: c.colour for c in DEEPPCB}
    assert class_colours(DEEPPCB, ["short", "scratch", "open"]) == [colours["short"], GREY, colours["open"]]


def test_pareto_shows_counts_and_the_cumulative_share() -> None:
    figure = pareto_chart(pareto({"open": 1, "short": 3}), DEEPPCB)
    bars, line = figure.data
    assert (bars.x, bars.y, bars.text) == (("short", "open"), (3, 1), ("3", "1"))
    assert line.y == (75.0, 100.0)
    assert figure.layout.yaxis.dtick == 1  # no half defects
    assert pareto_chart(pareto({"open": 900}), DEEPPCB).layout.yaxis.dtick is None


def test_grid_answers_with_line_class_and_counts() -> None:
    rates = {
        ("L1", "open"): class_defect_rate(1, 4),
        ("L1", "short"): class_defect_rate(0, 4),
        ("L2", "open"): class_defect_rate(0, 0),
        ("L2", "short"): class_defect_rate(2, 4),
    }
    heat, points = rate_grid(["L1", "L2"], ["open", "short"], rates).data
    assert points.text == ("25.0", "0.0", "-", "50.0")
    assert [list(row) for row in points.customdata] == [
        ["L1", "open", "1 of 4"],
        ["L1", "short", "0 of 4"],
        ["L2", "open", "0 of 0"],
        ["L2", "short", "2 of 4"],
    ]
    assert (heat.z, heat.zmax) == ((25.0, 0, 0, 50.0), 50.0)
    assert points.textfont.color[3] != points.textfont.color[0]  # readable on the darkest square


def test_grid_without_a_defect_or_a_line() -> None:
    assert rate_grid(["L"], ["open"], {("L", "open"): class_defect_rate(0, 9)}).data[0].zmax == 1
    assert len(rate_grid([], [], {}).data[1].text) == 0


def test_trend_has_asymmetric_intervals_and_gaps() -> None:
    days = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2)]
    rates = [machine_yield(10, 10), machine_yield(0, 0)]
    line, bars = trend_chart(days, rates, [10, 0], "day").data
    assert line.y == (100.0, None)
    low, high = rates[0].interval or (0, 0)
    assert line.error_y.array[0] == 100 * (high - 1)
    assert line.error_y.arrayminus[0] == 100 * (1 - low)
    assert line.error_y.arrayminus[0] > 20  # ten boards say little
    assert bars.y == (10, 0)


def test_confidences_have_a_threshold_only_where_one_is_known() -> None:
    counts = {"open": [0] * (BINS - 1) + [5], "scratch": [1] * BINS}
    figure = confidence_chart(counts, {"open": 0.4}, DEEPPCB)
    assert [tuple(trace.y) for trace in figure.data] == [tuple(counts["open"]), tuple(counts["scratch"])]
    assert [shape.x0 for shape in figure.layout.shapes] == [0.4]
    assert [note.text for note in figure.layout.annotations] == ["open", "scratch", "0.40"]
    assert sum(figure.data[0].x) / BINS == pytest.approx(0.5)
