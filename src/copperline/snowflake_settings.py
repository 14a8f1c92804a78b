"""The `[snowflake]` table of copperline.toml: what the objects in a Snowflake account are called.

A name is Snowflake's: letters, digits and underscores alone mean the same in any case, and are kept in capitals; any
other name is kept as it is written and quoted wherever it stands in SQL.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import parse_qsl, quote, urlencode

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_LONGEST = 255  # characters of a Snowflake identifier


def _identifier(name: str) -> str:
    if not 1 <= len(name) <= _LONGEST or any(not character.isprintable() for character in name):
        raise ValueError(f"expected a Snowflake name of 1 to {_LONGEST} printable characters, found {name!r}")
    return name.upper() if _PLAIN.fullmatch(name) else name


def quoted(name: str) -> str:
    """The name as it stands in SQL, always in quotes: so it is never a keyword, and never ends a statement.

    >>> quoted("PCB_CV"), quoted('Line "1"; DROP')
    ('"PCB_CV"', '"Line ""1""; DROP"')
    """
    return '"' + name.replace('"', '""') + '"'


Identifier = Annotated[str, AfterValidator(_identifier)]


class SnowflakeSettings(BaseModel):
    """The names of all objects that Copperline makes or uses in a Snowflake account."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: Identifier = Field("PCB_CV", description="Database of everything below")
    schema_name: Identifier = Field("PUBLIC", description="Schema of tables, stages, models and apps")
    role: Identifier = Field("PCB_CV_ROLE", description="Role that owns and uses the objects")
    warehouse: Identifier = Field("PCB_CV_WH", description="Virtual warehouse of queries and of the dashboard")
    compute_pool: Identifier = Field("PCB_CV_COMPUTEPOOL", description="GPU nodes of notebook and training")
    stage: Identifier = Field("MODEL_STAGE", description="Stage of images, weights and runs")
    model: Identifier = Field("YOLO_PCB_DETECTOR", description="Name of the registered model")
    notebook: Identifier = Field("PCB_DEFECT_DETECTION", description="The notebook")
    streamlit: Identifier = Field("PCB_DEFECT_DETECTION_APP", description="The dashboard")

    @property
    def schema_in_sql(self) -> str:
        """Database and schema as they stand in SQL."""
        return f"{quoted(self.database)}.{quoted(self.schema_name)}"

    def warehouse_url(self, url: str = "snowflake://") -> str:
        """The URL of the tables with what `url` leaves out: database and schema, role and virtual warehouse.

        >>> SnowflakeSettings().warehouse_url()
        'snowflake://PCB_CV/PUBLIC?role=PCB_CV_ROLE&warehouse=PCB_CV_WH'
        >>> SnowflakeSettings().warehouse_url("snowflake://PLANT/QUALITY?role=READER")
        'snowflake://PLANT/QUALITY?role=READER&warehouse=PCB_CV_WH'
        """
        named, _, options = url.removeprefix("snowflake://").partition("?")
        given = dict(parse_qsl(options))
        place = named.strip("/") or f"{quote(self.database, safe='')}/{quote(self.schema_name, safe='')}"
        used = {"role": self.role, "warehouse": self.warehouse, **given}
        return f"snowflake://{place}?{urlencode(used, quote_via=quote)}"

    def in_schema(self, name: str) -> str:
        """The full name of an object of the schema, as it stands in SQL.

        >>> SnowflakeSettings().in_schema("MODEL_STAGE")
        '"PCB_CV"."PUBLIC"."MODEL_STAGE"'
        """
        return f"{self.schema_in_sql}.{quoted(name)}"
