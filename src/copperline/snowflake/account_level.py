"""Roles, limits, database, schema and warehouse: what the administrator makes and keeps owning."""

from __future__ import annotations

from copperline.snowflake.marks import comment
from copperline.snowflake.objects import AccountObject, Statement, Voucher, grant, of_account, of_schema, owns
from copperline.snowflake.sql import like
from copperline.snowflake_settings import SnowflakeSettings, quoted

# What the role may make in the schema; it owns what it makes. Temporary tables and stages need the same privileges.
CREATES = (
    "TABLE", "VIEW", "STAGE", "FILE FORMAT", "IMAGE REPOSITORY", "GIT REPOSITORY", "NOTEBOOK", "STREAMLIT", "MODEL",
    "SERVICE",
)  # fmt: skip


def role(names: SnowflakeSettings) -> AccountObject:
    """That which trains, inspects, and owns what it makes."""
    own = quoted(names.role)
    says = "works with the objects" + (_and_monitor(names) if names.credit_quota else "")
    return of_account(
        names,
        "ROLE",
        names.role,
        (
            Statement(
                f"CREATE ROLE IF NOT EXISTS {own} COMMENT = {comment(says)}",
                "the role that trains, inspects, and owns what it makes",
                "CREATE ROLE ON ACCOUNT",
            ),
            Statement(
                f"GRANT ROLE {own} TO ROLE SYSADMIN",
                "administrators see and can mend what the role makes",
                owns("ROLE", own),
            ),
            Statement(
                "SET COPPERLINE_USER = (SELECT '\"' || REPLACE(CURRENT_USER(), '\"', '\"\"') || '\"')",
                "your name in quotes, for the next statement takes no function",
                "",
            ),
            Statement(
                f"GRANT ROLE {own} TO USER IDENTIFIER($COPPERLINE_USER)",
                "you can use the role; grant it to others in the same way",
                owns("ROLE", own),
            ),
            Statement(
                f"GRANT DATABASE ROLE SNOWFLAKE.PYPI_REPOSITORY_USER TO ROLE {own}",
                "the dashboard's packages come from Snowflake's copy of PyPI, and nothing from outside",
                "MANAGE GRANTS ON ACCOUNT",
            ),
        ),
    )


def reader_role(names: SnowflakeSettings) -> AccountObject:
    """That of those who look."""
    reader = quoted(names.reader_role)
    return of_account(
        names,
        "ROLE",
        names.reader_role,
        (
            Statement(
                f"CREATE ROLE IF NOT EXISTS {reader} COMMENT = {comment('looks at the dashboard and reads tables')}",
                "the role of those who look: quality engineers, plant managers",
                "CREATE ROLE ON ACCOUNT",
            ),
            Statement(
                f"GRANT ROLE {reader} TO ROLE {quoted(names.role)}",
                "whoever works with the objects may look, too",
                owns("ROLE", reader),
            ),
        ),
    )


def resource_monitor(names: SnowflakeSettings) -> AccountObject:
    """It stops the warehouse at its monthly credits."""
    monitor = quoted(names.resource_monitor)
    return of_account(
        names,
        "RESOURCE MONITOR",
        names.resource_monitor,
        (
            Statement(
                f"CREATE RESOURCE MONITOR IF NOT EXISTS {monitor} WITH\n"
                f"  CREDIT_QUOTA = {names.credit_quota:d}\n"
                "  FREQUENCY = MONTHLY\n"
                "  START_TIMESTAMP = IMMEDIATELY\n"
                "  TRIGGERS ON 80 PERCENT DO NOTIFY ON 100 PERCENT DO SUSPEND",
                "the warehouse stops at its monthly credits; compute pools are not covered by any resource monitor",
                "CREATE RESOURCE MONITOR, which Snowflake gives to ACCOUNTADMIN alone",
            ),
        ),
        wanted=names.credit_quota > 0,
        voucher=Voucher(f"SHOW ROLES LIKE {like(names.role)}", names.role, _and_monitor(names)),
        marked=False,
    )


def _and_monitor(names: SnowflakeSettings) -> str:
    """The end of the role's comment: a resource monitor has none of its own."""
    return f", with resource monitor {names.resource_monitor}"


