from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("snowflake.snowpark")

from snowflake.connector.errors import OperationalError

from copperline.errors import SnowflakeError, StageError
from copperline.settings import Settings
from copperline.snowflake.own_wheel import Wheel
from copperline.snowflake_settings import SnowflakeSettings
from copperline.stage.folders import MANIFEST
from copperline.workflows.snowflake_deployment.app_folder import app_release
from copperline.workflows.snowflake_deployment.deployed_releases import DeployedRelease, deployed_releases
from copperline.workflows.snowflake_deployment.release import Release
from copperline.workflows.snowflake_deployment.steps import install_app, install_notebook

NAMES = SnowflakeSettings()
APP, NOTEBOOK = NAMES.streamlit, NAMES.notebook


@pytest.fixture
def app(settings: Settings, small: Wheel) -> Release:
    return app_release(settings, small)


@pytest.fixture
def notebook() -> Release:
    return Release("notebook", {"n.ipynb": b"{}", "copperline-0.1.0-py3-none-any.whl": b"a wheel"})


def other(release: Release) -> Release:
    """A later release: one file changed, one new."""
    return Release(release.kind, {**release.files, "streamlit_app.py": b"import streamlit", "new.toml": b""})


def without_manifest(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name != MANIFEST}


def test_the_app_is_made_from_the_files_on_the_stage(account: Any, app: Release) -> None:
    done = install_app(account, NAMES, app)
    made = account.objects[APP]
    assert without_manifest(made.files) == dict(app.files)
    assert made.live
    assert made.comment == f"Made by Copperline: the dashboard, release {app.name}"
    assert account.grants == {NAMES.reader_role}
    assert (done.changed, done.sent_files) == (True, len(app.files))
    assert done.said == f"The dashboard {APP} was made, release {app.name}."
    [create] = [s for s in account.statements if s.startswith("CREATE")]
    assert "RUNTIME_NAME = 'SYSTEM$ST_CONTAINER_RUNTIME_PY3_11'" in create
    assert "ARTIFACT_REPOSITORIES = (snowflake.snowpark.pypi_shared_repository)" in create
    assert "EXTERNAL_ACCESS" not in create


def test_a_second_time_nothing_is_sent_and_nothing_changes(account: Any, app: Release) -> None:
    install_app(account, NAMES, app)
    before = account.objects[APP]
    account.statements.clear()
    done = install_app(account, NAMES, app)
    assert (done.changed, done.sent_files) == (False, 0)
    assert "is up to date" in done.said
    assert account.objects[APP] is before
    assert before.starts == 1
    assert [s.split(maxsplit=1)[0] for s in account.statements] == ["DESCRIBE", "GRANT"]


def test_a_later_release_replaces_the_files_starts_the_app_again_and_keeps_its_grants(
    account: Any, app: Release
) -> None:
    install_app(account, NAMES, app)
    later = other(app)
    done = install_app(account, NAMES, later)
    assert done.changed
    made = account.objects[APP]
    assert without_manifest(made.files) == dict(later.files)
    assert made.starts == 2
    assert made.comment.endswith(later.name)
    assert not [s for s in account.statements if "REPLACE" in s or s.startswith("DROP")]
    assert made.pool == NAMES.streamlit_pool
    # And back: the former release is still on the stage.
    back = install_app(account, NAMES, app)
    assert (back.changed, back.sent_files) == (True, 0)
    assert made.files["streamlit_app.py"] == app.files["streamlit_app.py"]


@pytest.mark.parametrize("cut", ["CREATE STREAMLIT", "ADD LIVE", "SET COMMENT", "GRANT"])
def test_whatever_statement_the_network_is_cut_at_the_next_run_finishes(account: Any, app: Release, cut: str) -> None:
    account.cut = cut
    with pytest.raises(SnowflakeError, match="start again"):
        install_app(account, NAMES, app)
    account.cut = None
    done = install_app(account, NAMES, app)
    made = account.objects[APP]
    assert without_manifest(made.files) == dict(app.files)
    assert made.live
    assert made.comment.endswith(app.name)
    assert account.grants == {NAMES.reader_role}
    assert done.sent_files == 0


@pytest.mark.parametrize("cut", ["QUERY_WAREHOUSE", "COPY FILES", "RESTART", "SET COMMENT"])
def test_an_update_that_was_cut_is_done_again_until_the_new_code_runs(account: Any, app: Release, cut: str) -> None:
    install_app(account, NAMES, app)
    later = other(app)
    account.cut = cut
    with pytest.raises(SnowflakeError):
        install_app(account, NAMES, later)
    made = account.objects[APP]
    assert made.comment.endswith(app.name)  # it does not say that it is the new one
    account.cut = None
    starts = made.starts
    install_app(account, NAMES, later)
    assert without_manifest(made.files) == dict(later.files)
    assert made.starts == starts + 1
    assert made.comment.endswith(later.name)


