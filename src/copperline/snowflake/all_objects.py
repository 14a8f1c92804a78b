"""The objects that Copperline has in an account, as data: setup, status and teardown all follow from this one list.

Objects of the account and the schema are made, and stay owned, by the administrator's role; what lies in the schema is
made by the role that works with it. So that role can neither remove the database nor open the network further.
"""

from __future__ import annotations

from collections.abc import Sequence

from copperline.snowflake import account_level, outside, schema_level
from copperline.snowflake.apps import drop_notebook, drop_streamlit
from copperline.snowflake.objects import AccountObject, TableDdl, of_schema
from copperline.snowflake_settings import SnowflakeSettings


def account_objects(names: SnowflakeSettings, tables: Sequence[TableDdl]) -> tuple[AccountObject, ...]:
    """All of them, in the order in which they are made: nothing needs what comes after it."""
    return (
        account_level.role(names),
        account_level.reader_role(names),
        account_level.resource_monitor(names),
        account_level.database(names),
        account_level.schema(names),
        *account_level.tag(names),
        account_level.warehouse(names),
        outside.network_rule(names),
        outside.external_access(names),
        outside.api_integration(names),
        outside.compute_pool(names),
        schema_level.stage(names),
        *(schema_level.table(names, table) for table in tables),
        schema_level.image_repository(names),
        schema_level.git_repository(names),
        of_schema(names, "NOTEBOOK", names.notebook, maker="deploy", drop=drop_notebook(names)),
        of_schema(names, "STREAMLIT", names.streamlit, maker="deploy", drop=drop_streamlit(names)),
        of_schema(names, "MODEL", names.model, maker="train"),
    )
