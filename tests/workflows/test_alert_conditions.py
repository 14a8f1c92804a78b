"""Which conditions hold is what a plant's real rows say; one board never raises an alert."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from copperline.detections import Detections
from copperline.registry import builtin_model
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB, Call
from copperline.warehouse import BoardTold, InspectionRecord, LineResult, open_warehouse
from copperline.warehouse import write_line_results as write_results
from copperline.warehouse.alerts import AlertKind, Condition
from copperline.workflows.alert_conditions import evaluate

NOW = datetime.fromisoformat("2026-03-05T12:30:00+00:00")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alerting") / "empty.db"
    open_warehouse(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture
def plant(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path)


@pytest.fixture
def engine(plant: Settings, empty: Path) -> Iterator[Engine]:
    shutil.copyfile(empty, plant.workspace / "warehouse.db")
    engine = open_warehouse(plant.warehouse)
    yield engine
    engine.dispose()


def boards_at(
    at: datetime,
    *calls: Call,
    line: str = "L1",
    station: str = "AOI-1",
    model: tuple[str, str] = ("m", "1"),
    **more: Any,
) -> list[LineResult]:
    """Boards at a moment and the microseconds after it."""
    results = []
    for n, call in enumerate(calls):
        moment = at + timedelta(microseconds=n)
        name = f"{line} {station} {moment.isoformat()}"
        found = Detections.of([[0, 0, 8, 8]], [0], [0.9]) if call is Call.FAIL else Detections.empty()
        record = InspectionRecord(
            name, name, moment, station, *model, "{}", "b.png", "ab", None, None, None, call, 9.0, 64, 64, found, **more
        )
        results.append(LineResult(record, BoardTold(line)))
    return results


def write(engine: Engine, at: datetime, *calls: Call, **more: Any) -> None:
    write_results(engine, boards_at(at, *calls, **more), DEEPPCB)


def calls(passed: int, failed: int = 0, withheld: int = 0) -> list[Call]:
    return [Call.PASS] * passed + [Call.FAIL] * failed + [Call.WITHHELD] * withheld


def found(engine: Engine, settings: Settings, kind: AlertKind, now: datetime = NOW) -> list[Condition]:
    evaluation = evaluate(engine, settings, now)
    assert evaluation.evaluated == set(AlertKind)
    return [condition for condition in evaluation.holding if condition.kind is kind]


def test_an_empty_plant_has_none(engine: Engine, plant: Settings) -> None:
    assert evaluate(engine, plant, NOW).holding == ()


def test_a_withheld_rate_is_raised_by_the_lower_end_of_its_interval(engine: Engine, plant: Settings) -> None:
    write(engine, NOW - HOUR, *calls(28, withheld=1))
    # 29 boards are too few, whatever they are.
    assert found(engine, plant, AlertKind.WITHHELD_RATE) == []
    write(engine, NOW - 2 * HOUR, *calls(8, withheld=3))
    # 4 of 40 is 10 %, above 5 %, but may be chance: the interval begins at 4 %.
    assert found(engine, plant, AlertKind.WITHHELD_RATE) == []
    write(engine, NOW - 3 * HOUR, *calls(0, withheld=2))
    (condition,) = found(engine, plant, AlertKind.WITHHELD_RATE)
    assert (condition.subject, condition.key) == ("L1", "withheld_rate: line L1")
    assert (condition.evidence["withheld"], condition.evidence["boards"]) == (6, 42)
    assert condition.evidence["interval"][0] > 0.05
    assert "14.3 % of the boards of the last 8 hours are withheld (6 of 42)" in condition.summary
    # Hours later it is old news.
    assert found(engine, plant, AlertKind.WITHHELD_RATE, NOW + 7 * HOUR) == []


def test_the_plant_is_one_more_subject_where_it_has_several_lines(engine: Engine, plant: Settings) -> None:
    for line in ("L1", "L2"):
        write(engine, NOW - HOUR, *calls(20, withheld=5), line=line)
    assert [c.subject for c in found(engine, plant, AlertKind.WITHHELD_RATE)] == ["plant"]
    write(engine, NOW - 2 * HOUR, *calls(5, withheld=5), line="L2")
    assert [c.subject for c in found(engine, plant, AlertKind.WITHHELD_RATE)] == ["L2", "plant"]


def test_a_line_may_be_called_plant(engine: Engine, plant: Settings) -> None:
    for line in ("plant", ""):
        write(engine, NOW - HOUR, *calls(10, withheld=30), line=line)
    keys = {c.key: c.evidence["boards"] for c in found(engine, plant, AlertKind.WITHHELD_RATE)}
    assert keys == {"withheld_rate: line ": 40, "withheld_rate: line plant": 40, "withheld_rate: plant": 80}


def test_a_station_is_silent_within_a_shift_of_its_last_word(engine: Engine, plant: Settings) -> None:
    write(engine, NOW - 29 * MINUTE, *calls(1), station="AOI-1")
    write(engine, NOW - 31 * MINUTE, *calls(1), station="AOI-2")
    write(engine, NOW - 9 * HOUR, *calls(1), station="AOI-3")
    (condition,) = found(engine, plant, AlertKind.STATION_SILENT)
    assert condition.summary == "Station AOI-2 of line L1 has reported nothing for 31 minutes."
    assert condition.evidence["last_seen_at"] == "2026-03-05T11:59:00+00:00"
    assert found(engine, plant, AlertKind.STATION_SILENT, NOW + 2 * MINUTE)[0].subject == "AOI-1"


def a_week(engine: Engine, failed_of_100: Callable[[int], int], hours: int = 36) -> None:
    """100 boards an hour, in one transaction; the function gives how many fail in the n-th hour before now."""
    results = []
    for n in range(hours, 0, -1):
        failed = failed_of_100(n)
        results += boards_at(NOW - n * HOUR, *calls(100 - failed, failed))
    write_results(engine, results, DEEPPCB)


def test_a_process_in_control_raises_nothing(engine: Engine, plant: Settings) -> None:
    a_week(engine, lambda n: 5 + n % 3)
    assert found(engine, plant, AlertKind.CONTROL_CHART) == []


def test_a_point_beyond_the_limits_names_its_rule(engine: Engine, plant: Settings) -> None:
    a_week(engine, lambda n: 25 if n == 1 else 5 + n % 3)
    (condition,) = found(engine, plant, AlertKind.CONTROL_CHART)
    assert condition.key == "control_chart: line L1: rule 1: above"
    assert condition.evidence["rule_says"] == "1 point more than 3 sigma from the centre line"
    assert condition.evidence["value"] == 0.25
    assert condition.evidence["centre"] == pytest.approx(0.06, abs=0.005)
    assert "Rule 1: 2026-03-05 11:00 is more than 3 sigma above the centre line." in condition.summary
    # Once the points after it are as usual, it holds no more.
    write(engine, NOW, *calls(94, 6))
    assert found(engine, plant, AlertKind.CONTROL_CHART) == []
    assert found(engine, plant, AlertKind.CONTROL_CHART, NOW + 20 * HOUR) == []


def test_a_small_shift_is_found_by_eight_points_on_one_side(engine: Engine, plant: Settings) -> None:
    a_week(engine, lambda n: 8 if n <= 8 else 5 + n % 3)
    rules = {c.evidence["rule"] for c in found(engine, plant, AlertKind.CONTROL_CHART)}
    assert 4 in rules
    assert 1 not in rules
    alone = plant.model_copy(update={"alert_chart_rules": (1,)})
    assert found(engine, alone, AlertKind.CONTROL_CHART) == []


def test_one_board_of_an_hour_with_few_boards_is_no_alarm(engine: Engine, plant: Settings) -> None:
    a_week(engine, lambda n: 1 if n % 5 == 0 else 0)
    assert found(engine, plant, AlertKind.CONTROL_CHART) == []
    write(engine, NOW, *calls(1, 1))  # half of the boards of this hour, so far
    assert found(engine, plant, AlertKind.CONTROL_CHART) == []


def test_a_young_line_has_no_chart_yet(engine: Engine, plant: Settings) -> None:
    a_week(engine, lambda n: 30 if n == 1 else 5, hours=27)
    assert found(engine, plant, AlertKind.CONTROL_CHART) == []
    write(engine, NOW - 28 * HOUR, *calls(95, 5))
    assert len(found(engine, plant, AlertKind.CONTROL_CHART)) >= 1


def test_points_by_shift(engine: Engine, plant: Settings) -> None:
    lot, results = random.Random(3), []
    for n in range(32):
        failed = 40 if n == 0 else lot.randrange(4, 9)
        results += boards_at(NOW - 8 * n * HOUR, *calls(100 - failed, failed))
    write_results(engine, results, DEEPPCB)
    by_shift = plant.model_copy(update={"alert_chart_grain": "shift"})
    assert "control_chart: line L1: rule 1: above" in {c.key for c in found(engine, by_shift, AlertKind.CONTROL_CHART)}
    assert found(engine, plant, AlertKind.CONTROL_CHART) == []


def test_images_unlike_those_that_the_model_was_checked_on(engine: Engine, plant: Settings) -> None:
    shipped = builtin_model("deeppcb")
    model = ("deeppcb", shipped.sha256[:12])
    usual = shipped.card.baseline
    assert usual is not None
    write(engine, NOW - HOUR, *calls(120), model=model, line="L1", brightness=250.0)
    write(engine, NOW - HOUR, *calls(20), model=model, line="L2", brightness=250.0)
    write(engine, NOW - HOUR, *calls(120), model=("other", "1"), line="L3", brightness=250.0)
    conditions = found(engine, plant, AlertKind.DRIFT)
    assert [(c.subject, c.evidence["quantity"]) for c in conditions] == [("L1", "brightness")]
    assert conditions[0].evidence["psi"] > 0.25
    assert "brightness has drifted from the baseline of deeppcb" in conditions[0].summary
    assert len(conditions[0].key) <= 255


def test_long_names_have_keys_of_their_own(engine: Engine, plant: Settings) -> None:
    for line in ("L" * 250 + "1", "L" * 250 + "2"):
        write(engine, NOW - HOUR, *calls(10, withheld=30), line=line)
    keys = [c.key for c in found(engine, plant, AlertKind.WITHHELD_RATE)]
    assert len(set(keys)) == 3
    assert max(map(len, keys)) <= 255


def test_a_registry_that_cannot_be_read_leaves_the_others(
    engine: Engine, plant: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    (plant.workspace / "registry.db").write_text("this is no database, " * 500)
    write(engine, NOW - HOUR, *calls(1), model=(plant.model_name, "1"))
    evaluation = evaluate(engine, plant, NOW)
    assert evaluation.evaluated == set(AlertKind) - {AlertKind.DRIFT}
    assert [c.kind for c in evaluation.holding] == [AlertKind.STATION_SILENT]
    assert "drift is not evaluated" in caplog.text
