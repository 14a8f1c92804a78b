from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlglot

from copperline.errors import SettingsError
from copperline.inspection.snowflake_sql import detections_sql, predict_sql
from copperline.snowflake_settings import SnowflakeSettings

GOLDEN = Path(__file__).with_name("snowflake_sql.golden.sql")
DOCUMENTED = Path(__file__).parents[2] / "docs" / "models.md"


def test_the_statements_are_those_that_are_documented() -> None:
    texts = [predict_sql(SnowflakeSettings()), detections_sql(SnowflakeSettings())]
    assert "\n".join(texts) == GOLDEN.read_text()
    for text in texts:
        assert text in DOCUMENTED.read_text()


@pytest.mark.parametrize("make", [predict_sql, detections_sql])
def test_any_name_stays_one_statement_of_snowflake(make: Callable[..., str]) -> None:
    names = SnowflakeSettings(database='a"b', schema_name="c d", model="it's; DROP")
    with pytest.raises(SettingsError, match="expected an alias or version"):
        make(names, alias="x) FROM y; DROP TABLE z; --")
    statements = sqlglot.parse(make(names, alias="V3", table='t"; DROP'), dialect="snowflake")
    assert [type(statement).__name__ for statement in statements if statement] == ["Select"]
