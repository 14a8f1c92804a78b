"""The objects that Copperline has in an account, as data: setup, status and teardown all follow from this one list.

Objects of the account and the schema are made, and stay owned, by the administrator's role; what lies in the schema is
made by the role that works with it. So that role can neither remove the database nor open the network further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from copperline.snowflake.apps import drop_notebook, drop_streamlit
from copperline.snowflake.marks import comment
from copperline.snowflake.sql import like, literal
from copperline.snowflake_settings import SnowflakeSettings, quoted

Place = Literal["account", "database", "schema"]
Maker = Literal["setup", "deploy", "train"]

# What the role may make in the schema; it owns what it makes. Temporary tables and stages need the same privileges.
CREATES = (
    "TABLE", "VIEW", "STAGE", "FILE FORMAT", "IMAGE REPOSITORY", "GIT REPOSITORY", "NOTEBOOK", "STREAMLIT", "MODEL",
    "SERVICE",
)  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
        sql: without the semicolon.
        why: what it is for, in one line.
        needs: the privilege that the role has to have for it, as it stands in GRANT: `CREATE DATABASE ON ACCOUNT`.
    """

    sql: str
    why: str
    needs: str


@dataclass(frozen=True)
class TableDdl:
    """A table to make.

    Attributes:
        name: as Snowflake keeps it.
        sql: CREATE TABLE IF NOT EXISTS with its full name, without the semicolon.
        readable: the reader role may read it: it holds nothing that only the service is to know.
    """

    name: str
    sql: str
    readable: bool


@dataclass(frozen=True)
class Voucher:
    """Another object whose comment says that an object which cannot have one is ours.

    Attributes:
        show: lists the other object.
        name: of the other object.
        ending: of its comment.
    """

    show: str
    name: str
    ending: str


@dataclass(frozen=True)
class AccountObject:
    """One object.

    Attributes:
        kind: as in SQL, such as `COMPUTE POOL`.
        name: as Snowflake keeps it.
        place: where it lies.
        maker: the command that makes it.
        owner: role that makes it.
        make: statements that make it if it is missing, then those that grant its use.
        drop: removes it.
        show: lists it, perhaps among others.
        wanted: the settings ask for it; else setup leaves it out.
        marked: only a comment of ours says that it is ours; else it is enough that a role of ours owns it.
        voucher: says it where the object cannot have a comment.
        stop: ends what runs on it, which has to come before `drop`.
    """

    kind: str
    name: str
    place: Place
    maker: Maker
    owner: str
    make: tuple[Statement, ...]
    drop: str
    show: str
    wanted: bool = True
    marked: bool = False
    voucher: Voucher | None = None
    stop: str | None = None

    def __str__(self) -> str:
        return f"{self.kind.lower()} {self.name}"


def account_objects(names: SnowflakeSettings, tables: Sequence[TableDdl]) -> tuple[AccountObject, ...]:
    """All of them, in the order in which they are made: nothing needs what comes after it."""
    tag = () if names.tag is None else (_tag(names, names.tag),)
    return (
        _role(names),
        _reader_role(names),
        _resource_monitor(names),
        _database(names),
        _schema(names),
        *tag,
        _warehouse(names),
        _network_rule(names),
        _external_access(names),
        _api_integration(names),
        _compute_pool(names),
        _stage(names),
        *(_table(names, table) for table in tables),
        _image_repository(names),
        _git_repository(names),
        _in_schema(names, "NOTEBOOK", "NOTEBOOKS", names.notebook, "deploy", drop_notebook(names)),
        _in_schema(names, "STREAMLIT", "STREAMLITS", names.streamlit, "deploy", drop_streamlit(names)),
        _in_schema(names, "MODEL", "MODELS", names.model, "train"),
    )


