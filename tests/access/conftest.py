from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from copperline.warehouse import open_warehouse


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; tests copy it, because making tables takes longer than most tests."""
    path = tmp_path_factory.mktemp("access") / "empty.db"
    open_warehouse(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture
def engine(tmp_path: Path, empty_warehouse: Path) -> Iterator[Engine]:
    shutil.copyfile(empty_warehouse, tmp_path / "warehouse.db")
    engine = open_warehouse(f"sqlite:///{tmp_path / 'warehouse.db'}")
    yield engine
    engine.dispose()
