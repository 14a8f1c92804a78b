"""Where people find the app."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from copperline.snowflake.failures import snowflake_errors
from copperline.snowflake_settings import SnowflakeSettings

if TYPE_CHECKING:
    from snowflake.snowpark import Session

_WHERE = "SELECT CURRENT_ORGANIZATION_NAME(), CURRENT_ACCOUNT_NAME()"


def app_address(session: Session, names: SnowflakeSettings) -> str | None:
    """URL of the app in Snowsight; None where the account does not tell its name. Raises SnowflakeError."""
    with snowflake_errors("Snowflake"):
        rows = session.sql(_WHERE).collect()
    organization, account = rows[0] if rows else (None, None)
    return None if not organization or not account else address(str(organization), str(account), names)


def address(organization: str, account: str, names: SnowflakeSettings) -> str:
    """As Snowsight writes it.

    >>> address("ACME", "PLANT_1", SnowflakeSettings())
    'https://app.snowflake.com/ACME/PLANT_1/#/streamlit-apps/PCB_CV.PUBLIC.PCB_DEFECT_DETECTION_APP'
    """
    parts = [names.database, names.schema_name, names.streamlit]
    app = ".".join(quote(part if part.isidentifier() else f'"{part}"', safe="") for part in parts)
    return f"https://app.snowflake.com/{quote(organization, safe='')}/{quote(account, safe='')}/#/streamlit-apps/{app}"
