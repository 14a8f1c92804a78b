from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("snowflake.snowpark")
pytest.importorskip("streamlit")

from sqlalchemy import func, make_url, select

from copperline.data import open_dataset, write_image
from copperline.data.images import read_image
from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import SettingsError, SnowflakeError
from copperline.settings import Settings
from copperline.snowflake.own_wheel import Wheel
from copperline.snowflake.session import close_session, new_session
from copperline.warehouse import open_warehouse_of
from copperline.warehouse.tables import pcb_labeled_data
from copperline.workflows.snowflake_deployment import PARTS, deploy, planned, planned_statements
from copperline.workflows.snowflake_deployment.steps import load_boards


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "boards"
    write_synthetic_dataset(folder, train=4, test=2, size=128, processes=1)
    return folder


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small: Wheel) -> Settings:
    """Settings of an empty workspace; the wheel is none."""
    monkeypatch.setattr("copperline.workflows.snowflake_deployment.deployment.own_wheel", lambda extras: small)
    (tmp_path / "n.ipynb").write_bytes(b"{}")
    return Settings(workspace=tmp_path / "workspace")


@pytest.fixture
def session(new_snowflake: Callable[[], str]) -> Iterator[Any]:
    """In an empty schema of a server that speaks Snowflake's protocol."""
    url = make_url(new_snowflake())
    opened = new_session(database=url.host, schema=url.database)
    yield opened
    close_session(opened)


def test_labelled_boards_are_loaded_once(session: Any, drawn: Path, tmp_path: Path) -> None:
    shutil.copytree(drawn, tmp_path / "boards")
    boards, _ = open_dataset(tmp_path / "boards")
    first = load_boards(session, boards)
    assert first.changed
    assert first.said == "6 of 6 labelled boards were written to pcb_labeled_data, the others were there."
    assert not load_boards(session, boards).changed
    changed = next(iter(boards))
    image = read_image(changed.test_path)
    image[:8, :8] = 255 - image[:8, :8]
    write_image(changed.test_path, image)
    third = load_boards(session, open_dataset(tmp_path / "boards")[0])
    assert third.said.startswith("1 of 6 labelled boards were written")
    engine = open_warehouse_of(session)
    with engine.connect() as connection:
        rows = connection.execute(select(pcb_labeled_data)).all()
        assert connection.execute(select(func.count()).select_from(pcb_labeled_data)).scalar() == 6
    engine.dispose()
    by_name = {row.filename: row for row in rows}
    for pair in boards:
        assert by_name[pair.test_path.name].image_bytes == pair.test_path.read_bytes()
        assert by_name[pair.test_path.name].split == pair.split


def test_everything_comes_in_order_and_a_repeat_changes_nothing(
    account: Any, ready: Settings, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    steps = "copperline.workflows.snowflake_deployment.steps"
    monkeypatch.setattr(f"{steps}.load_boards", lambda session, boards: done.append(f"{len(boards)} boards"))
    monkeypatch.setattr(f"{steps}.register_model", lambda session, settings, model: done.append(model))
    deployment = planned(ready, data=drawn, notebook=tmp_path / "n.ipynb")
    parts = [part for part in deploy(account, deployment) if part is not None]
    assert done == ["6 boards", "builtin:deeppcb"]
    assert [(part.part, part.changed) for part in parts] == [("notebook", True), ("app", True)]
    assert [part.changed for part in deploy(account, deployment) if part is not None] == [False, False]


def test_what_a_dry_run_shows_is_what_is_run(account: Any, ready: Settings, tmp_path: Path) -> None:
    deployment = planned(ready, ("notebook", "app"), notebook=tmp_path / "n.ipynb")
    list(deploy(account, deployment))
    changes = [statement for statement in account.statements if not statement.startswith("DESCRIBE")]
    assert [statement for _, statement in planned_statements(deployment)] == changes


def test_parts_that_are_not_asked_for_are_left_out(ready: Settings, tmp_path: Path) -> None:
    app = planned(ready, ("app",))
    assert (app.boards, app.model, app.notebook) == (None, None, None)
    assert app.app is not None
    model = planned(ready, ("model",), model="builtin:golden-only")
    assert (model.model, model.releases) == ("builtin:golden-only", ())
    assert planned(ready, PARTS, notebook=tmp_path / "n.ipynb").boards is None


def test_data_and_its_part_belong_together(ready: Settings, drawn: Path) -> None:
    with pytest.raises(SettingsError, match="add --only data"):
        planned(ready, ("app",), data=drawn)
    with pytest.raises(SettingsError, match="name them: --data PATH"):
        planned(ready, ("data",))


def test_boards_can_be_named_as_they_are_in_the_workspace(ready: Settings, drawn: Path) -> None:
    shutil.copytree(drawn, ready.workspace / "datasets" / "july")
    boards = planned(ready, ("data",), data=Path("july")).boards
    assert boards is not None
    assert len(boards) == 6


def test_the_parts_before_a_refusal_stay(account: Any, ready: Settings, tmp_path: Path) -> None:
    account.refuse = ("CREATE STREAMLIT", "Insufficient privileges to operate on schema 'PUBLIC'.")
    deployment = planned(ready, ("notebook", "app"), notebook=tmp_path / "n.ipynb")
    done = deploy(account, deployment)
    assert next(done).part == "notebook"
    with pytest.raises(SnowflakeError, match="may not do this"):
        next(done)
    assert set(account.objects) == {ready.snowflake.notebook}
