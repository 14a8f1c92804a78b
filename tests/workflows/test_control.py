"""Charts of a plant are those of a direct count of its inspections, on days of 23 and 25 hours too."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from copperline.detections import Detections
from copperline.quality import Subgroup, p_chart, u_chart
from copperline.taxonomy import Call
from copperline.warehouse import (
    BoardCounts,
    BoardFilter,
    InspectionRecord,
    boards_by,
    open_warehouse,
    read_transaction,
    write_inspections,
)
from copperline.warehouse.tables import inspections
from copperline.workflows.control import Calendar, Grain, grouped, plant_chart, shift_start

BERLIN, KOLKATA, SAO_PAULO = map(ZoneInfo, ("Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo"))
SHIFTS = (time(6), time(14), time(22))
HOUR = timedelta(hours=1)
SPRING, AUTUMN = datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 10, 23, tzinfo=UTC)


def each_hour(begin: datetime, hours: int) -> dict[datetime, BoardCounts]:
    return {begin + n * HOUR: BoardCounts(boards=1) for n in range(hours)}


def sizes(found: dict[datetime, BoardCounts]) -> dict[str, int]:
    return {f"{start:%m-%d %H:%M}": counts.boards for start, counts in found.items()}


def test_days_where_clocks_change() -> None:
    calendar = Calendar(BERLIN, SHIFTS)
    spring = sizes(grouped(each_hour(SPRING, 96), Grain.DAY, calendar))
    assert spring == {"03-27 00:00": 23, "03-28 00:00": 24, "03-29 00:00": 23, "03-30 00:00": 24, "03-31 00:00": 2}
    autumn = sizes(grouped(each_hour(AUTUMN, 96), Grain.DAY, calendar))
    assert autumn == {"10-23 00:00": 22, "10-24 00:00": 24, "10-25 00:00": 25, "10-26 00:00": 24, "10-27 00:00": 1}


def test_shifts_where_clocks_change() -> None:
    calendar = Calendar(BERLIN, SHIFTS)
    assert sizes(grouped(each_hour(SPRING, 72), Grain.SHIFT, calendar))["03-28 22:00"] == 7
    assert sizes(grouped(each_hour(AUTUMN, 72), Grain.SHIFT, calendar))["10-24 22:00"] == 9
    # A shift that begins in the hour that does not exist begins as if clocks had not been put on yet.
    odd = grouped(each_hour(SPRING, 72), Grain.SHIFT, Calendar(BERLIN, (time(2, 30), time(14, 30))))
    assert next(start.astimezone(UTC) for start in odd if start.day == 29) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_the_hour_that_comes_twice_is_two_points() -> None:
    found = grouped(each_hour(datetime(2026, 10, 24, 23, tzinfo=UTC), 4), Grain.HOUR, Calendar(BERLIN, SHIFTS))
    assert [start.isoformat() for start in found] == [
        "2026-10-25T01:00:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


def test_a_day_without_a_midnight() -> None:
    """Where clocks were put on at 00:00, the day began at 01:00: one day, of 23 hours."""
    begin = datetime(2018, 11, 3, 3, tzinfo=UTC)
    found = grouped(each_hour(begin, 47), Grain.DAY, Calendar(SAO_PAULO, SHIFTS))
    assert [counts.boards for counts in found.values()] == [24, 23]


def test_where_hours_begin_at_half_past() -> None:
    """Counts are kept by the UTC hour, so an hour belongs where it begins: there from 23:30 on."""
    calendar = Calendar(KOLKATA, (time(6), time(18)))
    begin = datetime(2026, 3, 1, 18, tzinfo=UTC)  # 23:30
    days = grouped(each_hour(begin, 25), Grain.DAY, calendar)
    assert sizes(days) == {"03-01 00:00": 1, "03-02 00:00": 24}
    assert {start.utcoffset() for start in days} == {timedelta(hours=5, minutes=30)}
    assert list(sizes(grouped(each_hour(begin, 2), Grain.HOUR, calendar))) == ["03-01 23:30", "03-02 00:30"]
    shifts = sizes(grouped(each_hour(begin, 8), Grain.SHIFT, calendar))
    assert shifts == {"03-01 18:00": 7, "03-02 06:00": 1}


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe"]


@settings(max_examples=60, deadline=None)
@given(
    hours=st.lists(st.integers(0, 24 * 400), min_size=1, max_size=60),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    grain=st.sampled_from(Grain),
    shifts=st.lists(st.times(timezones=st.none()), min_size=1, max_size=4, unique=True).map(sorted).map(tuple),
)
def test_every_hour_is_in_the_part_that_it_begins_in(
    hours: list[int], zone: ZoneInfo, grain: Grain, shifts: tuple[time, ...]
) -> None:
    """In order, nothing lost; and no other start of a shift lies between an hour and the start of its shift."""
    by_hour = {SPRING + n * HOUR: BoardCounts(boards=n + 1) for n in sorted(set(hours))}
    calendar = Calendar(zone, shifts)
    found = grouped(by_hour, grain, calendar)
    assert sum(found.values(), BoardCounts()) == sum(by_hour.values(), BoardCounts())
    starts = list(found)
    assert all(a.timestamp() < b.timestamp() for a, b in itertools.pairwise(starts))
    for hour in by_hour:
        start = calendar.start_of(hour, grain)
        assert start.timestamp() <= hour.timestamp()
        assert start.timestamp() in {s.timestamp() for s in starts}
        local = hour.astimezone(zone)
        if grain is Grain.DAY:
            assert start.date() == local.date()
        if grain is Grain.SHIFT:
            assert start == shift_start(hour, zone, shifts)
            near = [local.date() + timedelta(days=n) for n in (-2, -1, 0, 1)]
            all_starts = [datetime.combine(day, shift, zone).timestamp() for day in near for shift in shifts]
            assert start.timestamp() == max(s for s in all_starts if s <= hour.timestamp())


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """600 boards in three weeks around the end of summer time; every tenth was inspected again and passed."""
    folder: Path = tmp_path_factory.mktemp("control")
    engine = open_warehouse(f"sqlite:///{folder / 'w.db'}")
    lot = np.random.default_rng(3)
    records = []
    for number, minute in enumerate(sorted(lot.integers(0, 21 * 24 * 60, 600).tolist())):
        at = datetime(2026, 10, 12, tzinfo=UTC) + timedelta(minutes=minute)
        size = int(lot.poisson(0.6))
        call = Call.FAIL if size else Call(lot.choice([Call.PASS, Call.PASS, Call.PASS, Call.WITHHELD]))
        records.append(_inspection(f"B{number}", at, size, call, "first"))
        if number % 10 == 0:
            records.append(_inspection(f"B{number}", at + 30 * HOUR, 0, Call.PASS, "again"))
    write_inspections(engine, records, boards_per_transaction=len(records))
    yield engine
    engine.dispose()


def _inspection(board_id: str, at: datetime, size: int, call: Call, turn: str) -> InspectionRecord:
    boxes = Detections.of([[0, 0, 8, 8]] * size, [0] * size, [0.9] * size)
    words = ("AOI-1", "pcb-detector", "1", "{}", "b.png", "ab", None, None, None)
    return InspectionRecord(f"{board_id} {turn}", board_id, at, *words, call, 10.0, 64, 64, boxes)


@pytest.mark.parametrize("zone", [UTC, BERLIN, ZoneInfo("America/New_York")])
@pytest.mark.parametrize("kind", ["p", "u"])
@pytest.mark.parametrize("grain", [Grain.DAY, Grain.SHIFT, Grain.HOUR])
def test_charts_from_hourly_counts_are_those_of_the_inspections(
    plant: Engine, zone: ZoneInfo, kind: Literal["p", "u"], grain: Grain
) -> None:
    """Counted without the hours: each board's first inspection, by its own minute."""
    with read_transaction(plant) as connection:
        rows = connection.execute(select(inspections).order_by(inspections.c.inspected_at)).mappings().all()
        by_hour = {hour: counts for (hour,), counts in boards_by(connection, BoardFilter(), ("hour",)).items()}
    boards: Counter[float] = Counter()
    bad: Counter[float] = Counter()
    seen: set[str] = set()
    for row in rows:
        if row["board_id"] in seen:
            continue
        seen.add(row["board_id"])
        local = row["inspected_at"].astimezone(zone)
        if grain is Grain.DAY:
            key = datetime.combine(local.date(), time(), zone).timestamp()
        elif grain is Grain.SHIFT:
            key = shift_start(row["inspected_at"], zone, SHIFTS).timestamp()
        else:
            key = row["inspected_at"].timestamp() // 3600 * 3600
        boards[key] += 1
        bad[key] += row["call"] == "FAIL" if kind == "p" else row["defect_count"]
    assert sum(boards.values()) == 600
    made = plant_chart(by_hour, kind, grain, Calendar(zone, SHIFTS))
    assert [start.timestamp() for start in made.starts] == sorted(boards)
    points = made.chart.points
    assert [(p.numerator, p.n) for p in points] == [(bad[key], boards[key]) for key in sorted(boards)]
    centre = sum(bad.values()) / 600
    assert made.chart.centre == pytest.approx(centre)
    plain = plant_chart(by_hour, kind, grain, Calendar(zone, SHIFTS), overdispersion=False)
    for point in plain.chart.points:
        sigma = ((centre * (1 - centre) if kind == "p" else centre) / point.n) ** 0.5
        assert point.upper == pytest.approx(min(1, centre + 3 * sigma) if kind == "p" else centre + 3 * sigma)
        assert point.lower == pytest.approx(max(0, centre - 3 * sigma))
    form = "%Y-%m-%d" if grain is Grain.DAY else "%Y-%m-%d %H:%M"
    labels = [datetime.fromtimestamp(key, zone).strftime(form) for key in sorted(boards)]
    assert [point.label for point in points] == labels


