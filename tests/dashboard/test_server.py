from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("streamlit")

from copperline.dashboard.server import open_stores
from copperline.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path / "workspace")


def test_looking_at_stores_that_are_not_there_makes_none(settings: Settings) -> None:
    open_stores(settings)
    assert not settings.workspace.exists()


@pytest.mark.parametrize("name", ["warehouse.db", "registry.db"])
def test_a_damaged_store_does_not_keep_the_server_from_starting(settings: Settings, name: str) -> None:
    settings.workspace.mkdir()
    (settings.workspace / name).write_text("no database")
    open_stores(settings)
    assert (settings.workspace / name).read_text() == "no database"


def test_the_first_visitor_gets_the_page(start_dashboard: Callable[..., object], tmp_path: Path) -> None:
    """With a warehouse that is no database the server starts all the same."""
    (tmp_path / "copperline-workspace").mkdir()
    (tmp_path / "copperline-workspace" / "warehouse.db").write_text("no database")
    assert start_dashboard() is not None
