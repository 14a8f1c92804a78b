from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

pytest.importorskip("streamlit")

from sqlalchemy import Engine, text
from streamlit.testing.v1 import AppTest

from copperline.dashboard import session
from copperline.dashboard.launch import READ_ONLY
from copperline.errors import WarehouseError
from copperline.warehouse import open_warehouse, write_transaction


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test reads its own settings; a server reads them once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COPPERLINE_WORKSPACE", str(tmp_path / "workspace"))
    session.settings.clear()
    yield
    session.settings.clear()


def who() -> None:
    """A page that says who looks and what they may do."""
    import streamlit as st

    from copperline.dashboard import session

    st.write(f"in {session.signed_in()} write {session.may_write()} name {session.user_name()}")


def said() -> str:
    ran = AppTest.from_function(who).run()
    assert not ran.exception
    return str(ran.markdown[0].value)


def test_without_sign_in_everyone_may_write_under_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "line-3")
    assert said() == "in True write True name line-3"


def test_an_account_without_a_name_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_account() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(getpass, "getuser", no_account)
    assert said() == f"in True write True name uid {os.getuid()}"


def test_a_read_only_server_lets_nobody_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(READ_ONLY, "1")
    assert "write False" in said()


def test_with_sign_in_nobody_is_in_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_DASHBOARD_SIGN_IN", "true")
    # The address of the visitor in Streamlit's own tests: not signed in, whatever it says.
    monkeypatch.setenv("COPPERLINE_DASHBOARD_REVIEWERS", '["test@example.com"]')
    assert said().startswith("in False write False")


def sign_in() -> None:
    from copperline.dashboard import session

    session.sign_in_page()


def test_the_sign_in_page_has_one_button(tmp_path: Path) -> None:
    secrets = tmp_path / ".streamlit" / "secrets.toml"
    secrets.parent.mkdir()
    values = {
        "redirect_uri": "http://localhost:8501/oauth2callback",
        "cookie_secret": "0123456789abcdef0123456789abcdef",
        "client_id": "a",
        "client_secret": "b",
        "server_metadata_url": "https://id.example/.well-known/openid-configuration",
    }
    secrets.write_text("[auth]\n" + "".join(f'{key} = "{value}"\n' for key, value in values.items()))
    ran = AppTest.from_function(sign_in).run()
    assert not ran.exception
    assert [button.label for button in ran.button] == ["Sign in"]


def test_the_sign_in_page_without_a_provider_says_what_to_do() -> None:
    def guarded() -> None:
        from copperline.dashboard import session
        from copperline.dashboard.failures import show_failure
        from copperline.errors import SettingsError

        try:
            session.sign_in_page()
        except SettingsError as error:
            show_failure(error)

    ran = AppTest.from_function(guarded).run()
    assert not ran.button
    assert "dashboard" in ran.error[0].value
    assert "What to do" in ran.info[0].value


def sidebar() -> None:
    from copperline.dashboard import session

    session.who_is_here()


@pytest.mark.parametrize(("read_only", "role"), [(False, "may review and promote"), (True, "view only")])
def test_the_sidebar_says_who_is_here(monkeypatch: pytest.MonkeyPatch, read_only: bool, role: str) -> None:
    monkeypatch.setenv("LOGNAME", "a_b *c*")
    if read_only:
        monkeypatch.setenv(READ_ONLY, "1")
    ran = AppTest.from_function(sidebar).run()
    assert ran.caption[0].value == rf":material/person: a\_b \*c\*, {role}"
    assert not ran.button  # nobody signed in, so nobody signs out


def test_times_are_in_the_plants_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_TIME_ZONE", "Asia/Kolkata")
    assert str(datetime(2026, 1, 1, tzinfo=session.time_zone()).utcoffset()) == "5:30:00"


def delete_all(engine: Engine) -> None:
    with write_transaction(engine) as connection:
        connection.execute(text("DELETE FROM dispositions"))


def test_reading_needs_a_warehouse_and_cannot_write() -> None:
    with pytest.raises(WarehouseError, match="found no file"):
        session.engine()
    delete_all(session.writer())
    with pytest.raises(WarehouseError, match="read-only"):
        delete_all(session.engine())


def test_another_file_in_the_warehouses_place_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "workspace" / "warehouse.db"
    open_warehouse(f"sqlite:///{file}").dispose()
    first = session.engine()
    assert session.engine() is first
    for part in file.parent.glob("warehouse.db*"):
        part.rename(tmp_path / part.name)  # kept, so that the number of its file is not used again
    open_warehouse(f"sqlite:///{file}").dispose()
    assert session.engine() is not first