def test_the_baseline_is_the_first_points(plant: Engine) -> None:
    with read_transaction(plant) as connection:
        by_hour = {hour: counts for (hour,), counts in boards_by(connection, BoardFilter(), ("hour",)).items()}
    calendar = Calendar(BERLIN, SHIFTS)
    days = list(grouped(by_hour, Grain.DAY, calendar).values())
    made = plant_chart(by_hour, "p", Grain.DAY, calendar, baseline=7)
    assert made.chart.baseline == tuple(range(7))
    assert made.chart.centre == sum(c.first_failed for c in days[:7]) / sum(c.boards for c in days[:7])
    assert len(made.chart.points) == len(days)
    assert plant_chart(by_hour, "p", Grain.DAY, calendar, baseline=999).chart.baseline == tuple(range(len(days)))


def test_wider_limits_where_the_points_call_for_them() -> None:
    """Days that are good and bad in turn vary more than chance: Laney's limits, unless others are asked for."""
    by_hour = {SPRING + n * 24 * HOUR: BoardCounts(boards=200, first_failed=10 + 60 * (n % 2)) for n in range(30)}
    calendar = Calendar(UTC, SHIFTS)
    subgroups = [Subgroup(f"{h:%Y-%m-%d}", c.first_failed, c.boards) for h, c in by_hour.items()]
    made = plant_chart(by_hour, "p", Grain.DAY, calendar)
    assert made.dispersion.needed
    assert made.chart == p_chart(subgroups, overdispersion=True)
    assert plant_chart(by_hour, "p", Grain.DAY, calendar, overdispersion=False).chart == p_chart(subgroups)
    steady = {hour: BoardCounts(boards=200, first_defects=40) for hour in by_hour}
    quiet = plant_chart(steady, "u", Grain.DAY, calendar)
    assert not quiet.dispersion.needed
    assert quiet.chart == u_chart([Subgroup(f"{h:%Y-%m-%d}", 40, 200) for h in by_hour])


def test_no_boards_no_chart() -> None:
    made = plant_chart({}, "p", Grain.DAY, Calendar(BERLIN, SHIFTS))
    assert (made.starts, made.chart.points, made.chart.centre) == ((), (), None)
