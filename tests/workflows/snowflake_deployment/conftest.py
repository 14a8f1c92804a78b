"""An account that answers what a deployment asks of it: files on real stages, the rest from a script."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

pytest.importorskip("snowflake.snowpark")

from snowflake.connector.errors import OperationalError, ProgrammingError

from copperline.settings import Settings
from copperline.snowflake.own_wheel import Wheel

LIVE = "snow://streamlit/PCB_CV.PUBLIC.PCB_DEFECT_DETECTION_APP/versions/live"
STAGE = "@PCB_CV.PUBLIC.MODEL_STAGE"
_NAME = r'(?:"PCB_CV"\."PUBLIC"\.)?"(?P<name>\w+)"'
_TEXT = r"'((?:[^'\\]|\\.|'')*)'"


@dataclass
class Object:
    """A notebook or an app, with its files as CREATE or COPY FILES brought them."""

    comment: str
    files: dict[str, bytes]
    live: bool = False
    starts: int = 1
    pool: str = "as it was made"


@dataclass
class Account:
    """Runs the statements of a deployment, and fails at any other.

    Attributes:
        session: Snowpark in local testing, for what moves files.
        statements: all that were run.
        refuse: a part of a statement that is refused, with the words.
        cut: the network fails at a statement that has this in it.
    """

    session: Any
    objects: dict[str, Object] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)
    refuse: tuple[str, str] | None = None
    cut: str | None = None
    grants: set[str] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def sql(self, statement: str) -> Any:
        rows = self._run(statement)

        class Answer:
            def collect(self) -> list[Any]:
                return [_Row(row) for row in rows]

        return Answer()

    def _run(self, statement: str) -> list[dict[str, Any]]:
        self.statements.append(statement)
        if self.cut is not None and self.cut in statement:
            raise OperationalError("Connection aborted.", errno=250003)
        if self.refuse is not None and self.refuse[0] in statement:
            raise ProgrammingError(self.refuse[1], errno=3001, sqlstate="42501")
        for pattern, answer in _ANSWERS:
            found = re.fullmatch(pattern, statement, re.DOTALL)
            if found is not None:
                rows: list[dict[str, Any]] | None = answer(self, found)
                return rows or []
        raise AssertionError(f"a statement that no deployment has: {statement}")

    def stage_files(self, folder: str) -> dict[str, bytes]:
        """What lies in a folder of the stage."""
        from pathlib import Path

        from snowflake.snowpark.mock._stage_registry import extract_stage_name_and_prefix

        stage, _ = extract_stage_name_and_prefix('@"PCB_CV"."PUBLIC"."MODEL_STAGE"')
        root = Path(self.session._conn.stage_registry[stage]._working_directory) / folder
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def of(self, name: str) -> Object:
        if name not in self.objects:
            raise ProgrammingError(
                f"SQL compilation error: '{name}' does not exist or not authorized.", errno=2003, sqlstate="02000"
            )
        return self.objects[name]

    # What each statement does.

    def _describe(self, found: re.Match[str]) -> list[dict[str, Any]]:
        one = self.of(found["name"])
        return [{"comment": one.comment, "live_version_location_uri": LIVE if one.live else None}]

    def _create(self, found: re.Match[str]) -> None:
        folder, comment = found["folder"], found["comment"]
        files = self.stage_files(folder)
        assert files, f"nothing in {folder}"
        assert found["main"] in files
        self.objects.setdefault(found["name"], Object(comment, files))

    def _live(self, found: re.Match[str]) -> None:
        one = self.of(found["name"])
        if one.live:
            raise ProgrammingError("There is already a live version.", errno=99106, sqlstate="42710")
        one.live = True

    def _comment(self, found: re.Match[str]) -> None:
        self.of(found["name"]).comment = found["comment"]

    def _copy(self, found: re.Match[str]) -> None:
        assert found["live"] == f"{LIVE}/"
        staged = self.stage_files(found["folder"])
        for name in re.findall(_TEXT, found["files"]):
            self.objects["PCB_DEFECT_DETECTION_APP"].files[name] = staged[name]

    def _fit(self, found: re.Match[str]) -> None:
        self.of(found["name"]).pool = found["pool"]

    def _restart(self, found: re.Match[str]) -> None:
        self.objects[found["name"]].starts += 1

    def _share(self, found: re.Match[str]) -> None:
        self.of(found["name"])
        self.grants.add(found["role"])

    def _nothing(self, found: re.Match[str]) -> None:
        return None


class _Row(dict[str, Any]):
    def as_dict(self) -> dict[str, Any]:
        return dict(self)


_FROM = r"FROM '@\"PCB_CV\"\.\"PUBLIC\"\.\"MODEL_STAGE\"/(?P<folder>[\w/]+?)/?'"
_ANSWERS: tuple[tuple[str, Callable[[Account, re.Match[str]], Any]], ...] = (
    (rf"DESCRIBE (?:STREAMLIT|NOTEBOOK) {_NAME}", Account._describe),
    (
        rf"CREATE (?:STREAMLIT|NOTEBOOK) IF NOT EXISTS {_NAME}\n  {_FROM}\n  MAIN_FILE = '(?P<main>[\w.]+)'\n.*"
        r"COMMENT = '(?P<comment>[^']*)'\n.*",
        Account._create,
    ),
    (rf"ALTER (?:STREAMLIT|NOTEBOOK) {_NAME} ADD LIVE VERSION FROM LAST", Account._live),
    (rf"ALTER (?:STREAMLIT|NOTEBOOK) {_NAME} SET COMMENT = '(?P<comment>[^']*)'", Account._comment),
    (
        rf"ALTER STREAMLIT {_NAME} SET\n  QUERY_WAREHOUSE = \"\w+\"\n  RUNTIME_NAME = '[\w$]+'\n"
        r"  COMPUTE_POOL = \"(?P<pool>\w+)\"\n  ARTIFACT_REPOSITORIES = \([\w.]+\)",
        Account._fit,
    ),
    (rf"ALTER NOTEBOOK {_NAME} SET EXTERNAL_ACCESS_INTEGRATIONS = \(\"\w+\"\)", Account._nothing),
    (rf"COPY FILES INTO '(?P<live>[^']+)'\n  {_FROM}\n  FILES = \((?P<files>.*)\)", Account._copy),
    (rf"CALL SYSTEM\$RESTART_STREAMLIT\('{_NAME}'\)", Account._restart),
    (rf"GRANT USAGE ON STREAMLIT {_NAME} TO ROLE \"(?P<role>\w+)\"", Account._share),
)


@pytest.fixture
def account(snowpark: Any) -> Account:
    """Empty, but for its stage."""
    return Account(snowpark)


@pytest.fixture
def small() -> Wheel:
    """In a wheel's place, where what is in it does not count."""
    return Wheel("copperline-0.1.0-py3-none-any.whl", b"a wheel")


@pytest.fixture
def settings() -> Settings:
    """As they are without a file."""
    return Settings()
