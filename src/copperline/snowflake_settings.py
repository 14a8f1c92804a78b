"""The `[snowflake]` table of copperline.toml: names and sizes of the objects in a Snowflake account.

A name is Snowflake's: letters, digits and underscores alone mean the same in any case, and are kept in capitals; any
other name is kept as it is written and quoted wherever it stands in SQL.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_LONGEST = 255  # characters of a Snowflake identifier
_HOST_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")

WarehouseSize = Literal["XSMALL", "SMALL", "MEDIUM", "LARGE", "XLARGE"]


def _identifier(name: str) -> str:
    if not 1 <= len(name) <= _LONGEST or any(not character.isprintable() for character in name):
        raise ValueError(f"expected a Snowflake name of 1 to {_LONGEST} printable characters, found {name!r}")
    return name.upper() if _PLAIN.fullmatch(name) else name


def _identifier_or_none(name: str) -> str:
    return _identifier(name) if name else name


def _plain_identifier(name: str) -> str:
    """Snowflake takes no quoted names for compute pools."""
    if len(name) > _LONGEST or not _PLAIN.fullmatch(name):
        raise ValueError(f"expected letters, digits and underscores, as Snowflake does here, found {name!r}")
    return name.upper()


def _allowed_host(entry: str) -> str:
    """`host:port` of one public host: what a network rule opens is no wider than what is meant."""
    host, _, port = entry.lower().rpartition(":")
    expected = "expected one host and its port, such as pypi.org:443"
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise ValueError(f"{expected}, found {entry!r}")
    try:
        ipaddress.ip_network(host.strip("[]"), strict=False)
    except ValueError:
        pass
    else:
        raise ValueError(f"{expected}, found the address {entry!r}; name the host, for 0.0.0.0 opens all of them")
    labels = host.split(".")
    named = len(labels) > 1 and not labels[-1].isdigit() and all(_HOST_LABEL.fullmatch(label) for label in labels)
    if len(host) > 253 or not named:
        raise ValueError(f"{expected}, without wildcards, found {entry!r}")
    return f"{host}:{int(port)}"


def _git_url(url: str) -> str:
    """An https URL of one repository, without anything secret in it."""
    parts = urlsplit(url)
    if (
        not url.isprintable()
        or " " in url
        or parts.scheme != "https"
        or not parts.hostname
        or parts.path.strip("/").count("/") < 1
        or parts.query
        or parts.fragment
    ):
        raise ValueError(f"expected the https URL of a git repository, found {parts.scheme or 'no scheme'}://...")
    if parts.username or parts.password:
        raise ValueError("expected the https URL of a git repository without a user or password, found one with them")
    return url


def is_plain(name: str) -> bool:
    """Whether the name means the same with and without quotes."""
    return _PLAIN.fullmatch(name) is not None and name == name.upper()


def quoted(name: str) -> str:
    """The name as it stands in SQL, always in quotes: so it is never a keyword, and never ends a statement.

    >>> quoted("PCB_CV"), quoted('Line "1"; DROP')
    ('"PCB_CV"', '"Line ""1""; DROP"')
    """
    return '"' + name.replace('"', '""') + '"'


Identifier = Annotated[str, AfterValidator(_identifier)]
IdentifierOrNone = Annotated[str, AfterValidator(_identifier_or_none)]
PlainIdentifier = Annotated[str, AfterValidator(_plain_identifier)]
AllowedHost = Annotated[str, AfterValidator(_allowed_host)]
GitUrl = Annotated[str, AfterValidator(_git_url)]


class SnowflakeSettings(BaseModel):
    """The names of all objects that Copperline makes or uses in a Snowflake account, and their sizes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: Identifier = Field("PCB_CV", description="Database of everything below")
    schema_name: Identifier = Field("PUBLIC", description="Schema of tables, stages, models and apps")
    admin_role: Identifier = Field("ACCOUNTADMIN", description="Role that setup and teardown begin with")
    role: Identifier = Field("PCB_CV_ROLE", description="Role that works with the objects, and owns what it makes")
    reader_role: Identifier = Field("PCB_CV_READER", description="Role that looks at the dashboard and reads tables")
    warehouse: Identifier = Field("PCB_CV_WH", description="Virtual warehouse of queries and of the dashboard")
    warehouse_size: WarehouseSize = Field("XSMALL", description="Its size, XSMALL to XLARGE: each costs twice the last")
    warehouse_suspend_s: int = Field(60, ge=30, le=86_400, description="Idle seconds after which it stops")
    compute_pool: PlainIdentifier = Field("PCB_CV_COMPUTEPOOL", description="GPU nodes of notebook and training")
    instance_family: PlainIdentifier = Field("GPU_NV_M", description="Kind of its nodes")
    min_nodes: int = Field(1, ge=1, le=100, description="Nodes that run as long as the pool does")
    max_nodes: int = Field(3, ge=1, le=100, description="Nodes that it may grow to")
    pool_suspend_s: int = Field(600, ge=60, le=86_400, description="Idle seconds after which its nodes stop")
    stage: Identifier = Field("MODEL_STAGE", description="Stage of images, weights and runs")
    image_repository: Identifier = Field("PCB_CV_IMAGES", description="Container images of your own")
    model: Identifier = Field("YOLO_PCB_DETECTOR", description="Name of the registered model")
    notebook: Identifier = Field("PCB_DEFECT_DETECTION", description="The notebook")
    streamlit: Identifier = Field("PCB_DEFECT_DETECTION_APP", description="The dashboard")
    streamlit_pool: PlainIdentifier = Field(
        "SYSTEM_COMPUTE_POOL_CPU", description="CPU nodes of the dashboard; every account has these"
    )
    allowed_hosts: tuple[AllowedHost, ...] = Field(
        ("pypi.org:443", "files.pythonhosted.org:443", "github.com:443", "codeload.github.com:443"),
        description="HOST:PORT that notebook and training may reach; none: no access outside at all",
    )
    network_rule: Identifier = Field("PCB_CV_EGRESS", description="Network rule with these hosts")
    external_access: Identifier = Field("PCB_CV_EXTERNAL_ACCESS", description="Integration that uses the rule")
    git_url: GitUrl | None = Field(None, description="https URL of a public git repository to connect; none: none")
    git_repository: Identifier = Field("PCB_CV_REPO", description="Its clone in the schema")
    api_integration: Identifier = Field("PCB_CV_GIT_API", description="Integration that may fetch from that URL alone")
    credit_quota: int = Field(50, ge=0, le=1_000_000, description="Credits a month of the warehouse; 0: no limit")
    resource_monitor: Identifier = Field("PCB_CV_MONITOR", description="Resource monitor that stops it there")
    tag: IdentifierOrNone = Field("PCB_CV_COST", description="Tag that costs are found by; empty: none")

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.max_nodes < self.min_nodes:
            raise ValueError(f"expected max_nodes of at least min_nodes, {self.min_nodes}, found {self.max_nodes}")
        for names in (
            (self.admin_role, self.role, self.reader_role),
            (self.external_access, self.api_integration),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"expected different names, found {', '.join(names)}")
        return self

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