def _role(names: SnowflakeSettings) -> AccountObject:
    role = quoted(names.role)
    says = "works with the objects" + (_and_monitor(names) if names.credit_quota else "")
    return AccountObject(
        kind="ROLE",
        name=names.role,
        place="account",
        maker="setup",
        owner=names.admin_role,
        make=(
            Statement(
                f"CREATE ROLE IF NOT EXISTS {role} COMMENT = {comment(says)}",
                "the role that trains, inspects, and owns what it makes",
                "CREATE ROLE ON ACCOUNT",
            ),
            Statement(
                f"GRANT ROLE {role} TO ROLE SYSADMIN",
                "administrators see and can mend what the role makes",
                _owns("ROLE", role),
            ),
            Statement(
                "SET COPPERLINE_USER = (SELECT '\"' || REPLACE(CURRENT_USER(), '\"', '\"\"') || '\"')",
                "your name in quotes, for the next statement takes no function",
                "",
            ),
            Statement(
                f"GRANT ROLE {role} TO USER IDENTIFIER($COPPERLINE_USER)",
                "you can use the role; grant it to others in the same way",
                _owns("ROLE", role),
            ),
        ),
        drop=f"DROP ROLE IF EXISTS {role}",
        show=f"SHOW ROLES LIKE {like(names.role)}",
        marked=True,
    )


def _reader_role(names: SnowflakeSettings) -> AccountObject:
    reader = quoted(names.reader_role)
    return AccountObject(
        kind="ROLE",
        name=names.reader_role,
        place="account",
        maker="setup",
        owner=names.admin_role,
        make=(
            Statement(
                f"CREATE ROLE IF NOT EXISTS {reader} COMMENT = {comment('looks at the dashboard and reads tables')}",
                "the role of those who look: quality engineers, plant managers",
                "CREATE ROLE ON ACCOUNT",
            ),
            Statement(
                f"GRANT ROLE {reader} TO ROLE {quoted(names.role)}",
                "whoever works with the objects may look, too",
                _owns("ROLE", reader),
            ),
        ),
        drop=f"DROP ROLE IF EXISTS {reader}",
        show=f"SHOW ROLES LIKE {like(names.reader_role)}",
        marked=True,
    )