class Cut:
    """The session's files, until the network ends."""

    def __init__(self, file: Any, after: int) -> None:
        self.file, self.left = file, after

    def __getattr__(self, name: str) -> Any:
        def moved(*arguments: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise OperationalError("Connection aborted.", errno=250003)
            return getattr(self.file, name)(*arguments, **options)

        return moved


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("copperline.stage.snowflake_files._PAUSE_S", 0.0)
    yield


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("after", [1, 3])
def test_a_cut_while_sending_leaves_no_app_and_shows_and_the_next_run_sends_the_rest(
    account: Any, app: Release, after: int
) -> None:
    whole = account.session.file
    account.__dict__["file"] = Cut(whole, after)
    with pytest.raises((StageError, SnowflakeError), match="start again"):
        install_app(account, NAMES, app)
    assert account.objects == {}
    account.__dict__["file"] = whole
    [half] = deployed_releases(account, NAMES)
    assert (half.kind, half.name, half.complete, half.runs) == ("app", app.name, False, False)
    install_app(account, NAMES, app)
    assert without_manifest(account.objects[APP].files) == dict(app.files)
    assert deployed_releases(account, NAMES) == [
        DeployedRelease("app", app.name, True, len(app.files), app.nbytes, True)
    ]


def test_releases_on_the_stage_say_which_of_them_runs(account: Any, app: Release, notebook: Release) -> None:
    assert deployed_releases(account, NAMES) == []
    install_app(account, NAMES, app)
    install_app(account, NAMES, other(app))
    install_notebook(account, NAMES, notebook, "n.ipynb")
    runs = {(release.kind, release.name): release.runs for release in deployed_releases(account, NAMES)}
    assert runs == {("app", app.name): False, ("app", other(app).name): True, ("notebook", notebook.name): True}


def test_an_app_of_somebody_else_is_left_alone(account: Any, app: Release) -> None:
    install_app(account, NAMES, app)
    account.objects[APP].comment = "the finance department's"
    files = dict(account.objects[APP].files)
    with pytest.raises(SnowflakeError, match=r"expected one that Copperline made.*nothing of it was changed"):
        install_app(account, NAMES, other(app))
    assert account.objects[APP].files == files
    assert account.objects[APP].comment == "the finance department's"


def test_an_app_that_another_role_hides_is_told_of(account: Any, app: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(statement: str) -> list[dict[str, Any]]:
        if statement.startswith("CREATE"):
            return []
        return original(statement)

    original = account._run
    monkeypatch.setattr(account, "_run", hidden)
    with pytest.raises(SnowflakeError, match=r"none that this role can see; another role has an app of that name"):
        install_app(account, NAMES, app)


def test_a_missing_privilege_is_told_in_one_line(account: Any, app: Release) -> None:
    account.refuse = ("CREATE STREAMLIT", "Insufficient privileges to operate on schema 'PUBLIC'.")
    with pytest.raises(SnowflakeError) as caught:
        install_app(account, NAMES, app)
    assert re.search(
        r"the role may not do this \(Insufficient privileges.*copperline snowflake setup", str(caught.value)
    )
    assert "\n" not in str(caught.value)


def test_the_notebook_is_made_once_and_stays_as_people_left_it(account: Any, notebook: Release) -> None:
    assert install_notebook(account, NAMES, notebook, "n.ipynb").said == f"The notebook {NOTEBOOK} was made."
    made = account.objects[NOTEBOOK]
    assert made.live
    made.files["n.ipynb"] = b"edited in Snowsight"
    again = install_notebook(account, NAMES, notebook, "n.ipynb")
    assert (again.changed, again.sent_files) == (False, 0)
    later = Release("notebook", {**notebook.files, "n.ipynb": b'{"cells": []}'})
    done = install_notebook(account, NAMES, later, "n.ipynb")
    assert done.said == (
        f"The notebook {NOTEBOOK} stays as it is; the new one lies in @MODEL_STAGE/{later.folder}: drop it to get that."
    )
    assert made.files["n.ipynb"] == b"edited in Snowsight"
    assert account.stage_files(later.folder)["n.ipynb"] == b'{"cells": []}'


@pytest.mark.parametrize("cut", ["CREATE NOTEBOOK", "ADD LIVE", "EXTERNAL_ACCESS", "SET COMMENT"])
def test_a_notebook_that_was_cut_while_it_was_made_is_finished(account: Any, notebook: Release, cut: str) -> None:
    account.cut = cut
    with pytest.raises(SnowflakeError):
        install_notebook(account, NAMES, notebook, "n.ipynb")
    account.cut = None
    install_notebook(account, NAMES, notebook, "n.ipynb")
    assert account.objects[NOTEBOOK].live
    assert account.objects[NOTEBOOK].comment.endswith(f"release {notebook.name}")


def test_a_notebook_that_may_reach_nothing_gets_no_integration(account: Any, notebook: Release) -> None:
    closed = SnowflakeSettings(allowed_hosts=())
    install_notebook(account, closed, notebook, "n.ipynb")
    assert not [s for s in account.statements if "EXTERNAL_ACCESS" in s]
