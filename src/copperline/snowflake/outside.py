"""What reaches out of the account, and the nodes that use it: the administrator's, so that no training widens it."""

from __future__ import annotations

from copperline.snowflake.account_level import set_tag
from copperline.snowflake.marks import comment
from copperline.snowflake.objects import AccountObject, Statement, grant, of_account, of_schema, owns
from copperline.snowflake.sql import literal
from copperline.snowflake_settings import SnowflakeSettings, quoted


def network_rule(names: SnowflakeSettings) -> AccountObject:
    """The hosts that notebook and training may reach."""
    rule = names.in_schema(names.network_rule)
    hosts = ", ".join(literal(host) for host in names.allowed_hosts)
    return of_schema(
        names,
        "NETWORK RULE",
        names.network_rule,
        (
            Statement(
                f"CREATE NETWORK RULE IF NOT EXISTS {rule}\n"
                "  TYPE = HOST_PORT\n"
                "  MODE = EGRESS\n"
                f"  VALUE_LIST = ({hosts})\n"
                f"  COMMENT = {comment('hosts that notebook and training may reach')}",
                "these hosts and no others; the role that trains does not own the rule, so it cannot widen it",
                f"CREATE NETWORK RULE ON SCHEMA {names.schema_in_sql}",
            ),
            Statement(
                f"ALTER NETWORK RULE {rule} SET VALUE_LIST = ({hosts})",
                "a rule that was there before follows the settings",
                owns("NETWORK RULE", rule),
            ),
        ),
        owner=names.admin_role,
        wanted=bool(names.allowed_hosts),
    )


def external_access(names: SnowflakeSettings) -> AccountObject:
    """What code names to reach them."""
    access = quoted(names.external_access)
    return of_account(
        names,
        "EXTERNAL ACCESS INTEGRATION",
        names.external_access,
        (
            Statement(
                f"CREATE EXTERNAL ACCESS INTEGRATION IF NOT EXISTS {access}\n"
                f"  ALLOWED_NETWORK_RULES = ({names.in_schema(names.network_rule)})\n"
                "  ENABLED = TRUE\n"
                f"  COMMENT = {comment('packages and public boards for notebook and training')}",
                "lets code that names it reach the hosts of the rule",
                "CREATE INTEGRATION ON ACCOUNT",
            ),
            grant("USAGE", "INTEGRATION", access, names.role, "notebook and training name it"),
        ),
        wanted=bool(names.allowed_hosts),
    )


def api_integration(names: SnowflakeSettings) -> AccountObject:
    """What fetches from the git repository."""
    api = quoted(names.api_integration)
    return of_account(
        names,
        "API INTEGRATION",
        names.api_integration,
        (
            Statement(
                f"CREATE API INTEGRATION IF NOT EXISTS {api}\n"
                "  API_PROVIDER = GIT_HTTPS_API\n"
                f"  API_ALLOWED_PREFIXES = ({literal(names.git_url or '')})\n"
                "  ENABLED = TRUE\n"
                f"  COMMENT = {comment('fetches one git repository')}",
                "fetches from this repository and from no other",
                "CREATE INTEGRATION ON ACCOUNT",
            ),
            grant("USAGE", "INTEGRATION", api, names.role, "the role's clone fetches through it"),
        ),
        wanted=names.git_url is not None,
    )


def compute_pool(names: SnowflakeSettings) -> AccountObject:
    """The nodes of notebook and training."""
    pool = quoted(names.compute_pool)
    return of_account(
        names,
        "COMPUTE POOL",
        names.compute_pool,
        (
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
            *set_tag(names, "COMPUTE POOL", pool),
            grant("USAGE, MONITOR", "COMPUTE POOL", pool, names.role, "notebook and training run on it"),
        ),
        stop=f"ALTER COMPUTE POOL IF EXISTS {pool} STOP ALL",
    )
