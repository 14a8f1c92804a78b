"""Alarms and DPMO on the page, against hand-made SQL and the quality functions alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from copperline.quality import Subgroup, p_chart, u_chart

Sql = Callable[..., list[tuple[Any, ...]]]
BY_DAY = """
    SELECT COALESCE(m.factory_line_id, ''), substr(i.inspected_at, 1, 10), COUNT(*), SUM(i.call = 'FAIL'),
        SUM(i.defect_count)
    FROM inspections i LEFT JOIN pcb_metadata m ON m.board_id = i.board_id
    WHERE i.inspected_at = (SELECT MIN(f.inspected_at) FROM inspections f WHERE f.board_id = i.board_id)
    GROUP BY 1, 2 ORDER BY 1, 2
"""


@pytest.mark.parametrize(("kind", "label"), [("p", "p: boards that fail"), ("u", "u: defects per board")])
def test_alarms_are_those_of_the_days_that_sql_counts(visit: Any, served: str, sql: Sql, kind: str, label: str) -> None:
    page = visit(f"{served}/process-control?period=All+time&point=day&limits=never&chart={label.replace(' ', '+')}")
    days: dict[str, list[Subgroup]] = defaultdict(list)
    for line, day, boards, failed, defects in sql(BY_DAY):
        days[line].append(Subgroup(day, failed if kind == "p" else defects, boards))
    draw = p_chart if kind == "p" else u_chart
    charts = {line or "unknown": draw(points, overdispersion=False) for line, points in days.items()}
    alarms = {line: len(chart.alarms) for line, chart in charts.items()}
    said = page.get_by_test_id("stAlert").first.inner_text()
    if sum(alarms.values()):
        expected = f"{sum(alarms.values())} alarms in {sum(map(bool, alarms.values()))} of {len(charts)} charts."
        assert expected in said
    else:
        assert "No alarm" in said
    for line, chart in charts.items():
        drawn = page.evaluate(
            "key => document.querySelector(`.st-key-chart-${key} .js-plotly-plot`)._fullData"
            ".find(trace => trace.name === 'value').customdata",
            line,
        )
        assert list(drawn) == [f"{point.numerator:,} of {point.n:,} boards" for point in chart.points]


def test_dpmo_is_what_sql_counts(visit: Any, served: str, rows_of: Any, sql: Sql) -> None:
    page = visit(f"{served}/process-control?period=All+time&part=DPMO&each=whole+plant")
    expected = {
        product or "unknown": f"{1e6 * defects / opportunities:,.0f}" if opportunities else "not measured"
        for product, defects, opportunities in sql(
            "SELECT m.product_type, SUM(i.defect_count), SUM(m.opportunities) FROM inspections i "
            "LEFT JOIN pcb_metadata m ON m.board_id = i.board_id WHERE NOT EXISTS (SELECT 1 FROM inspections l "
            "WHERE l.board_id = i.board_id AND l.inspected_at > i.inspected_at) GROUP BY 1"
        )
    }
    assert {row[0]: row[1] for row in rows_of(page, "dpmo")} == expected
