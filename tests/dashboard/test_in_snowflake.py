"""The dashboard as an app in Snowflake: a session of Streamlit's own over a server that speaks Snowflake's protocol."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("streamlit")
pytest.importorskip("snowflake.snowpark")

import streamlit as st
from sqlalchemy import Engine, make_url, select
from streamlit.runtime.secrets import secrets_singleton
from streamlit.testing.v1 import AppTest

from copperline.dashboard import in_snowflake, session
from copperline.data import write_image
from copperline.detections import Detections
from copperline.settings import Settings
from copperline.snowflake.session import close_session
from copperline.taxonomy import DEEPPCB, Call, Disposition
from copperline.warehouse import (
    BoardRecord,
    BoardTold,
    InspectionRecord,
    Judgement,
    LineResult,
    inference_id_for,
    open_warehouse,
    record_dispositions,
    write_boards,
    write_inspections,
    write_line_results,
)
from copperline.warehouse.tables import metadata
from copperline.workflows.snowflake_deployment.app_folder import settings_text
from copperline.workflows.snowflake_deployment.toml_text import toml_text

PAGES = ("overview", "vision_lab", "review", "process_control", "models", "about", "board")
NOON = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
SIZE = 64


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test is a server of its own, with its own settings; Snowpark's session ends with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COPPERLINE_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("COPPERLINE_THREADS", "1")
    monkeypatch.setattr("snowflake.connector.paramstyle", "pyformat")  # Streamlit sets another
    forget_all()
    yield
    held = in_snowflake._held()
    if held.session is not None:
        close_session(held.session)
    forget_all()


def forget_all() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()
    secrets_singleton._reset()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Where the boards' images are, for both warehouses."""
    write_image(tmp_path / "stage" / "board.png", np.full((SIZE, SIZE), 255, np.uint8))
    return tmp_path / "stage"


def page(module: str) -> None:
    import importlib

    from copperline.dashboard import session
    from copperline.dashboard.failures import failures_shown

    with failures_shown():
        session.who_is_here()
        importlib.import_module(f"copperline.dashboard.pages.{module}").page()


def opened(module: str, user: dict[str, str] | None = None, **address: str) -> AppTest:
    """A page as `user` sees it, with what its address says."""
    app = AppTest.from_function(page, args=(module,), default_timeout=60)
    app.user = {"user_name": "ANN", "email": "ann@plant.example"} if user is None else user
    for name, value in address.items():
        app.query_params[name] = value
    return app.run()


@pytest.fixture
def app(
    new_snowflake: Callable[[], str], snowflake_server: dict[str, Any], tmp_path: Path
) -> Iterator[Callable[..., str]]:
    """Writes the app's settings and the connection that Streamlit finds; gives the database of its empty schema."""
    secrets = tmp_path / ".streamlit" / "secrets.toml"
    before = st.config.get_option("secrets.files")

    def made(**changes: Any) -> str:
        url = make_url(new_snowflake())
        names = {"database": url.host, "schema_name": url.database}
        (tmp_path / "copperline.toml").write_text(settings_text(Settings(snowflake=names, **changes)))
        secrets.parent.mkdir()
        given = {**snowflake_server, "database": url.host, "schema": url.database}
        given = {name: value for name, value in given.items() if isinstance(value, str | int)}
        secrets.write_text(toml_text({}, {"connections.snowflake": given}))
        st.config.set_option("secrets.files", [str(secrets)])
        secrets_singleton._reset()
        session.settings.clear()
        return str(url.host)

    yield made
    st.config.set_option("secrets.files", before)


