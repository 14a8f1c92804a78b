from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable

from copperline.warehouse.line_tables import LINE_TABLES
from copperline.warehouse.schema import DERIVED, INDEXES, schema_for
from copperline.warehouse.tables import UtcDateTime, metadata

COLUMNS = {
    "pcb_metadata": "board_id manufacturing_date factory_line_id product_type image_path created_at panel_id source "
    "opportunities",
    "defect_logs": "inference_id board_id inference_timestamp detected_class confidence_score bbox_x_center "
    "bbox_y_center bbox_width bbox_height image_path model_version inspection_id",
    "pcb_labeled_data": "filename image_bytes label_text split reference_bytes board_group",
    "inspections": "inspection_id board_id inspected_at station_id model_name model_version operating_point image_path "
    "image_sha256 reference_path reference_sha256 registration_score call defect_count latency_ms brightness contrast "
    "width height reference_id conditioning",
    "dispositions": "disposition_id inspection_id inference_id disposition reviewer decided_at note corrected_class "
    "bbox_x_center bbox_y_center bbox_width bbox_height",
}


def test_names_and_columns_are_the_published_ones() -> None:
    found = {name: " ".join(table.columns.keys()) for name, table in metadata.tables.items()}
    assert found.pop("copperline_schema_version") == "version installed_at"
    assert {name: columns for name, columns in found.items() if name in COLUMNS} == COLUMNS
    assert set(found) - set(COLUMNS) == {table.name for table in (*DERIVED, *LINE_TABLES)}


def test_every_table_and_column_is_explained() -> None:
    for table in metadata.tables.values():
        assert table.comment
        if table.name != "copperline_schema_version":
            assert all(column.comment for column in table.columns), table.name


def test_indexes_are_for_databases_that_have_them() -> None:
    def names(dialect: str) -> set[str | None]:
        return {index.name for table in schema_for(dialect).tables.values() for index in table.indexes}

    assert names("sqlite") == names("postgresql") == set(INDEXES)
    assert names("snowflake") == set()
    assert not any(column.comment for table in schema_for("snowflake").tables.values() for column in table.columns)
    assert not any(table.indexes for table in metadata.tables.values())


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()])
def test_the_tables_need_no_special_types(dialect: Dialect) -> None:
    ddl = "\n".join(str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables)
    assert ddl.count("CREATE TABLE") == len(metadata.tables)
    assert not re.search(r"JSON|ENUM|CHECK|SERIAL|ARRAY|WITH TIME ZONE", ddl)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(2200, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
)
def test_times_come_back_as_the_same_moment_in_utc(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    column, dialect = UtcDateTime(), sqlite.dialect()
    stored = column.process_bind_param(moment, dialect)
    assert stored is not None
    assert stored.tzinfo is None
    back = column.process_result_value(stored, dialect)
    assert back == moment
    assert back is not None
    assert back.tzinfo is UTC


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        UtcDateTime().process_bind_param(datetime(2026, 3, 1), sqlite.dialect())