def _resource_monitor(names: SnowflakeSettings) -> AccountObject:
    monitor = quoted(names.resource_monitor)
    return AccountObject(
        kind="RESOURCE MONITOR",
        name=names.resource_monitor,
        place="account",
        maker="setup",
        owner=names.admin_role,
        make=(
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
        drop=f"DROP RESOURCE MONITOR IF EXISTS {monitor}",
        show=f"SHOW RESOURCE MONITORS LIKE {like(names.resource_monitor)}",
        wanted=names.credit_quota > 0,
        voucher=Voucher(f"SHOW ROLES LIKE {like(names.role)}", names.role, _and_monitor(names)),
    )


def _and_monitor(names: SnowflakeSettings) -> str:
    """The end of the role's comment: a resource monitor has none of its own."""
    return f", with resource monitor {names.resource_monitor}"


def _warehouse(names: SnowflakeSettings) -> AccountObject:
    warehouse = quoted(names.warehouse)
    monitor = f"  RESOURCE_MONITOR = {quoted(names.resource_monitor)}\n" if names.credit_quota else ""
    return AccountObject(
        kind="WAREHOUSE",
        name=names.warehouse,
        place="account",
        maker="setup",
        owner=names.admin_role,
        make=(
            Statement(
                f"CREATE WAREHOUSE IF NOT EXISTS {warehouse}\n"
                f"  WAREHOUSE_SIZE = {names.warehouse_size}\n"
                f"  AUTO_SUSPEND = {names.warehouse_suspend_s:d}\n"
                "  AUTO_RESUME = TRUE\n"
                "  INITIALLY_SUSPENDED = TRUE\n"
                f"{monitor}"
                f"  COMMENT = {comment('queries and the dashboard')}",
                "runs queries; it starts with the first of them and stops when it is idle",
                "CREATE WAREHOUSE ON ACCOUNT",
            ),
            *_set_tag(names, "WAREHOUSE", warehouse),
            _grant("USAGE", "WAREHOUSE", warehouse, names.role, "the role runs queries"),
            _grant("USAGE", "WAREHOUSE", warehouse, names.reader_role, "readers run queries"),
        ),
        drop=f"DROP WAREHOUSE IF EXISTS {warehouse}",
        show=f"SHOW WAREHOUSES LIKE {like(names.warehouse)}",
        marked=True,
    )


def _database(names: SnowflakeSettings) -> AccountObject:
    database = quoted(names.database)
    return AccountObject(
        kind="DATABASE",
        name=names.database,
        place="account",
        maker="setup",
        owner=names.admin_role,
        make=(
            Statement(
                f"CREATE DATABASE IF NOT EXISTS {database} COMMENT = {comment('boards, defects, models and apps')}",
                "holds everything below",
                "CREATE DATABASE ON ACCOUNT",
            ),
            _grant("USAGE", "DATABASE", database, names.role, "the role enters the database"),
            _grant("USAGE", "DATABASE", database, names.reader_role, "readers enter it"),
        ),
        drop=f"DROP DATABASE IF EXISTS {database}",
        show=f"SHOW DATABASES LIKE {like(names.database)}",
        marked=True,
    )


def _schema(names: SnowflakeSettings) -> AccountObject:
    schema = names.schema_in_sql
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
                f"CREATE SCHEMA IF NOT EXISTS {schema} COMMENT = {comment('boards, defects, models and apps')}",
                "holds tables, stage, models and apps; PUBLIC comes with the database",
                f"CREATE SCHEMA ON DATABASE {quoted(names.database)}",
            ),
            _grant(
                privileges, "SCHEMA", schema, names.role, "what the role may make; SERVICE is what training runs as"
            ),
            _grant("USAGE", "SCHEMA", schema, names.reader_role, "readers enter the schema"),
        ),
        drop=f"DROP SCHEMA IF EXISTS {schema}",
        show=f"SHOW SCHEMAS LIKE {like(names.schema_name)} IN DATABASE {quoted(names.database)}",
    )


def _network_rule(names: SnowflakeSettings) -> AccountObject:
    rule = names.in_schema(names.network_rule)
    hosts = ", ".join(literal(host) for host in names.allowed_hosts)
    return AccountObject(
        kind="NETWORK RULE",
        name=names.network_rule,
        place="schema",
        maker="setup",
        owner=names.admin_role,
        make=(
            Statement(
                f"CREATE NETWORK RULE IF NOT EXISTS {rule}\n"
                "  TYPE = HOST_PORT\n"
                "  MODE = EGRESS\n"
                f"  VALUE_LIST = ({hosts})\n"
                f"  COMMENT = {comment('hosts that notebook and training may reach')}",
                "these hosts and no others; the role that trains does not own the rule, so it cannot widen it",
                f"CREATE NETWORK RULE ON SCHEMA {names.schema_in_sql}",
            ),
        ),
        drop=f"DROP NETWORK RULE IF EXISTS {rule}",
        show=f"SHOW NETWORK RULES LIKE {like(names.network_rule)} IN SCHEMA {names.schema_in_sql}",
        wanted=bool(names.allowed_hosts),
    )


def _external_access(names: SnowflakeSettings) -> AccountObject:
    access = quoted(names.external_access)
    return AccountObject(
        kind="EXTERNAL ACCESS INTEGRATION",
        name=names.external_access,
        place="account",
        maker="setup",
        owner=names.admin_role,
        make=(
            Statement(
                f"CREATE EXTERNAL ACCESS INTEGRATION IF NOT EXISTS {access}\n"
                f"  ALLOWED_NETWORK_RULES = ({names.in_schema(names.network_rule)})\n"
                "  ENABLED = TRUE\n"
                f"  COMMENT = {comment('packages and public boards for notebook and training')}",
                "lets code that names it reach the hosts of the rule",
                "CREATE INTEGRATION ON ACCOUNT",
            ),
            _grant("USAGE", "INTEGRATION", access, names.role, "notebook and training name it"),
        ),
        drop=f"DROP INTEGRATION IF EXISTS {access}",
        show=f"SHOW EXTERNAL ACCESS INTEGRATIONS LIKE {like(names.external_access)}",
        wanted=bool(names.allowed_hosts),
        marked=True,
    )