def copied(engine: Engine, database: str) -> None:
    """All rows as they are, straight into what the server keeps: to write them through it takes half a minute."""
    with engine.connect() as source, sys.modules["fakesnow.server"].shared_fs.duck_conn.cursor() as inside:
        inside.execute(f"USE {database}.TABLES")
        for table in metadata.sorted_tables:
            rows = [tuple(map(_kept, row)) for row in source.execute(select(table))]
            if rows and table.name != "copperline_schema_version":
                columns = ", ".join(f'"{column.name.upper()}"' for column in table.columns)
                places = ", ".join("?" * len(table.columns))
                inside.executemany(f"INSERT INTO {table.name} ({columns}) VALUES ({places})", rows)


def _kept(value: Any) -> Any:
    """UTC without saying so, as the tables have it."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


def fill(engine: Engine, images: Path) -> None:
    """24 boards of three lines in a day, some defective, some reviewed, two by people who do not agree."""
    boards, records = [], []
    for number in range(24):
        at = NOON - timedelta(hours=number)
        ids = [number % 6, (number + 1) % 6] if number % 3 == 0 else []
        found = Detections.of([[8, 8, 24, 24], [30, 30, 50, 40]][: len(ids)], ids, [0.9, 0.7][: len(ids)])
        call = Call.FAIL if ids else Call.WITHHELD if number % 11 == 1 else Call.PASS
        records.append(
            InspectionRecord(
                f"inspection {number}", f"B{number}", at, "AOI-1", "pcb-detector", "3",
                '{"criterion": "recall", "thresholds": {"open": 0.5}}', str(images / "board.png"), "ab" * 32, None,
                None, 0.9, call, 12.5, SIZE, SIZE, found,
            )
        )  # fmt: skip
        line, product = f"LINE-{number % 3}", "Hub" if number % 2 else "Motor"
        boards.append(BoardRecord(f"B{number}", at.date(), line, product, None, at, None, "simulated", 1450))
    write_boards(engine, boards)
    write_inspections(engine, records, DEEPPCB)
    for number, word in ((0, Disposition.CONFIRMED), (3, Disposition.FALSE_CALL), (5, Disposition.CONFIRMED)):
        record_dispositions(engine, [Judgement(f"inspection {number}", word)], "ANN", decided_at=NOON)
    second = Judgement("inspection 0", Disposition.FALSE_CALL, inference_id_for("inspection 0", 0))
    record_dispositions(engine, [second], "BEN", decided_at=NOON + timedelta(minutes=5))
    handed = replace(records[1], inspection_id="handed in", board_id="B99", inspected_at=NOON)
    write_line_results(engine, [LineResult(handed, BoardTold(line_id="LINE-1"))], DEEPPCB)


def words(app: AppTest) -> list[str]:
    """All that a page says and counts; without what differs by the minute or by the database that it names."""
    assert [error.value for error in app.exception] == []
    kinds = ("title", "header", "subheader", "markdown", "caption", "error", "warning", "info", "success")
    said = [str(element.value) for kind in kinds for element in getattr(app, kind)]
    said += [f"{metric.label}: {metric.value} {metric.delta}" for metric in app.metric]
    said += [frame.value.to_csv() for frame in app.dataframe]
    return [re.sub(r"Read at [\d:]+|\d+ (s|min) ago|:material/person: .*", "", text) for text in said]


def test_every_page_says_the_same_as_over_sqlite(
    app: Callable[..., str], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This server has no models. What the pages say without them is the same too.
    monkeypatch.setenv("COPPERLINE_REGISTRY_URI", f"sqlite:///{tmp_path / 'registry.db'}")
    shown = {"board": {"board": "B0"}, "vision_lab": {"source": "Inspected lately"}}
    engine = open_warehouse(Settings.load().warehouse)
    fill(engine, images)
    here = {name: words(opened(name, period="All time", **shown.get(name, {}))) for name in PAGES}
    assert any("Boards inspected: 25" in text for text in here["overview"])

    forget_all()
    copied(engine, app(dashboard_reviewers=("ann",)))
    engine.dispose()
    there = {name: words(opened(name, period="All time", **shown.get(name, {}))) for name in PAGES}
    for name in PAGES:
        assert there[name] == here[name], name
