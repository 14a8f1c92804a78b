from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from copperline.warehouse import open_warehouse


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_warehouse(f"sqlite:///{tmp_path / 'warehouse.db'}")
    yield engine
    engine.dispose()
