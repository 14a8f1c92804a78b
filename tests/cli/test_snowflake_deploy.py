from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit")
pytest.importorskip("snowflake.snowpark")

from copperline.cli import snowflake_deploy
from copperline.snowflake.own_wheel import Wheel
from copperline.workflows.snowflake_deployment import PARTS, Deployed

Run = Callable[..., Any]
VARIABLES = ("ACCOUNT", "USER", "PASSWORD", "TOKEN", "DEFAULT_CONNECTION_NAME")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, without an account; the wheel is none."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(f"SNOWFLAKE_{name}", raising=False)
    small = Wheel("copperline-0.1.0-py3-none-any.whl", b"a wheel")
    monkeypatch.setattr("copperline.workflows.snowflake_deployment.deployment.own_wheel", lambda extras: small)
    (tmp_path / "n.ipynb").write_bytes(b"{}")


def test_a_dry_run_needs_no_account_and_shows_files_and_sql(copperline: Run) -> None:
    ran = copperline("snowflake", "deploy", "--dry-run", "--notebook", "n.ipynb")
    assert (ran.status, ran.err) == (0, "")
    assert "-- builtin:deeppcb as version of YOLO_PCB_DETECTOR, and its champion" in ran.out
    assert 'CREATE STREAMLIT IF NOT EXISTS "PCB_CV"."PUBLIC"."PCB_DEFECT_DETECTION_APP"' in ran.out
    [wheel, *_] = [line for line in ran.out.splitlines() if line.endswith(".whl")]
    assert "7 bytes" in wheel
    assert "@MODEL_STAGE/notebook/" in wheel
    # All that is no SQL is a comment.
    assert all(line.startswith(("--", "CREATE", "  ", "ALTER", "GRANT")) for line in ran.out.splitlines())


def test_the_help_names_all_parts(copperline: Run) -> None:
    assert set(snowflake_deploy._PARTS) == set(PARTS)
    assert "data, model, notebook, app" in copperline("snowflake", "deploy", "--help").out


def test_a_dry_run_for_machines(copperline: Run) -> None:
    said = copperline("snowflake", "deploy", "--dry-run", "--only", "app", "--json").json
    assert (said["boards"], said["model"]) == (None, None)
    assert {"path", "bytes", "sha256"} == set(said["files"][0])
    assert [one["sql"].split()[0] for one in said["statements"]] == ["CREATE", "ALTER", "ALTER", "GRANT"]


def test_without_credentials_it_says_which_variables(copperline: Run) -> None:
    ran = copperline("snowflake", "deploy", "--only", "app")
    assert ran.status == 1
    assert ran.err.startswith("error: expected credentials for Snowflake, found none; set SNOWFLAKE_ACCOUNT")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "apps"), "--only: expected one of data, model, notebook, app, found 'apps'"),
        (("--only", "data"), "name them: --data PATH"),
        (("--only", "notebook", "--notebook", "gone.ipynb"), "expected a notebook, found none"),
        (("--only", "data", "--data", "gone"), "gone"),
        (("--only", "model", "--project", "there"), "expected the app or the notebook to write"),
    ],
)
def test_what_cannot_be_deployed_is_told_in_one_line(copperline: Run, arguments: tuple[str, ...], said: str) -> None:
    ran = copperline("snowflake", "deploy", *arguments)
    assert ran.status == 1
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_the_project_is_written_and_nothing_sent(copperline: Run, tmp_path: Path) -> None:
    ran = copperline("snowflake", "deploy", "--project", "there", "--notebook", "n.ipynb")
    assert ran.status == 0
    assert (tmp_path / "there" / "snowflake.yml").is_file()
    assert ran.out.splitlines()[-1].startswith("Next: cd there; snow streamlit deploy dashboard")


class Session:
    """Says what the account is called."""

    def __init__(self, organization: str | None) -> None:
        self.organization = organization

    def sql(self, statement: str) -> Session:
        assert statement == "SELECT CURRENT_ORGANIZATION_NAME(), CURRENT_ACCOUNT_NAME()"
        return self

    def collect(self) -> list[tuple[str | None, str]]:
        return [(self.organization, "PLANT_1")]


@pytest.fixture
def in_account(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None, bool], None]:
    """Every part is done at once."""

    def made(organization: str | None, changed: bool) -> None:
        @contextmanager
        def opened(names: object) -> Iterator[Session]:
            yield Session(organization)

        def done(session: Session, deployment: Any) -> Iterator[Deployed]:
            yield Deployed("app", changed, 3 if changed else 0, "The dashboard is there.")

        monkeypatch.setattr("copperline.snowflake.session.session_for", opened)
        monkeypatch.setattr("copperline.workflows.snowflake_deployment.deploy", done)

    return made


def test_it_ends_with_the_address_and_what_is_next(copperline: Run, in_account: Callable[..., None]) -> None:
    in_account("ACME", True)
    ran = copperline("snowflake", "deploy", "--only", "app")
    assert ran.out.splitlines() == [
        "The dashboard is there.",
        "Dashboard: https://app.snowflake.com/ACME/PLANT_1/#/streamlit-apps/PCB_CV.PUBLIC.PCB_DEFECT_DETECTION_APP",
        "Next: GRANT ROLE PCB_CV_READER TO USER ..., for each who is to look at it",
    ]


def test_a_repeat_says_that_nothing_was_sent(copperline: Run, in_account: Callable[..., None]) -> None:
    in_account(None, False)
    ran = copperline("snowflake", "deploy", "--only", "app")
    assert ran.out.splitlines()[:2] == [
        "The dashboard is there. Nothing was sent.",
        "Dashboard: in Snowsight under Projects, Streamlit, PCB_DEFECT_DETECTION_APP",
    ]
    assert copperline("snowflake", "deploy", "--only", "app", "--json").json == {
        "parts": {"app": {"changed": False, "sent_files": 0, "said": "The dashboard is there."}},
        "dashboard": None,
    }
