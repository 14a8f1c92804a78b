"""Tables as CSV, JSON lines and Parquet: what is written is what was there."""

from __future__ import annotations

import csv
import json
import tracemalloc
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copperline.delivery.table_files import TableFormat, write_table
from copperline.errors import SettingsError
from copperline.warehouse.export_queries import ExportColumn

COLUMNS = [
    ExportColumn("name", "text"),
    ExportColumn("count", "integer"),
    ExportColumn("share", "real"),
    ExportColumn("at", "time"),
    ExportColumn("day", "date"),
]
NOON = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
ROWS = [
    ("=1+1", -3, 0.1, NOON, date(2026, 3, 1)),
    (None, None, None, None, None),
    ('Löt, "x"\n', 0, -1e300, NOON, None),
]


def test_csv(tmp_path: Path) -> None:
    assert write_table(tmp_path / "t.csv", COLUMNS, ROWS, TableFormat.CSV) == 3
    with (tmp_path / "t.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [
            ["name", "count", "share", "at", "day"],
            ["'=1+1", "-3", "0.1", "2026-03-01T12:00:00.000005+00:00", "2026-03-01"],
            ["", "", "", "", ""],
            ['Löt, "x"\n', "0", "-1e+300", "2026-03-01T12:00:00.000005+00:00", ""],
        ]


def test_json_lines(tmp_path: Path) -> None:
    assert write_table(tmp_path / "t.jsonl", COLUMNS, ROWS, TableFormat.JSONL) == 3
    first, second, third = map(json.loads, (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines())
    assert first == {
        "name": "=1+1",
        "count": -3,
        "share": 0.1,
        "at": "2026-03-01T12:00:00.000005+00:00",
        "day": "2026-03-01",
    }
    assert set(second.values()) == {None}
    assert third["name"] == 'Löt, "x"\n'


def test_parquet(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="the extra export is not installed")
    assert write_table(tmp_path / "t.parquet", COLUMNS, ROWS, TableFormat.PARQUET) == 3
    assert [tuple(row.values()) for row in pq.read_table(tmp_path / "t.parquet").to_pylist()] == ROWS
    assert write_table(tmp_path / "none.parquet", COLUMNS, [], TableFormat.PARQUET) == 0
    assert pq.read_table(tmp_path / "none.parquet").column_names == [column.name for column in COLUMNS]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")), st.integers()), max_size=5))
def test_no_cell_of_text_is_a_formula(tmp_path: Path, rows: list[tuple[str, int]]) -> None:
    columns = [ExportColumn("text", "text"), ExportColumn("number", "integer")]
    write_table(tmp_path / "t.csv", columns, rows, TableFormat.CSV)
    with (tmp_path / "t.csv").open(encoding="utf-8-sig", newline="") as file:
        read = list(csv.reader(file))[1:]
    for (text, number), (cell, figure) in zip(rows, read, strict=True):
        assert cell.removeprefix("'") == text.removeprefix("'") if text[:1] in "'" else cell in (text, f"'{text}")
        assert not cell.startswith(("=", "+", "-", "@", "\t"))
        assert int(figure) == number


@pytest.mark.parametrize("form", list(TableFormat))
def test_rows_are_not_kept(tmp_path: Path, form: TableFormat) -> None:
    if form is TableFormat.PARQUET:
        pytest.importorskip("pyarrow")
    text = "x" * 500
    columns = [ExportColumn("text", "text"), ExportColumn("n", "integer")]

    def rows(number: int) -> Any:
        return ((f"{n}{text}", n) for n in range(number))

    write_table(tmp_path / "warm", columns, rows(10), form)
    tracemalloc.start()
    try:
        assert write_table(tmp_path / "big", columns, rows(40_000), form) == 40_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12e6  # all of them are 22 MB and more


@pytest.mark.parametrize("name", ["boards", "boards.xlsx", "boards.csv.gz"])
def test_another_suffix_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"\.csv, \.jsonl or \.parquet"):
        TableFormat.of(Path(name))
