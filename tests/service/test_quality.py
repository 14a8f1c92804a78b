"""Every figure with its counts; what is not measured has no value, and says why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from copperline.quality import pareto
from copperline.warehouse import BoardFilter, defects_by, plant_counts, read_transaction
from copperline.workflows.plant_figures import FIGURES, plant_figures

Board = tuple[bytes, bytes]


def test_without_boards_nothing_is_measured(start: Any) -> None:
    with start() as service:
        found = service.client.quality()
        assert [f["key"] for f in found["figures"]] == [*(d.key for d in FIGURES), "false_discovery_rate"]
        assert {f["value"] for f in found["figures"]} == {None}
        assert {f["not_measured"] for f in found["figures"]} == {"no board was inspected"}
        assert (found["boards"], found["pareto"], found["since"]) == (0, [], None)


@pytest.fixture(scope="module")
def inspected(service: Any, boards: list[Board]) -> list[dict[str, Any]]:
    return [
        dict(
            service.client.inspect(
                image, board_id=f"Q{n}", station_id="S", line_id=f"L{n % 2}", reference=reference, simulated=n == 0
            )
        )
        for n, (image, reference) in enumerate(boards)
    ]


def test_the_figures_are_those_of_the_warehouse(service: Any, inspected: list[dict[str, Any]]) -> None:
    found = service.client.quality()
    counts = plant_counts(service.engine)
    assert found["boards"] == counts.boards == len(inspected)
    assert found["simulated_boards"] == 1
    for figure, expected in zip(found["figures"], plant_figures(counts, None), strict=False):
        rate = expected.change.current
        assert (figure["value"], figure["numerator"], figure["denominator"], figure["unit"]) == (
            rate.value,
            rate.numerator,
            rate.denominator,
            rate.unit,
        )
        assert figure["interval"] == (None if rate.interval is None else list(rate.interval))
        assert (figure["value"] is None) == (figure["not_measured"] is not None)
        assert figure["formula"] == expected.definition.formula
    reasons = {f["key"]: f["not_measured"] for f in found["figures"] if f["value"] is None}
    assert reasons["dpmo"] == "no board's product has its opportunities recorded"
    assert "escape" in reasons["escape_rate"]
    with read_transaction(service.engine) as connection:
        by_class = {
            name: c.defects for (name,), c in defects_by(connection, BoardFilter(), ("detected_class",)).items()
        }
    assert [(row["class"], row["count"]) for row in found["pareto"]] == [(r.name, r.count) for r in pareto(by_class)]


def test_periods_are_cut_at_full_hours_and_filters_hold(service: Any, inspected: list[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    found = service.client.quality(since=now, until=now + timedelta(hours=1))
    assert found["since"] == now.replace(minute=0, second=0, microsecond=0).isoformat().replace("+00:00", "Z")
    model = inspected[0]["model"]
    name = f"{model['name']}:{model['version']}"
    assert service.client.quality(lines=["L0"])["boards"] == sum(i["line_id"] == "L0" for i in inspected)
    assert service.client.quality(lines=["L0", "L1"], models=[name])["boards"] == len(inspected)
    assert service.client.quality(products=[""])["boards"] == len(inspected)
    assert service.client.quality(products=["Hub"])["boards"] == 0
    assert service.client.quality(since=now + timedelta(days=1))["boards"] == 0


@pytest.mark.parametrize(
    "query", ["model=pcb", "model=:", "since=2026-01-01", "until=9999-12-31T23:59:59Z", "lines=L1"]
)
def test_a_wrong_question_is_refused(service: Any, query: str) -> None:
    assert httpx.get(f"{service.url}/v1/quality?{query}").status_code == 422