def _api_integration(names: SnowflakeSettings) -> AccountObject:
    api = quoted(names.api_integration)
    return AccountObject(
        kind="API INTEGRATION",
        name=names.api_integration,
        place="account",
        maker="setup",
        owner=names.admin_role,
        make=(
            Statement(
                f"CREATE API INTEGRATION IF NOT EXISTS {api}\n"
                "  API_PROVIDER = GIT_HTTPS_API\n"
                f"  API_ALLOWED_PREFIXES = ({literal(names.git_url or '')})\n"
                "  ENABLED = TRUE\n"
                f"  COMMENT = {comment('fetches one git repository')}",
                "fetches from this repository and from no other",
                "CREATE INTEGRATION ON ACCOUNT",
            ),
            _grant("USAGE", "INTEGRATION", api, names.role, "the role's clone fetches through it"),
        ),
        drop=f"DROP INTEGRATION IF EXISTS {api}",
        show=f"SHOW API INTEGRATIONS LIKE {like(names.api_integration)}",
        wanted=names.git_url is not None,
        marked=True,
    )


def _compute_pool(names: SnowflakeSettings) -> AccountObject:
    pool = quoted(names.compute_pool)
    return AccountObject(
        kind="COMPUTE POOL",
        name=names.compute_pool,
        place="account",
        maker="setup",
        owner=names.admin_role,
        make=(
            Statement(
                f"CREATE COMPUTE POOL IF NOT EXISTS {pool}\n"
                f"  MIN_NODES = {names.min_nodes:d}\n"
                f"  MAX_NODES = {names.max_nodes:d}\n"
                f"  INSTANCE_FAMILY = {names.instance_family}\n"
                "  AUTO_RESUME = TRUE\n"
                "  INITIALLY_SUSPENDED = TRUE\n"
                f"  AUTO_SUSPEND_SECS = {names.pool_suspend_s:d}\n"
                f"  COMMENT = {comment('notebook and training')}",
                "GPU nodes; none runs until the notebook or a training asks for it",
                "CREATE COMPUTE POOL ON ACCOUNT",
            ),
            *_set_tag(names, "COMPUTE POOL", pool),
            _grant("USAGE, MONITOR", "COMPUTE POOL", pool, names.role, "notebook and training run on it"),
        ),
        drop=f"DROP COMPUTE POOL IF EXISTS {pool}",
        stop=f"ALTER COMPUTE POOL IF EXISTS {pool} STOP ALL",
        show=f"SHOW COMPUTE POOLS LIKE {like(names.compute_pool)}",
        marked=True,
    )


def _tag(names: SnowflakeSettings, name: str) -> AccountObject:
    tag = names.in_schema(name)
    return AccountObject(
        kind="TAG",
        name=name,
        place="schema",
        maker="setup",
        owner=names.admin_role,
        make=(
            Statement(
                f"CREATE TAG IF NOT EXISTS {tag} COMMENT = {comment('what costs belong to')}",
                "costs are found by it in SNOWFLAKE.ACCOUNT_USAGE",
                f"CREATE TAG ON SCHEMA {names.schema_in_sql}",
            ),
        ),
        drop=f"DROP TAG IF EXISTS {tag}",
        show=f"SHOW TAGS LIKE {like(name)} IN SCHEMA {names.schema_in_sql}",
    )


