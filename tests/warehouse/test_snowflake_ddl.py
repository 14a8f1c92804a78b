from __future__ import annotations

import re
from typing import Any

import pytest

from copperline.snowflake_settings import SnowflakeSettings
from copperline.warehouse.schema import SCHEMA_VERSION
from copperline.warehouse.snowflake_ddl import table_statements
from copperline.warehouse.tables import metadata

pytest.importorskip("snowflake.sqlalchemy", reason="snowflake-sqlalchemy is not installed")
ODD = SnowflakeSettings(database="plant data", schema_name="it's 5 %")


def test_every_table_has_a_statement_after_those_that_it_refers_to() -> None:
    names = [name for name, _ in table_statements()]
    assert names[: len(metadata.tables)] == [table.name for table in metadata.sorted_tables]
    assert names[-3:] == ["copperline_write_lock", "row of copperline_write_lock", "row of copperline_schema_version"]
    assert names.index("inspections") < names.index("defect_logs") < names.index("dispositions")


def test_a_statement_has_the_comments_of_its_table_and_columns() -> None:
    statements = dict(table_statements())
    for table in metadata.tables.values():
        assert statements[table.name].count("COMMENT '") == len(table.columns)
        assert statements[table.name].endswith(f"COMMENT = '{table.comment.replace(chr(39), chr(39) * 2)}'")
    assert "Mean grey level of the test image, 0-255; null: not measured" in statements["inspections"]


def test_all_names_are_in_the_schema_that_is_given() -> None:
    for name, statement in table_statements(ODD.schema_in_sql):
        for found in re.findall(r"(?:EXISTS|REFERENCES|INTO|FROM) ([^(\n]*?) ?[(\n)]", statement):
            assert found.startswith('"plant data"."it\'s 5 %".') or not found, (name, found)
    assert (
        'REFERENCES "plant data"."it\'s 5 %".inspections (inspection_id)'
        in dict(table_statements(ODD.schema_in_sql))["defect_logs"]
    )


def test_the_statements_run_and_run_again_without_a_change(snowflake_server: dict[str, Any]) -> None:
    import snowflake.connector

    names = SnowflakeSettings(database="DDL_OF_TABLES", schema_name="odd name")
    with snowflake.connector.connect(**snowflake_server, database=names.database) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE SCHEMA {names.schema_in_sql}")
        for _ in range(2):
            for _, statement in table_statements(names.schema_in_sql):
                cursor.execute(statement)
        cursor.execute(f"SELECT version, installed_at IS NOT NULL FROM {names.schema_in_sql}.copperline_schema_version")
        assert cursor.fetchall() == [(SCHEMA_VERSION, True)]
        cursor.execute(f"SELECT * FROM {names.schema_in_sql}.copperline_write_lock")
        assert cursor.fetchall() == [(0,)]
        for table in metadata.tables.values():
            cursor.execute(f"SELECT * FROM {names.schema_in_sql}.{table.name} LIMIT 0")
            assert [column.name for column in cursor.description] == [c.name.upper() for c in table.columns]
