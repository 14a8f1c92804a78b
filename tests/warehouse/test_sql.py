from __future__ import annotations

import base64
import json
import math
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from copperline.errors import ModelError, WarehouseError
from copperline.warehouse import (
    InspectionRecord,
    LabeledBoard,
    Result,
    format_value,
    json_value,
    run_sql,
    write_inspection,
    write_labeled_boards,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHARED_DATABASE = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def filled(engine: Engine, url: str, inspection: Callable[..., InspectionRecord]) -> str:
    write_inspection(engine, inspection("B1"))
    write_labeled_boards(
        engine,
        [
            LabeledBoard("a.png", b"image-a", "", "test", b"golden-a"),
            LabeledBoard("b.png", b"image-b", "", "test"),
        ],
    )
    return url


def predict(image: bytes, reference: bytes | None) -> str:
    """One detection for each kind of byte, and a class that tells whether there was a reference."""
    name = "alone" if reference is None else reference.decode()
    return json.dumps([{"class": name, "confidence": 0.5, "box": [0, 0, len(image), 1]}])


def dump(url: str) -> list[str]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_a_query_gives_columns_and_rows(filled: str) -> None:
    found = run_sql(filled, "SELECT board_id, call, defect_count FROM inspections")
    assert found == Result(("board_id", "call", "defect_count"), (("B1", "FAIL", 2),))
    assert run_sql(filled, "WITH x AS (SELECT 1 AS n) SELECT n FROM x;").rows == ((1,),)


def test_a_limit_says_that_there_is_more(filled: str) -> None:
    query = "SELECT filename FROM pcb_labeled_data ORDER BY filename"
    assert run_sql(filled, query, limit=1) == Result(("filename",), (("a.png",),), truncated=True)
    assert run_sql(filled, query, limit=2) == Result(("filename",), (("a.png",), ("b.png",)))
    with pytest.raises(ValueError, match="limit"):
        run_sql(filled, query, limit=0)


WRITES = [
    "INSERT INTO pcb_metadata (board_id) VALUES ('x')",
    "INSERT INTO pcb_metadata (board_id) VALUES ('x') RETURNING board_id",
    "REPLACE INTO pcb_metadata (board_id) VALUES ('x')",
    "UPDATE inspections SET call = 'PASS'",
    "DELETE FROM inspections",
    "DROP TABLE inspections",
    "CREATE TABLE t (a)",
    "CREATE TEMP TABLE t (a)",
    "CREATE TABLE t AS SELECT * FROM inspections",
    "CREATE VIEW v AS SELECT 1",
    "CREATE TEMP VIEW v AS SELECT 1",
    "CREATE INDEX i ON inspections (call)",
    "CREATE TRIGGER t AFTER INSERT ON inspections BEGIN SELECT 1; END",
    "CREATE VIRTUAL TABLE t USING fts5(a)",
    "ALTER TABLE inspections ADD COLUMN x",
    "WITH x AS (SELECT 'x') INSERT INTO pcb_metadata (board_id) SELECT * FROM x",
    "WITH x AS (SELECT 1) DELETE FROM inspections",
    "/* SELECT */ DELETE FROM inspections",
    "-- SELECT\nDELETE FROM inspections",
    "EXPLAIN DELETE FROM inspections",
    "ATTACH '{folder}/other.db' AS other",
    "DETACH main",
    "VACUUM",
    "VACUUM INTO '{folder}/copy.db'",
    "PRAGMA user_version = 5",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = ON",
    "PRAGMA temp_store_directory = '/'",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "SAVEPOINT s",
    "ANALYZE",
]


@pytest.mark.parametrize("query", WRITES)
def test_writing_is_refused_and_names_the_switch(filled: str, tmp_path: Path, query: str) -> None:
    before, files = dump(filled), {path.name for path in tmp_path.iterdir()}
    with pytest.raises(WarehouseError, match=r"expected a query that only reads, found .*--write") as caught:
        run_sql(filled, query.format(folder=tmp_path))
    assert "\n" not in str(caught.value)
    assert dump(filled) == before
    assert {path.name for path in tmp_path.iterdir()} - {"warehouse.db-shm", "warehouse.db-wal"} == files - {
        "warehouse.db-shm",
        "warehouse.db-wal",
    }


@pytest.mark.parametrize(
    "query",
    [
        "REINDEX",
        "UPDATE sqlite_master SET sql = ''",
        "SELECT load_extension('evil')",
        "SELECT writefile('{folder}/out', 'x')",
        "COMMIT",
        "SELECT 1; DELETE FROM inspections",
        "SELECT 1; SELECT 2",
        "SELECT 1 /* ; */; DROP TABLE inspections; --",
    ],
)
def test_other_ways_to_change_something_fail_too(filled: str, tmp_path: Path, query: str) -> None:
    before = dump(filled)
    with pytest.raises(WarehouseError):
        run_sql(filled, query.format(folder=tmp_path))
    assert dump(filled) == before
    assert not (tmp_path / "out").exists()


def test_the_errors_say_what_was_found(filled: str) -> None:
    for query, found in {
        "DELETE FROM inspections": "DELETE from inspections",
        "CREATE TABLE t (a)": "a change of the schema",
        "PRAGMA journal_mode = DELETE": "PRAGMA journal_mode",
        "ATTACH 'x' AS y": "ATTACH of x",
    }.items():
        with pytest.raises(WarehouseError, match=f"found {found}"):
            run_sql(filled, query)


@pytest.mark.parametrize(
    "query",
    [
        "PRAGMA table_info(inspections)",
        "SELECT name FROM pragma_table_info('inspections')",
        "SELECT value FROM json_each('[1, 2]')",
        "SELECT key FROM json_tree('[1, 2]')",
        "SELECT name, sql FROM sqlite_master",
        "EXPLAIN QUERY PLAN SELECT * FROM inspections",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
        "SELECT call, count(*) OVER (PARTITION BY call) FROM inspections",
        "VALUES (1), (2)",
        "SELECT 'DELETE FROM inspections; --'",
    ],
)
def test_reading_is_allowed(filled: str, query: str) -> None:
    assert len(run_sql(filled, query).rows) >= 1


def test_write_is_for_those_who_ask(filled: str) -> None:
    assert run_sql(filled, "DELETE FROM defect_logs", write=True) == Result((), (), changed=2)
    assert run_sql(filled, "SELECT count(*) FROM defect_logs").rows == ((0,),)
    added = "INSERT INTO pcb_metadata (board_id) VALUES (:id) RETURNING board_id"
    assert run_sql(filled, added, {"id": "B9"}, write=True) == Result(("board_id",), (("B9",),), changed=1)
    assert run_sql(filled, "VACUUM", write=True).changed == 0
    with pytest.raises(WarehouseError, match="one SQL statement, found several"):
        run_sql(filled, "DELETE FROM inspections; DELETE FROM inspections", write=True)
    assert run_sql(filled, "SELECT count(*) FROM inspections").rows == ((1,),)


@pytest.mark.parametrize("query", ["", "  \n", ";", "-- nothing", "/* nothing */ ;"])
def test_nothing_to_run_is_an_error(filled: str, query: str) -> None:
    with pytest.raises(WarehouseError, match="found none"):
        run_sql(filled, query)


def test_a_missing_warehouse_is_not_made(url: str, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="found no file"):
        run_sql(url, "SELECT 1")
    assert list(tmp_path.iterdir()) == []


@SHARED_DATABASE
@given(
    value=st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.binary()
    | st.text(st.characters(codec="utf-8"))
    | st.sampled_from(["'; DROP TABLE inspections; --", "' OR '1'='1", ":name", "?", "%s", "\\'"])
)
def test_parameters_are_values_and_nothing_else(filled: str, value: Any) -> None:
    assert run_sql(filled, "SELECT :name, ':name'", {"name": value}).rows == ((value, ":name"),)
    assert run_sql(filled, "SELECT count(*) FROM inspections WHERE board_id = :name", {"name": value}).rows == ((0,),)


def test_times_are_bound_as_the_tables_hold_them(filled: str) -> None:
    query = "SELECT count(*) FROM inspections WHERE inspected_at >= :since"
    assert run_sql(filled, query, {"since": NOON}).rows == ((1,),)
    assert run_sql(filled, query, {"since": NOON + timedelta(microseconds=1)}).rows == ((0,),)
    assert run_sql(filled, "SELECT :day", {"day": date(2026, 3, 1)}).rows == (("2026-03-01",),)
    with pytest.raises(WarehouseError, match=r"parameter since: .*time zone"):
        run_sql(filled, query, {"since": datetime(2026, 3, 1)})


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("SELECT :a", {}),
        ("SELECT ?", {}),
        ("SELECT :a", {"a": [1]}),
        ("SELECT :a", {"a": 2**63}),
        ("SELECT :a", {"a": "\ud800"}),
    ],
)
def test_parameters_that_do_not_fit_are_told_of(filled: str, query: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(WarehouseError, match="the parameters do not fit"):
        run_sql(filled, query, parameters)


def test_a_wrong_query_is_told_of_in_one_line(filled: str) -> None:
    with pytest.raises(WarehouseError, match="the query is wrong: no such table: boards; correct it") as caught:
        run_sql(filled, "SELECT *\nFROM boards")
    assert "\n" not in str(caught.value)


def test_predict_runs_on_every_row(filled: str) -> None:
    found = run_sql(
        filled, "SELECT filename, PREDICT(image_bytes, reference_bytes) FROM pcb_labeled_data", predict=predict
    )
    assert found.columns == ("filename", "PREDICT(image_bytes, reference_bytes)")
    assert [(name, json.loads(text)[0]["class"]) for name, text in found.rows] == [
        ("a.png", "golden-a"),
        ("b.png", "alone"),
    ]
    single = run_sql(filled, "select predict(image_bytes) from pcb_labeled_data", predict=predict)
    assert {json.loads(row[0])[0]["class"] for row in single.rows} == {"alone"}


def test_predict_composes_with_json(filled: str) -> None:
    query = """
        SELECT filename, json_array_length(PREDICT(image_bytes)), found.value ->> 'class', found.value ->> '$.box[2]'
        FROM pcb_labeled_data, json_each(PREDICT(image_bytes, reference_bytes)) AS found
        WHERE found.value ->> 'confidence' >= :threshold ORDER BY filename
    """
    assert run_sql(filled, query, {"threshold": 0.5}, predict=predict).rows == (
        ("a.png", 1, "golden-a", 7),
        ("b.png", 1, "alone", 7),
    )
    assert run_sql(filled, query, {"threshold": 0.51}, predict=predict).rows == ()


def test_predict_of_null_is_null(filled: str) -> None:
    def never(image: bytes, reference: bytes | None) -> str:
        raise AssertionError("called without an image")

    assert run_sql(filled, "SELECT PREDICT(NULL), PREDICT(NULL, x'01')", predict=never).rows == ((None, None),)


@pytest.mark.parametrize(
    "failure",
    [
        ModelError("expected a model", where="m.onnx", fix="train one"),
        ValueError("bad image"),
        sqlite3.OperationalError("inner"),
    ],
)
def test_a_failure_of_predict_keeps_its_words(filled: str, failure: Exception) -> None:
    def broken(image: bytes, reference: bytes | None) -> str:
        raise failure

    with pytest.raises(WarehouseError) as caught:
        run_sql(filled, "SELECT PREDICT(image_bytes) FROM pcb_labeled_data", predict=broken)
    assert f"PREDICT failed: {failure}" in str(caught.value)
    assert caught.value.__cause__ is failure


def test_an_interrupt_during_predict_stays_one(filled: str) -> None:
    def interrupted(image: bytes, reference: bytes | None) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sql(filled, "SELECT PREDICT(image_bytes) FROM pcb_labeled_data", predict=interrupted)


def test_predict_wants_images_and_a_model(filled: str) -> None:
    with pytest.raises(WarehouseError, match="expected images as BLOB, found str"):
        run_sql(filled, "SELECT PREDICT(filename) FROM pcb_labeled_data", predict=predict)
    with pytest.raises(WarehouseError, match="expected a model for PREDICT, found none"):
        run_sql(filled, "SELECT PREDICT(image_bytes) FROM pcb_labeled_data")


def test_predict_that_fails_writes_nothing(filled: str) -> None:
    def second_fails(image: bytes, reference: bytes | None) -> str:
        if image == b"image-b":
            raise ValueError("bad image")
        return "[]"

    with pytest.raises(WarehouseError, match="bad image"):
        run_sql(
            filled, "UPDATE pcb_labeled_data SET label_text = PREDICT(image_bytes)", predict=second_fails, write=True
        )
    assert run_sql(filled, "SELECT DISTINCT label_text FROM pcb_labeled_data").rows == (("",),)


def test_blobs_are_counted_in_tables_and_kept_in_json(filled: str) -> None:
    found = run_sql(filled, "SELECT image_bytes, reference_bytes FROM pcb_labeled_data WHERE filename = 'a.png'")
    assert found.rows == ((b"image-a", b"golden-a"),)
    assert [format_value(value) for value in found.rows[0]] == ["<7 bytes>", "<8 bytes>"]
    decoded = {name: base64.b64decode(value) for name, value in found.to_dicts()[0].items()}
    assert decoded == {"image_bytes": b"image-a", "reference_bytes": b"golden-a"}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes() | st.dates())
def test_every_value_goes_into_json(value: Any) -> None:
    back = json.loads(json.dumps(json_value(value), allow_nan=False))
    if isinstance(value, bytes):
        assert base64.b64decode(back) == value
    elif isinstance(value, date):
        assert type(value).fromisoformat(back) == value
    elif isinstance(value, float) and not math.isfinite(value):
        assert back is None
    else:
        assert back == value


def test_exact_numbers_of_other_databases() -> None:
    assert [json_value(Decimal(text)) for text in ("3", "2.50")] == [3, 2.5]
    assert isinstance(json_value(Decimal("3")), int)