def _stage(names: SnowflakeSettings) -> AccountObject:
    stage = names.in_schema(names.stage)
    make = Statement(
        f"CREATE STAGE IF NOT EXISTS {stage}\n"
        "  ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')\n"
        "  DIRECTORY = (ENABLE = TRUE)\n"
        f"  COMMENT = {comment('images, weights and runs')}",
        "files; encrypted by the server, so that apps can show images from it",
        f"CREATE STAGE ON SCHEMA {names.schema_in_sql}",
    )
    return _in_schema(names, "STAGE", "STAGES", names.stage, "setup", make=(make,))


def _table(names: SnowflakeSettings, table: TableDdl) -> AccountObject:
    full_name = names.in_schema(table.name)
    make = [Statement(table.sql, f"the table {table.name}", f"CREATE TABLE ON SCHEMA {names.schema_in_sql}")]
    if table.readable:
        make.append(_grant("SELECT", "TABLE", full_name, names.reader_role, "readers read it"))
    return AccountObject(
        kind="TABLE",
        name=table.name,
        place="schema",
        maker="setup",
        owner=names.role,
        make=tuple(make),
        drop=f"DROP TABLE IF EXISTS {full_name}",
        show=f"SHOW TABLES IN SCHEMA {names.schema_in_sql}",  # one answer for all
    )


def _image_repository(names: SnowflakeSettings) -> AccountObject:
    repository = names.in_schema(names.image_repository)
    make = Statement(
        f"CREATE IMAGE REPOSITORY IF NOT EXISTS {repository}",
        "for container images of your own",
        f"CREATE IMAGE REPOSITORY ON SCHEMA {names.schema_in_sql}",
    )
    kinds = "IMAGE REPOSITORIES"
    return _in_schema(names, "IMAGE REPOSITORY", kinds, names.image_repository, "setup", make=(make,))


def _git_repository(names: SnowflakeSettings) -> AccountObject:
    repository = names.in_schema(names.git_repository)
    make = Statement(
        f"CREATE GIT REPOSITORY IF NOT EXISTS {repository}\n"
        f"  API_INTEGRATION = {quoted(names.api_integration)}\n"
        f"  ORIGIN = {literal(names.git_url or '')}\n"
        f"  COMMENT = {comment('clone of a git repository')}",
        "a clone that worksheets and notebooks can read",
        f"CREATE GIT REPOSITORY ON SCHEMA {names.schema_in_sql}",
    )
    wanted = names.git_url is not None
    kinds = "GIT REPOSITORIES"
    return _in_schema(names, "GIT REPOSITORY", kinds, names.git_repository, "setup", make=(make,), wanted=wanted)


def _in_schema(
    names: SnowflakeSettings,
    kind: str,
    kinds: str,
    name: str,
    maker: Maker,
    drop: str | None = None,
    *,
    make: tuple[Statement, ...] = (),
    wanted: bool = True,
) -> AccountObject:
    return AccountObject(
        kind=kind,
        name=name,
        place="schema",
        maker=maker,
        owner=names.role,
        make=make,
        drop=drop or f"DROP {kind} IF EXISTS {names.in_schema(name)}",
        show=f"SHOW {kinds} LIKE {like(name)} IN SCHEMA {names.schema_in_sql}",
        wanted=wanted,
    )


def _set_tag(names: SnowflakeSettings, kind: str, name: str) -> tuple[Statement, ...]:
    if names.tag is None:
        return ()
    tag = names.in_schema(names.tag)
    sql = f"ALTER {kind} {name} SET TAG {tag} = 'copperline'"
    return (Statement(sql, "its credits are found under this tag", f"APPLY ON TAG {tag}"),)


def _grant(privileges: str, kind: str, full_name: str, role: str, why: str) -> Statement:
    sql = f"GRANT {privileges} ON {kind} {full_name} TO ROLE {quoted(role)}"
    return Statement(sql, why, _owns(kind, full_name))


def _owns(kind: str, full_name: str) -> str:
    return f"OWNERSHIP ON {kind} {full_name}"
