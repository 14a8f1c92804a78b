"""The rendered SQL: what stands in it, in which order, and that a name is never more than a name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from copperline.snowflake.all_objects import account_objects
from copperline.snowflake.objects import AccountObject, TableDdl
from copperline.snowflake.script import setup_script, setup_steps, teardown_script, teardown_steps
from copperline.snowflake_settings import SnowflakeSettings
from copperline.workflows.snowflake_account import objects_of

pytest.importorskip("snowflake.sqlalchemy", reason="the extra snowflake is not installed")
sqlglot = pytest.importorskip("sqlglot", reason="sqlglot is not installed")

GOLDEN = Path(__file__).parent / "golden"
NAMES = SnowflakeSettings(git_url="https://git.example/boards/copperline")
# Not the warehouse's own, which have tests of their own and change with it.
TABLES = (
    TableDdl("BOARDS", 'CREATE TABLE IF NOT EXISTS "PCB_CV"."PUBLIC".boards (board_id VARCHAR(64))', readable=True),
    TableDdl("SECRETS", 'CREATE TABLE IF NOT EXISTS "PCB_CV"."PUBLIC".secrets (hash VARCHAR(64))', readable=False),
)
OBJECTS = account_objects(NAMES, TABLES)
ALL = objects_of(NAMES)


@pytest.mark.parametrize(
    ("file", "text"),
    [("setup.sql", setup_script(OBJECTS)), ("teardown.sql", teardown_script(NAMES, OBJECTS))],
)
def test_the_script_is_as_it_was_reviewed(file: str, text: str) -> None:
    golden = GOLDEN / file
    assert text == golden.read_text(encoding="utf-8"), f"if this is meant, write it to {golden.name} and review it"


def _statements(script: str) -> list[list[Any]]:
    """The tokens of each statement, as sqlglot's reader of Snowflake's SQL takes them apart."""
    statements: list[list[Any]] = [[]]
    for token in sqlglot.tokenize(script, read="snowflake"):
        if token.token_type == sqlglot.tokens.TokenType.SEMICOLON:
            statements.append([])
        else:
            statements[-1].append(token)
    assert statements.pop() == [], "the last statement has no end"
    return statements


def _sql(objects: tuple[AccountObject, ...], names: SnowflakeSettings = NAMES) -> list[str]:
    return [step.statement.sql for step in (*setup_steps(objects), *teardown_steps(names, objects))]


def test_each_statement_stands_alone_in_the_script() -> None:
    assert len(_statements(setup_script(ALL))) == len(setup_steps(ALL))
    assert len(_statements(teardown_script(NAMES, ALL))) == len(teardown_steps(NAMES, ALL))


def test_what_sqlglot_knows_parses_as_what_it_is_meant_to_be() -> None:
    known = ("CREATE DATABASE", "CREATE SCHEMA", "CREATE TABLE", "CREATE STAGE", "CREATE WAREHOUSE", "CREATE TAG")
    kinds = []
    for sql in _sql(ALL):
        if sql.startswith((*known, "DROP DATABASE", "GRANT USAGE ON", "GRANT SELECT")):
            tree = sqlglot.parse_one(sql, read="snowflake")
            assert isinstance(tree, (sqlglot.exp.Create, sqlglot.exp.Drop, sqlglot.exp.Grant)), sql
            kinds.append(type(tree).__name__)
    assert kinds.count("Create") >= 25
    assert kinds.count("Grant") >= 20


def test_the_administrator_comes_first_and_never_again() -> None:
    uses = [step.role for step in setup_steps(ALL) if step.statement.sql.startswith("USE ROLE")]
    assert uses == ["ACCOUNTADMIN", "PCB_CV_ROLE"]
    assert setup_steps(ALL)[0].statement.sql == 'USE ROLE "ACCOUNTADMIN"'
    as_role = [step.statement.sql for step in setup_steps(ALL) if step.role == "PCB_CV_ROLE"]
    assert not any("ACCOUNTADMIN" in sql for sql in as_role)
    assert all(re.match(r"USE ROLE|CREATE (STAGE|TABLE|IMAGE REPOSITORY|GIT REPOSITORY)|GRANT SELECT ON TABLE", sql)
               for sql in as_role)  # fmt: skip


def test_privileges_are_few_and_named() -> None:
    script = setup_script(ALL)
    for never in ("OR REPLACE", "ALL PRIVILEGES", "GRANT ALL", "TO ROLE PUBLIC", 'TO ROLE "PUBLIC"', "0.0.0.0",
                  "GRANT OPTION", "BIND SERVICE ENDPOINT", "ON ACCOUNT", "OWNERSHIP", "FUTURE"):  # fmt: skip
        assert never not in script, never
    to_reader = [sql for sql in _sql(ALL) if sql.endswith('TO ROLE "PCB_CV_READER"')]
    assert {sql.split(" ON ")[0] for sql in to_reader} == {"GRANT USAGE", "GRANT SELECT"}
    readable = {sql.split('"')[5] for sql in to_reader if sql.startswith("GRANT SELECT")}
    assert "INSPECTIONS" in readable
    assert readable.isdisjoint({"API_KEYS", "AUDIT_LOG", "EVENTS", "DELIVERIES", "INSPECTION_REQUESTS"})


def test_network_and_git_reach_what_is_named_and_no_more() -> None:
    script = setup_script(ALL)
    # When the rule is made, and where one was there before.
    assert re.findall(r"VALUE_LIST = \((.*?)\)", script) == 2 * [
        "'pypi.org:443', 'files.pythonhosted.org:443', 'github.com:443', 'codeload.github.com:443'"
    ]
    assert re.findall(r"API_ALLOWED_PREFIXES = \((.*?)\)", script) == ["'https://git.example/boards/copperline'"]
    closed = setup_script(objects_of(SnowflakeSettings(allowed_hosts=())))
    assert "NETWORK RULE" not in closed
    assert "INTEGRATION" not in closed


def test_nothing_that_costs_runs_after_setup() -> None:
    for kind in ("WAREHOUSE", "COMPUTE POOL"):
        (sql,) = [sql for sql in _sql(ALL) if sql.startswith(f"CREATE {kind}")]
        assert "INITIALLY_SUSPENDED = TRUE" in sql
        assert re.search(r"AUTO_SUSPEND(_SECS)? = [1-9]", sql)
    assert not any(sql.startswith(("SELECT", "INSERT", "USE WAREHOUSE")) for sql in _sql(ALL))


def test_every_object_of_setup_is_looked_for_and_removed() -> None:
    made = {(step.about.kind, step.about.name) for step in setup_steps(ALL) if step.about is not None}
    assert made == {(thing.kind, thing.name) for thing in ALL if thing.maker == "setup"}
    assert all(thing.show.startswith("SHOW ") for thing in ALL)
    removed = {(step.about.kind, step.about.name) for step in teardown_steps(NAMES, ALL) if step.about is not None}
    inside = {(thing.kind, thing.name) for thing in ALL if thing.place != "account"}
    assert made <= removed | inside
    assert ("DATABASE", "PCB_CV") in removed, "what lies inside goes with it"
    single = teardown_steps(NAMES, [thing for thing in ALL if thing.kind != "DATABASE"])
    assert {(step.about.kind, step.about.name) for step in single if step.about} == {
        (thing.kind, thing.name) for thing in ALL if thing.kind != "DATABASE"
    }


def test_nothing_is_used_before_it_is_made_or_after_it_is_removed() -> None:
    full_names = {
        (thing.kind, thing.name): NAMES.in_schema(thing.name)
        if thing.place == "schema"
        else NAMES.schema_in_sql
        if thing.place == "database"
        else f'"{thing.name}"'
        for thing in ALL
    }
    made: set[tuple[str, str]] = set()
    for step in setup_steps(ALL):
        if step.about is not None:
            made.add((step.about.kind, step.about.name))
        for key, full_name in full_names.items():
            # As a whole: "PCB_CV" alone is the database, and stands within the schema's name, too.
            used = re.search(rf"(?<![\w.\"]){re.escape(full_name)}(?![\w.\"])", step.statement.sql)
            assert used is None or key in made, (key, step.statement.sql)
        if step.about is not None and step.about.place != "account":
            assert ("DATABASE", NAMES.database) in made
    removed = [step.about.kind for step in teardown_steps(NAMES, ALL) if step.about is not None]
    order = ["EXTERNAL ACCESS INTEGRATION", "DATABASE", "RESOURCE MONITOR", "ROLE"]
    assert [kind for kind in dict.fromkeys(removed) if kind in order] == order


PRINTABLE = st.text(
    st.characters(exclude_categories=("C", "Z")) | st.sampled_from("\"'; -/*$\\%_@{}()"), min_size=1, max_size=40
)


@given(PRINTABLE)
@example('"; DROP DATABASE PROD; --')
@example("'; DROP DATABASE PROD; --")
@example("$$ */ -- \\")
@example("Fabrik Süd 日本 🏭")
def test_a_name_stays_one_name(name: str) -> None:
    names = SnowflakeSettings.model_validate(
        {"database": name, "schema_name": name, "warehouse": name, "stage": name, "resource_monitor": name,
         "network_rule": name, "tag": name, "role": f"role of {name}", "git_url": "https://git.example/a/b"}
    )  # fmt: skip
    kept = names.database
    assert kept in (name, name.upper())
    plain = account_objects(NAMES, ())
    objects = account_objects(names, ())
    statements = _statements(setup_script(objects))
    assert len(statements) == len(setup_steps(plain))
    assert len(_statements(teardown_script(names, objects))) == len(teardown_steps(NAMES, plain))
    for kind in ("DATABASE", "WAREHOUSE"):
        (made,) = [tokens for tokens in statements if [t.text.upper() for t in tokens[:2]] == ["CREATE", kind]]
        identifiers = [token.text for token in made if token.token_type == sqlglot.tokens.TokenType.IDENTIFIER]
        assert identifiers[0] == kept, "the name comes back exactly"
    shown = next(thing.show for thing in objects if thing.kind == "DATABASE")
    (pattern,) = sqlglot.tokenize(shown.removeprefix("SHOW DATABASES LIKE "), read="snowflake")
    assert pattern.token_type == sqlglot.tokens.TokenType.STRING
    assert re.sub(r"\\(.)", r"\1", pattern.text) == kept, "no wildcard is left"
    assert re.search(r"(?<!\\)(\\\\)*[%_]", pattern.text) is None


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00b", "tab\there", "a\u2028b", "x" * 256])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        SnowflakeSettings(database=name)
