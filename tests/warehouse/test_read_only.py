from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from copperline.errors import WarehouseError
from copperline.warehouse.read_only import escape_colons, require_one_select


@pytest.mark.parametrize(
    "query",
    [
        "SELECT call FROM inspections",
        "  (SELECT 1) UNION (SELECT 2) ; ",
        "with x as (select 1) select * from x",
        "SELECT 'it''s; DELETE' AS \"update\" -- ; drop\n FROM t",
        "/* ; DROP */ SELECT 1",
        "SELECT a::text, $1 FROM t WHERE b = :b",
    ],
)
def test_one_select_passes(query: str) -> None:
    require_one_select(query, "db")


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t",
        "EXPLAIN ANALYZE DELETE FROM t",
        "CALL p()",
        "COPY t TO PROGRAM 'x'",
        "SET TRANSACTION READ WRITE",
        "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
        "SELECT * INTO t2 FROM t",
        "SELECT * FROM t FOR UPDATE",
        "",
        "-- SELECT",
    ],
)
def test_what_writes_is_refused(query: str) -> None:
    with pytest.raises(WarehouseError, match=r"expected a query that only reads.*--write"):
        require_one_select(query, "db")


@pytest.mark.parametrize(
    "query",
    [
        r"SELECT '\'; DROP TABLE t; --'",
        r"SELECT 'a\' || 'b\'; DROP TABLE t",
        "SELECT $$;$$",
        "SELECT $é$ ' $é$; COMMIT; DROP TABLE t --'",
        "SELECT /* /* */ 1; DROP TABLE t; -- */",
        "SELECT 'open",
        "SELECT 1 */",
        "SELECT `a`",
        "SELECT 1; DROP TABLE t",
        "SELECT 1; COMMIT",
    ],
)
def test_what_databases_may_read_differently_is_refused(query: str) -> None:
    with pytest.raises(WarehouseError):
        require_one_select(query, "db")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(st.characters(codec="ascii", exclude_characters="\\")))
def test_no_literal_is_taken_for_a_parameter(value: str) -> None:
    literal = "'" + value.replace("'", "''") + "'"
    statement = text(escape_colons(f"SELECT {literal}, :real"))
    assert set(statement.compile().params) == {"real"}
    compiled = str(statement.compile(compile_kwargs={"literal_binds": False}))
    assert compiled == f"SELECT {literal}, :real"
