"""What lies in the schema and belongs to the role that works with it."""

from __future__ import annotations

from copperline.snowflake.marks import comment
from copperline.snowflake.objects import AccountObject, Statement, TableDdl, grant, of_schema
from copperline.snowflake.sql import literal
from copperline.snowflake_settings import SnowflakeSettings, quoted


def stage(names: SnowflakeSettings) -> AccountObject:
    """Images, weights and runs."""
    own = names.in_schema(names.stage)
    make = Statement(
        f"CREATE STAGE IF NOT EXISTS {own}\n"
        "  ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')\n"
        "  DIRECTORY = (ENABLE = TRUE)\n"
        f"  COMMENT = {comment('images, weights and runs')}",
        "files; encrypted by the server, so that apps can show images from it",
        f"CREATE STAGE ON SCHEMA {names.schema_in_sql}",
    )
    return of_schema(names, "STAGE", names.stage, (make,))


def table(names: SnowflakeSettings, ddl: TableDdl) -> AccountObject:
    """One of the warehouse's tables."""
    full_name = names.in_schema(ddl.name)
    make = [Statement(ddl.sql, f"the table {ddl.name}", f"CREATE TABLE ON SCHEMA {names.schema_in_sql}")]
    if ddl.readable:
        make.append(grant("SELECT", "TABLE", full_name, names.reader_role, "readers read it"))
    return AccountObject(
        kind="TABLE",
        name=ddl.name,
        place="schema",
        maker="setup",
        owner=names.role,
        make=tuple(make),
        drop=f"DROP TABLE IF EXISTS {full_name}",
        show=f"SHOW TABLES IN SCHEMA {names.schema_in_sql}",  # one answer for all
    )


def image_repository(names: SnowflakeSettings) -> AccountObject:
    """For container images of the plant's own."""
    repository = names.in_schema(names.image_repository)
    make = Statement(
        f"CREATE IMAGE REPOSITORY IF NOT EXISTS {repository}",
        "for container images of your own",
        f"CREATE IMAGE REPOSITORY ON SCHEMA {names.schema_in_sql}",
    )
    return of_schema(names, "IMAGE REPOSITORY", names.image_repository, (make,))


def git_repository(names: SnowflakeSettings) -> AccountObject:
    """A clone of the git repository."""
    repository = names.in_schema(names.git_repository)
    make = Statement(
        f"CREATE GIT REPOSITORY IF NOT EXISTS {repository}\n"
        f"  API_INTEGRATION = {quoted(names.api_integration)}\n"
        f"  ORIGIN = {literal(names.git_url or '')}\n"
        f"  COMMENT = {comment('clone of a git repository')}",
        "a clone that worksheets and notebooks can read",
        f"CREATE GIT REPOSITORY ON SCHEMA {names.schema_in_sql}",
    )
    return of_schema(names, "GIT REPOSITORY", names.git_repository, (make,), wanted=names.git_url is not None)
