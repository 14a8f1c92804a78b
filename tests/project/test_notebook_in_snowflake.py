"""The notebook's cells, unchanged, where there is an active session of Snowflake.

No account is at hand. The warehouse is a server that speaks Snowflake's protocol; the registry is Snowflake ML's own
classes by specification, with the stage of Snowpark's local testing. No server has both, so that the first test, over
the session's own connection, ends before training; in the second the warehouse has a connection of its own. Training
is in this process: what starts workers on nodes is tested in `tests/training/engines`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from copperline.data.synthetic import write_synthetic_dataset
from copperline.settings import Settings
from copperline.workflows.querying import query_warehouse

jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed")
SOURCE = Path(__file__).resolve().parents[2] / "notebooks" / "pcb_defect_detection.py"


def code_of_sections(until: int | None = None) -> list[str]:
    """The code cells before the section of this number; None: all."""
    cells = []
    for cell in jupytext.read(SOURCE).cells:
        if until is not None and cell.source.startswith(f"## {until} "):
            break
        if cell.cell_type == "code":
            cells.append(cell.source)
    return cells


def run(cells: list[str]) -> dict[str, Any]:
    """What the cells leave behind."""
    left: dict[str, Any] = {}
    for cell in cells:
        exec(compile(cell, str(SOURCE), "exec"), left)
    return left


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As deployed: a folder with copperline.toml, which the notebook runs in, and few boards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPPERLINE_THREADS", "1")
    monkeypatch.setenv("COPPERLINE_NOTEBOOK_BOARDS", "12")
    monkeypatch.setenv("COPPERLINE_NOTEBOOK_EPOCHS", "1")
    return tmp_path


@pytest.fixture
def small_boards(tmp_path: Path) -> Path:
    write_synthetic_dataset(tmp_path / "boards", train=8, test=2, size=160, processes=1)
    return tmp_path / "boards"


@pytest.fixture
def session(snowflake_server: dict[str, Any], new_snowflake: Callable[[], str]) -> Iterator[Any]:
    """The active session, which uses a schema with Copperline's tables."""
    pytest.importorskip("snowflake.snowpark", reason="Snowpark is not installed")
    from snowflake.snowpark import Session
    from snowflake.snowpark import session as snowpark_sessions

    database, _, schema = new_snowflake().removeprefix("snowflake://").partition("/")
    opened = Session.builder.configs({**snowflake_server, "database": database, "schema": schema}).create()
    try:
        yield opened
    finally:
        # Closing the session asks for what the server has not.
        snowpark_sessions._remove_session(opened)
        opened.connection.close()


def test_boards_of_the_table_are_read_over_the_session(
    session: Any,
    in_folder: Path,
    small_boards: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    database, schema = (name.strip('"') for name in (session.get_current_database(), session.get_current_schema()))
    (in_folder / "copperline.toml").write_text(f'[snowflake]\ndatabase = "{database}"\nschema_name = "{schema}"\n')
    for name in [name for name in os.environ if name.startswith("SNOWFLAKE_")]:
        monkeypatch.delenv(name)  # a notebook there has none

    empty = run(code_of_sections(until=2))
    assert empty["place"].in_snowflake
    assert (empty["settings"].warehouse_url, empty["settings"].registry_uri) == ("snowflake://", "snowflake")
    assert empty["boards"].source == "synthetic"  # the table is empty: boards are drawn
    told = empty["place"].table()
    assert ("warehouse", f"{database}.{schema} in Snowflake") in told.rows
    assert ("registry", f"{database}.{schema} in Snowflake") in told.rows

    with monkeypatch.context() as given:
        given.setenv("COPPERLINE_NOTEBOOK_DATA", str(small_boards))
        first = run(code_of_sections(until=3))
    assert first["boards"].source == "path"

    again = run(code_of_sections(until=3))
    assert again["boards"].source == "table"
    assert "10 boards: from the table pcb_labeled_data." in capsys.readouterr().out
    assert {pair.board_id for pair in again["dataset"]} == {pair.board_id for pair in first["dataset"]}
    counted = query_warehouse(again["settings"], "SELECT COUNT(*) FROM pcb_labeled_data", {})
    assert counted.rows == ((10,),)
    assert not (in_folder / "copperline-workspace" / "warehouse.db").exists()


def test_all_cells_run_with_the_account_s_registry_and_warehouse(
    snowflake_account: Any,
    new_snowflake: Callable[[], str],
    in_folder: Path,
    small_boards: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COPPERLINE_WAREHOUSE_URL", new_snowflake())
    # Snowpark's local testing has no SQL, neither for the warehouse nor to ask which packages the account offers.
    monkeypatch.setattr("copperline.warehouse.snowflake_engine.active_session", lambda: None)
    monkeypatch.setattr("copperline.inspection.snowflake_push.require_packages", lambda session, database: None)
    monkeypatch.setenv("COPPERLINE_NOTEBOOK_DATA", str(small_boards))
    monkeypatch.setenv("COPPERLINE_NOTEBOOK_PROMOTE", "true")

    left = run(code_of_sections())
    assert left["place"].in_snowflake
    assert left["version"].version == 1
    assert left["version"].aliases == ("champion",)
    (logged,) = snowflake_account.logged
    assert logged["version_name"] == "V1"
    assert snowflake_account.default == "V1"
    query = "SELECT COUNT(*), COUNT(DISTINCT board_id), MIN(model_version) FROM inspections"
    assert query_warehouse(left["settings"], query, {}).rows == ((2, 2, "1"),)
    assert "Projects > Streamlit > PCB_DEFECT_DETECTION_APP" in capsys.readouterr().out


def test_settings_that_name_another_registry_stay(snowpark: Any, in_folder: Path) -> None:
    (in_folder / "copperline.toml").write_text('registry_uri = "sqlite:////srv/registry.db"\n')
    left = run(code_of_sections(until=1))
    assert left["settings"].registry_uri == "sqlite:////srv/registry.db"
    assert ("registry", "MLflow, as the settings say") in left["place"].table().rows


def test_without_a_session_the_cells_are_the_laptop_s(in_folder: Path) -> None:
    left = run(code_of_sections(until=1))
    assert not left["place"].in_snowflake
    assert left["settings"] == Settings(workspace=Path("copperline-workspace"))
    assert ("warehouse", "SQLite in the workspace") in left["place"].table().rows
    assert "copperline dashboard`" in left["place"].next_steps()
