"""Every page, whatever is wrong with the warehouse: what is wrong and what to do, never a traceback."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from copperline.dashboard import session

PAGES = ("overview", "review", "process_control", "board")
pages = pytest.mark.parametrize("module", PAGES)
Open = Callable[..., Any]
Said = Callable[[Any], str]


def opened(open_page: Open, module: str) -> Any:
    return open_page(module, **({"board": "B1"} if module == "board" else {}))


@pages
def test_no_warehouse(open_page: Open, said: Said, module: str) -> None:
    text = said(opened(open_page, module))
    assert "expected a warehouse, found no file" in text.replace("\\", "")
    assert "What to do: run `copperline demo`" in text.replace("\\", "")


@pages
def test_an_empty_warehouse(open_page: Open, said: Said, plant: Any, module: str) -> None:
    app = opened(open_page, module)
    text = said(app)
    if module == "board":
        assert "found no 'B1'" in text.replace("\\", "")
    else:
        assert any(words in text for words in ("No board has been inspected yet", "Nothing to review"))
        assert "copperline" in app.code[0].value


@pages
def test_a_file_that_is_no_database(open_page: Open, said: Said, workspace: Path, module: str) -> None:
    workspace.mkdir()
    (workspace / "warehouse.db").write_text("not a database" * 100)
    assert "found another kind of file" in said(opened(open_page, module)).replace("\\", "")


@pages
def test_a_database_of_an_older_layout(open_page: Open, said: Said, plant: Any, module: str) -> None:
    plant.inspect("B1", "open")
    with closing(sqlite3.connect(plant.file)) as database, database:
        database.execute("UPDATE copperline_schema_version SET version = 1")
    text = said(opened(open_page, module)).replace("\\", "")
    assert "found the older version 1" in text
    assert "copperline warehouse rebuild" in text


@pages
def test_a_locked_database(
    open_page: Open, said: Said, plant: Any, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """A copy that is not in WAL mode, such as a backup that is being written, lets nobody read."""
    monkeypatch.setattr(session, "BUSY_SECONDS", 0.05)
    plant.inspect("B1", "open")
    plant.engine.dispose()
    with closing(sqlite3.connect(plant.file, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        text = said(opened(open_page, module)).replace("\\", "")
        other.execute("ROLLBACK")
    assert "locked" in text or "busy" in text
    assert "What to do" in text


@pages
def test_a_database_that_goes_away_and_comes_back_as_another(
    open_page: Open, said: Said, plant: Any, module: str
) -> None:
    plant.inspect("B1", "open")
    app = opened(open_page, module)
    assert "expected" not in said(app)
    aside = plant.file.with_name("aside.db")
    plant.engine.dispose()
    shutil.move(plant.file, aside)
    assert "found no file" in said(app.run()).replace("\\", "")
    shutil.copy(aside, plant.file)
    with closing(sqlite3.connect(plant.file)) as database, database:
        database.execute("UPDATE inspections SET call = 'WITHHELD'")
        database.execute("UPDATE board_states SET call = 'WITHHELD'")
        database.execute("UPDATE hourly_boards SET failed = 0, withheld = 1")
    text = said(app.run())
    assert "expected" not in text
    if module in ("review", "board"):
        assert "WITHHELD" in text
