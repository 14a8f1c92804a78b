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
from snowflake.connector.errors import ProgrammingError
from sqlalchemy import Engine, make_url, select
from streamlit.runtime.secrets import secrets_singleton
from streamlit.testing.v1 import AppTest

from copperline.dashboard import in_snowflake, session
from copperline.data import write_image
from copperline.detections import Detections
from copperline.errors import SnowflakeError
from copperline.settings import Settings
from copperline.snowflake.session import active_session, close_session
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


def metric(app: AppTest, label: str) -> str:
    return next(str(metric.value) for metric in app.metric if metric.label == label)


def who(app: AppTest) -> str:
    return "\n".join(str(caption.value) for caption in app.caption if "person" in str(caption.value))


def test_the_deployed_file_opens_the_overview(app: Callable[..., str], tmp_path: Path) -> None:
    app(dashboard_reviewers=("bo",))
    main_file = tmp_path / "streamlit_app.py"
    script = Path(in_snowflake.__file__).parent / "script" / "streamlit_app.py"
    main_file.write_bytes(script.read_bytes())
    opened = AppTest.from_file(main_file, default_timeout=60)
    opened.user = {"user_name": "ANN"}
    ran = opened.run()
    assert not ran.exception
    assert ran.title[0].value == "Executive Overview"
    assert "ANN, view only" in who(ran)


def test_nobody_gets_in_whom_snowflake_did_not_sign_in(app: Callable[..., str], tmp_path: Path) -> None:
    app()
    main_file = tmp_path / "streamlit_app.py"
    script = Path(in_snowflake.__file__).parent / "script" / "streamlit_app.py"
    main_file.write_bytes(script.read_bytes())
    opened = AppTest.from_file(main_file, default_timeout=60)
    opened.user = {"email": "ann@plant.example"}
    ran = opened.run()
    assert not ran.exception
    assert [title.value for title in ran.title] == ["Copperline"]
    assert "expected a visitor whom Snowflake has signed in, found none" in ran.error[0].value
    assert in_snowflake._held().session is None


def test_a_decision_is_recorded_under_the_name_in_snowflake(
    app: Callable[..., str], images: Path, snowflake_server: dict[str, Any]
) -> None:
    engine = open_warehouse(Settings.load().warehouse)
    fill(engine, images)
    database = app(dashboard_reviewers=("ann",))
    copied(engine, database)
    engine.dispose()
    ran = opened("review", period="All time")
    assert "ANN, may review and promote" in who(ran)
    [confirm] = [button for button in ran.button if button.label in ("Defect", "All are defects")]
    confirm.click().run()
    assert not ran.exception
    with sys.modules["fakesnow.server"].shared_fs.duck_conn.cursor() as inside:
        inside.execute(f"USE {database}.TABLES")
        rows = inside.execute("SELECT reviewer, disposition FROM dispositions ORDER BY decided_at").fetchall()
    assert rows[-1] == ("ANN", "CONFIRMED")
    assert len(rows) == 5


def grants(tree: dict[str, list[tuple[str, str]]]) -> Any:
    """A session that answers SHOW GRANTS OF ROLE, and nothing else."""

    class Answer:
        def __init__(self, rows: list[tuple[str, str]]) -> None:
            self.rows = rows

        def collect(self) -> list[dict[str, str]]:
            return [{"granted_to": kind, "grantee_name": name} for kind, name in self.rows]

    class Session:
        def sql(self, statement: str) -> Answer:
            match = re.fullmatch(r'SHOW GRANTS OF ROLE "((?:[^"]|"")+)"', statement)
            assert match is not None
            role = match[1].replace('""', '"')
            if role not in tree:
                raise ProgrammingError(
                    f"SQL compilation error: Role '{role}' does not exist or not authorized.", errno=2003
                )
            return Answer(tree[role])

    return Session()


def test_members_of_the_role_review_through_other_roles_too(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = {
        "QA": [("USER", "ANN"), ("ROLE", "LEADS"), ("ROLE", '"odd ""one"""')],
        "LEADS": [("USER", "BO"), ("ROLE", "QA")],  # a circle cannot be, and would not be waited for
        'odd "one"': [("USER", '"jsmith"')],
    }
    monkeypatch.setattr(in_snowflake, "session", lambda: grants(tree))
    assert [in_snowflake.has_role(name, "QA") for name in ("ANN", "BO", "jsmith", "JSMITH", "EVE")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_a_role_that_nobody_can_oversee_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = {f"R{number}": [("ROLE", f"R{number + 1}")] for number in range(200)}
    monkeypatch.setattr(in_snowflake, "session", lambda: grants(tree))
    with pytest.raises(SnowflakeError, match="at most 100 roles"):
        in_snowflake.has_role("ANN", "R0")


def test_a_role_that_the_app_may_not_see_lets_everyone_look_and_says_why(
    app: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app(dashboard_reviewer_role="QA")
    monkeypatch.setattr(in_snowflake, "session", lambda: grants({}))
    ran = opened("overview")
    assert not ran.exception
    assert "ANN, view only" in who(ran)
    assert "role QA" in ran.error[0].value.replace("\\", "")


def test_a_session_that_has_ended_is_opened_anew(app: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    app()
    assert not opened("overview").exception
    first = in_snowflake._held().session
    assert first is not None
    # As after hours without a visitor.
    del sys.modules["fakesnow.server"].sessions[first.connection.rest.token]
    monkeypatch.setattr(in_snowflake, "_ASK_AGAIN_S", 0.0)
    assert not opened("overview").exception
    second = in_snowflake._held().session
    assert second is not None
    assert second is not first
    assert active_session() is second


def test_without_a_connection_the_page_says_so(app: Callable[..., str], tmp_path: Path) -> None:
    app()
    (tmp_path / ".streamlit" / "secrets.toml").unlink()
    secrets_singleton._reset()
    ran = opened("overview")
    assert not ran.exception
    assert "expected the app's own connection to Snowflake, found none" in ran.error[0].value
