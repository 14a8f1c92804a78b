from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from copperline.warehouse import full_hour
from copperline.warehouse.portable import hour_of, whole
from copperline.warehouse.tables import UtcDateTime, inspections

MEMORY = create_engine("sqlite://")


@settings(max_examples=100, deadline=None)
@given(st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9998, 1, 1)))
def test_the_hour_in_sql_is_the_full_hour(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    with MEMORY.connect() as connection:
        assert connection.execute(select(hour_of(literal(moment, UtcDateTime())))).scalar() == full_hour(moment)


def test_the_hour_compares_with_times_as_they_are_stored() -> None:
    """As text: so it must be written to the microsecond."""
    column = select(hour_of(literal(datetime(2026, 3, 1, 12, 59, 59, 999999, UTC), UtcDateTime())))
    statement = str(column.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    with closing(sqlite3.connect(":memory:")) as database:
        assert database.execute(statement).fetchone() == ("2026-03-01 12:00:00.000000",)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1e9))
def test_the_whole_part_in_sql_is_that_of_python(number: float) -> None:
    with MEMORY.connect() as connection:
        assert connection.execute(select(whole(literal(number)))).scalar() == int(number)


@pytest.mark.parametrize(
    ("dialect", "hour", "part"),
    [
        (postgresql.dialect(), "date_trunc('hour', inspections.inspected_at)", "floor(inspections.latency_ms)"),
        (
            sqlite.dialect(),
            "(substr(inspections.inspected_at, 1, 13) || ':00:00.000000')",
            "CAST(inspections.latency_ms AS INTEGER)",
        ),
    ],
)
def test_each_database_has_its_own_words(dialect: object, hour: str, part: str) -> None:
    assert str(hour_of(inspections.c.inspected_at).compile(dialect=dialect)) == hour  # type: ignore[arg-type]
    assert str(whole(inspections.c.latency_ms).compile(dialect=dialect)) == part  # type: ignore[arg-type]


def test_its_result_is_a_time_with_its_zone() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with MEMORY.connect() as connection:
        found = connection.execute(select(hour_of(literal(noon, UtcDateTime())))).scalar_one()
        later = select(hour_of(literal(noon, UtcDateTime()))).where(
            hour_of(literal(noon, UtcDateTime())) < noon + timedelta(minutes=1)
        )
        assert connection.execute(later).scalar_one() == found == noon
    assert found.tzinfo is UTC
