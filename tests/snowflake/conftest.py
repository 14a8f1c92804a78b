"""An account that is not there: what setup, status and teardown say to one, for the statements that fakesnow rejects.

It keeps objects by kind and name with owner and comment, knows roles and who may act as them, and refuses with the
connector's own errors. It understands the forms of statement that are rendered here, and no others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from copperline.snowflake.objects import AccountObject
from copperline.snowflake_settings import SnowflakeSettings
from copperline.workflows.snowflake_account import objects_of

_NAME = r'"(?:[^"]|"")*"|\w+'
_FULL = rf"(?:(?:{_NAME})\.)*(?:{_NAME})"
_KINDS = (
    "EXTERNAL ACCESS INTEGRATION|API INTEGRATION|INTEGRATION|RESOURCE MONITOR|COMPUTE POOL|NETWORK RULE|"
    "IMAGE REPOSITORY|GIT REPOSITORY|WAREHOUSE|DATABASE|SCHEMA|STAGE|TABLE|ROLE|TAG|NOTEBOOK|STREAMLIT|MODEL"
)
_INSIDE = frozenset({"NETWORK RULE", "TAG", "STAGE", "TABLE", "IMAGE REPOSITORY", "GIT REPOSITORY", "NOTEBOOK",
                     "STREAMLIT", "MODEL"})  # fmt: skip
_WITHOUT_OWNER = ("INTEGRATION",)


@dataclass
class FakeAccount:
    """A callable that runs one statement, as `account.runner` gives it."""

    user: str = "ANN"
    role: str = "PUBLIC"
    may_act_as: set[str] = field(default_factory=lambda: {"PUBLIC", "ACCOUNTADMIN"})
    families: tuple[str, ...] = ("CPU_X64_XS", "GPU_NV_S", "GPU_NV_M")
    objects: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    refuse: dict[str, Exception] = field(default_factory=dict)

    def __call__(self, sql: str) -> list[dict[str, Any]]:
        self.ran.append(sql)
        for beginning, error in self.refuse.items():
            if sql.startswith(beginning):
                raise error
        for pattern, answer in _FORMS:
            match = re.fullmatch(pattern, sql, re.DOTALL)
            if match:
                return answer(self, match)
        raise _error(f"SQL compilation error: syntax error: {sql}", 1003, "42000")

    def add(self, kind: str, name: str, owner: str, comment: str = "") -> None:
        self.objects[kind, name] = {"owner": owner, "comment": comment}

    def names(self, kind: str) -> set[str]:
        return {name for found, name in self.objects if found == kind}

    @property
    def changes(self) -> list[str]:
        return [sql for sql in self.ran if not sql.startswith(("SHOW", "SELECT", "USE"))]

    def _use(self, match: re.Match[str]) -> list[dict[str, Any]]:
        wanted = _unquoted(match[1])
        if wanted not in self.may_act_as:
            raise _error(
                f"SQL access control error: Requested role '{wanted}' is not assigned to the executing user. "
                "Specify another role to activate.",
                3013,
                "42501",
            )
        self.role = wanted
        return []

    def _current(self, match: re.Match[str]) -> list[dict[str, Any]]:
        return [{match[0]: {"USER": self.user, "ROLE": self.role}[match[1]]}]

    def _create(self, match: re.Match[str]) -> list[dict[str, Any]]:
        kind, name = match["kind"], _unquoted(match["name"])
        comment = re.search(r"COMMENT = '((?:[^']|'')*)'", match["rest"])
        if (kind, name) not in self.objects:
            self.add(kind, name, self.role, comment[1].replace("''", "'") if comment and kind != "TABLE" else "")
            if kind == "DATABASE":
                self.add("SCHEMA", "PUBLIC", self.role)
            if kind == "ROLE":
                self.may_act_as.add(name)
        return []

    def _drop(self, match: re.Match[str]) -> list[dict[str, Any]]:
        kind, name = match["kind"], _unquoted(match["name"])
        kinds = [k for k in _KINDS.split("|") if k.endswith(kind)] if kind == "INTEGRATION" else [kind]
        for one in kinds:
            self.objects.pop((one, name), None)
        if kind == "DATABASE":
            self.objects = {k: v for k, v in self.objects.items() if k[0] not in _INSIDE | {"SCHEMA"}}
        return []

    def _nothing(self, _: re.Match[str]) -> list[dict[str, Any]]:
        return []

    def _families(self, _: re.Match[str]) -> list[dict[str, Any]]:
        return [{"name": name} for name in self.families]

    def _strangers(self, match: re.Match[str]) -> list[dict[str, Any]]:
        kinds = {"SCHEMAS": {"SCHEMA"}, "OBJECTS": {"TABLE", "VIEW"}}[match[1]]
        return [{"name": name, **row} for (kind, name), row in self.objects.items() if kind in kinds]

    def _show(self, match: re.Match[str]) -> list[dict[str, Any]]:
        kind = re.sub("IES$", "Y", match["kinds"]).removesuffix("S")
        if kind in _INSIDE | {"SCHEMA"} and not self.names("DATABASE"):
            raise _error("SQL compilation error: Database 'X' does not exist or not authorized.", 2003, "02000")
        fits = _like(match["pattern"]) if match["pattern"] else re.compile(".*")
        rows = [{"name": name, **row} for (found, name), row in self.objects.items() if found == kind]
        rows = [row for row in rows if fits.fullmatch(row["name"])]
        if kind.endswith(_WITHOUT_OWNER):
            rows = [{name: value for name, value in row.items() if name != "owner"} for row in rows]
        return rows


_FORMS = (
    (rf"USE ROLE ({_NAME})", FakeAccount._use),
    (r"SELECT CURRENT_(USER|ROLE)\(\)", FakeAccount._current),
    (rf"CREATE (?P<kind>{_KINDS}) IF NOT EXISTS (?P<name>{_FULL})(?P<rest>.*)", FakeAccount._create),
    (rf"DROP (?P<kind>{_KINDS}) IF EXISTS (?P<name>{_FULL})", FakeAccount._drop),
    (r"GRANT .*|SET COPPERLINE_USER = .*|ALTER .*", FakeAccount._nothing),
    (r"SHOW COMPUTE POOL INSTANCE FAMILIES", FakeAccount._families),
    (rf"SHOW (SCHEMAS|OBJECTS) IN DATABASE (?:{_NAME})", FakeAccount._strangers),
    (
        rf"SHOW (?P<kinds>[A-Z ]+?)(?: LIKE '(?P<pattern>(?:[^']|'')*)')?(?: IN (?:SCHEMA|DATABASE) {_FULL})?",
        FakeAccount._show,
    ),
)


def _error(message: str, number: int, state: str) -> Exception:
    """As the connector raises it."""
    from snowflake.connector.errors import ProgrammingError

    error: Exception = ProgrammingError(message, errno=number, sqlstate=state)
    return error


def _unquoted(name: str) -> str:
    last = re.findall(_NAME, name)[-1]
    return last[1:-1].replace('""', '"') if last.startswith('"') else last.upper()


def _like(literal: str) -> re.Pattern[str]:
    """The pattern of a LIKE, from the inside of its literal, as Snowflake reads it: escapes twice, any case."""
    pattern = re.sub(r"\\(.)", r"\1", literal.replace("''", "'"))
    parts = re.findall(r"\\.|%|_|[^\\%_]+", pattern, re.DOTALL)
    words = {"%": ".*", "_": "."}
    return re.compile(
        "".join(words.get(part) or re.escape(part[1:] if part.startswith("\\") else part) for part in parts),
        re.IGNORECASE | re.DOTALL,
    )


@pytest.fixture
def account() -> FakeAccount:
    return FakeAccount()


@pytest.fixture
def names() -> SnowflakeSettings:
    return SnowflakeSettings(git_url="https://git.example/boards/copperline")


@pytest.fixture
def objects(names: SnowflakeSettings) -> tuple[AccountObject, ...]:
    return objects_of(names)
