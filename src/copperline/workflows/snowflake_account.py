"""All objects of an account, the warehouse's tables among them."""

from __future__ import annotations

from copperline.snowflake.all_objects import account_objects
from copperline.snowflake.objects import AccountObject, TableDdl
from copperline.snowflake_settings import SnowflakeSettings
from copperline.warehouse.snowflake_ddl import table_statements

# What only the service and the administrator are to know: hashes of keys, who did what, what is sent to others.
_PRIVATE = frozenset({"api_keys", "audit_log", "deliveries", "events", "inspection_requests"})


def objects_of(names: SnowflakeSettings) -> tuple[AccountObject, ...]:
    """What setup makes, status looks for and teardown removes, in the order in which it is made.

    The row that says the tables' version is not among them: inserting it would start the virtual warehouse. Whoever
    opens the warehouse first adds it.

    Raises:
        SettingsError: the extra `snowflake` is not installed.
    """
    tables = [
        TableDdl(name.upper(), sql, readable=name not in _PRIVATE)
        for name, sql in table_statements(names.schema_in_sql)
        if sql.startswith("CREATE TABLE")
    ]
    return account_objects(names, tables)