def database(names: SnowflakeSettings) -> AccountObject:
    """It holds all that is not of the account itself."""
    own = quoted(names.database)
    return of_account(
        names,
        "DATABASE",
        names.database,
        (
            Statement(
                f"CREATE DATABASE IF NOT EXISTS {own} COMMENT = {comment('boards, defects, models and apps')}",
                "holds everything below",
                "CREATE DATABASE ON ACCOUNT",
            ),
            grant("USAGE", "DATABASE", own, names.role, "the role enters the database"),
            grant("USAGE", "DATABASE", own, names.reader_role, "readers enter it"),
        ),
    )


def schema(names: SnowflakeSettings) -> AccountObject:
    """It holds tables, stage, models and apps."""
    own = names.schema_in_sql
    creates = [what for what in CREATES if what != "GIT REPOSITORY" or names.git_url]
    privileges = ", ".join(["USAGE", *(f"CREATE {what}" for what in creates)])
    return AccountObject(
        kind="SCHEMA",
        name=names.schema_name,
        place="database",
        maker="setup",
        owner=names.admin_role,
        make=(
            Statement(
                f"CREATE SCHEMA IF NOT EXISTS {own} COMMENT = {comment('boards, defects, models and apps')}",
                "holds tables, stage, models and apps; PUBLIC comes with the database",
                f"CREATE SCHEMA ON DATABASE {quoted(names.database)}",
            ),
            grant(privileges, "SCHEMA", own, names.role, "what the role may make; SERVICE is what training runs as"),
            grant("USAGE", "SCHEMA", own, names.reader_role, "readers enter the schema"),
        ),
        drop=f"DROP SCHEMA IF EXISTS {own}",
        show=f"SHOW SCHEMAS LIKE {like(names.schema_name)} IN DATABASE {quoted(names.database)}",
    )


def tag(names: SnowflakeSettings) -> tuple[AccountObject, ...]:
    """What costs are found by; nothing, where the settings have none."""
    if not names.tag:
        return ()
    own = names.in_schema(names.tag)
    one = of_schema(
        names,
        "TAG",
        names.tag,
        (
            Statement(
                f"CREATE TAG IF NOT EXISTS {own} COMMENT = {comment('what costs belong to')}",
                "costs are found by it in SNOWFLAKE.ACCOUNT_USAGE",
                f"CREATE TAG ON SCHEMA {names.schema_in_sql}",
            ),
        ),
        owner=names.admin_role,
    )
    return (one,)


def warehouse(names: SnowflakeSettings) -> AccountObject:
    """It runs queries."""
    own = quoted(names.warehouse)
    monitor = f"  RESOURCE_MONITOR = {quoted(names.resource_monitor)}\n" if names.credit_quota else ""
    return of_account(
        names,
        "WAREHOUSE",
        names.warehouse,
        (
            Statement(
                f"CREATE WAREHOUSE IF NOT EXISTS {own}\n"
                f"  WAREHOUSE_SIZE = {names.warehouse_size}\n"
                f"  AUTO_SUSPEND = {names.warehouse_suspend_s:d}\n"
                "  AUTO_RESUME = TRUE\n"
                "  INITIALLY_SUSPENDED = TRUE\n"
                f"{monitor}"
                f"  COMMENT = {comment('queries and the dashboard')}",
                "runs queries; it starts with the first of them and stops when it is idle",
                "CREATE WAREHOUSE ON ACCOUNT",
            ),
            *set_tag(names, "WAREHOUSE", own),
            grant("USAGE", "WAREHOUSE", own, names.role, "the role runs queries"),
            grant("USAGE", "WAREHOUSE", own, names.reader_role, "readers run queries"),
        ),
    )


def set_tag(names: SnowflakeSettings, kind: str, full_name: str) -> tuple[Statement, ...]:
    """Puts the tag on what costs credits; nothing, where there is none."""
    if not names.tag:
        return ()
    own = names.in_schema(names.tag)
    sql = f"ALTER {kind} {full_name} SET TAG {own} = 'copperline'"
    return (Statement(sql, "its credits are found under this tag", f"APPLY ON TAG {own}"),)
