"""The tables of docs/snowflake.md are what the objects and rates come to."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("snowflake.sqlalchemy", reason="the extra snowflake is not installed")

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "snowflake_doc.py"


def test_the_page_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("snowflake_doc", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.TARGET.read_text(encoding="utf-8") == script.render(), "run python scripts/snowflake_doc.py"
