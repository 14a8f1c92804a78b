"""One place for every setting: defaults, then `copperline.toml`, then `COPPERLINE_*` variables, then arguments."""

from __future__ import annotations

import getpass
import os
import tomllib
from datetime import time
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as UnreadableVariable

from copperline.errors import SettingsError
from copperline.sink_settings import EventType, SinkSettings, require_distinct, sinks_taking
from copperline.snowflake_settings import Identifier, SnowflakeSettings
from copperline.taxonomy import DEEPPCB, Taxonomy

TOML_FILE = "copperline.toml"


class Settings(BaseSettings):
    """Where things are kept and how many cores may be used.

    Every field can be set in `copperline.toml` of the current folder or as the variable `COPPERLINE_<FIELD>`; those of
    the table `[snowflake]` as `COPPERLINE_SNOWFLAKE__<FIELD>`.
    """

    model_config = SettingsConfigDict(
        env_prefix="COPPERLINE_", env_nested_delimiter="__", toml_file=TOML_FILE, extra="forbid", frozen=True
    )

    workspace: Path = Field(Path("copperline-workspace"), description="Folder for data sets, runs, reports and stores")
    warehouse_url: str | None = Field(
        None, description="SQLAlchemy URL, or snowflake://; default: SQLite in the workspace"
    )
    registry_uri: str | None = Field(
        None, description="MLflow URI, or `snowflake`: the account's registry; default: SQLite in the workspace"
    )
    stage_folder: Path | None = Field(None, description="Where images of the line are kept; default: in the workspace")
    stage_clock_tolerance_s: float = Field(
        5.0,
        ge=0,
        le=86_400,
        description="How far the clocks of a stage and of the machines that inspect may differ, seconds",
    )
    model_name: str = Field("pcb-detector", description="Name of the registered model")
    taxonomy_file: Path | None = Field(None, description="TOML file with the defect classes; default: DeepPCB's six")
    line_requires_reference: bool = Field(
        False, description="Boards without a golden reference are refused, instead of judged by themselves"
    )
    threads: int = Field(0, ge=0, description="CPU threads for training and inspection; 0: all cores")
    training_wait_s: float = Field(
        120.0, ge=1, le=86_400, description="Seconds that a Ray cluster may take to have a place for all workers"
    )
    training_stall_s: float = Field(
        900.0, ge=1, le=86_400, description="Seconds without a step after which workers of a training run are stuck"
    )
    time_zone: str = Field("UTC", description="The plant's IANA time zone, for days and shifts; rows stay in UTC")
    shift_starts: tuple[time, ...] = Field(
        (time(6), time(14), time(22)), min_length=1, description="When shifts begin, in the plant's time zone"
    )
    dashboard_sign_in: bool | Literal["snowflake"] = Field(
        False, description="Visitors of the dashboard sign in by OpenID Connect, or were let in by Snowflake"
    )
    dashboard_reviewers: tuple[str, ...] = Field(
        (), description="E-mail addresses of those who may review and promote when visitors sign in; others look"
    )
    dashboard_reviewer_role: Identifier | None = Field(
        None, description="In Snowflake: members of this role may review and promote too"
    )
    service_queue: int = Field(64, ge=1, le=10_000, description="Boards that may wait in the HTTP service")
    service_batch: int = Field(8, ge=1, le=256, description="Boards that the HTTP service writes in one transaction")
    service_timeout_s: float = Field(10.0, gt=0, le=600, description="Seconds that a request waits for its inspection")
    service_model_poll_s: float = Field(2.0, gt=0, le=3600, description="Seconds between two looks for a new model")
    service_log: Literal["text", "json"] = Field("text", description="Lines of the HTTP service's log on stderr")
    service_max_mib: int = Field(64, ge=1, le=4096, description="Largest body of a request to the service, MiB")
    service_max_megapixels: int = Field(
        64, ge=1, le=268, description="Largest image that the service inspects, millions of pixels"
    )
    service_max_connections: int = Field(512, ge=1, description="Open connections to the service, in all")
    service_max_connections_per_address: int = Field(
        128, ge=1, description="Open connections to the service from one address"
    )
    service_rate_limit: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Requests a second that each key may make on average; 0: any number"
    )
    service_rate_burst: int = Field(20, ge=1, description="Requests that a key may make at once after a pause")

    snowflake: SnowflakeSettings = Field(SnowflakeSettings(), description="Names in a Snowflake account")

    sinks: tuple[SinkSettings, ...] = Field((), description="Who is told of what happens on the line")
    events_kept_days: int = Field(30, ge=1, description="How long delivered events are kept")
    alert_every_s: float = Field(60.0, ge=1, description="Seconds from one evaluation of the alerts to the next")
    alert_clear_minutes: float = Field(
        10.0, ge=0, description="An alert is closed when its condition has not held for so long"
    )
    alert_hours: int = Field(8, ge=1, le=72, description="Rates and drift are of so many latest hours")
    alert_min_boards: int = Field(30, ge=1, description="Fewer boards raise no alert of a rate or a point of a chart")
    alert_withheld_rate: float = Field(0.05, ge=0, le=1, description="Alert when more boards than this are withheld")
    alert_silent_minutes: float = Field(30.0, gt=0, description="Alert when a station reported nothing for so long")
    alert_chart_grain: Literal["hour", "shift"] = Field("hour", description="What a point of the control charts is")
    alert_chart_rules: tuple[Annotated[int, Field(ge=1, le=4)], ...] = Field(
        (1, 2, 3, 4), description="Western Electric rules that raise alerts"
    )

    @field_validator("sinks")
    @classmethod
    def _different_names(cls, sinks: tuple[SinkSettings, ...]) -> tuple[SinkSettings, ...]:
        require_distinct(sinks)
        return sinks

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"expected an IANA time zone such as Europe/Berlin, found {name!r}") from error
        return name

    @field_validator("shift_starts")
    @classmethod
    def _in_order(cls, starts: tuple[time, ...]) -> tuple[time, ...]:
        # Compared with a plain full hour, a time with a zone of its own differs too.
        if any(start != time(start.hour) for start in starts) or list(starts) != sorted(set(starts)):
            raise ValueError("expected distinct full hours in order, such as 06:00, 14:00, 22:00")
        return starts

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @classmethod
    def load(cls, workspace: Path | None = None) -> Settings:
        """Reads all sources; `workspace`, if given, wins. Raises SettingsError naming the wrong field."""
        try:
            return cls() if workspace is None else cls(workspace=workspace)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(
                f"expected TOML, found a mistake ({error})", where=TOML_FILE, fix="correct it"
            ) from error
        except UnreadableVariable as error:
            raise SettingsError(
                f"expected a list in JSON in a variable of the environment ({error})",
                fix="""write it as '["a", "b"]', or set it in copperline.toml""",
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            variable = "COPPERLINE_" + "__".join(part for part in first["loc"][:2] if isinstance(part, str)).upper()
            # Not the error itself as the cause: it repeats what was given, which may hold a password.
            raise SettingsError(
                f"setting {name!r}: {first['msg']}", fix=f"correct it in copperline.toml or {variable}"
            ) from None

    @property
    def warehouse(self) -> str:
        """SQLAlchemy URL of the warehouse; `snowflake://` alone means the schema that `snowflake` names."""
        if self.warehouse_url is not None and self.warehouse_url.startswith("snowflake://"):
            return self.snowflake.warehouse_url(self.warehouse_url)
        return self.warehouse_url or f"sqlite:///{self.workspace.absolute() / 'warehouse.db'}"

    @property
    def registry(self) -> str:
        """MLflow tracking and registry URI; training runs are kept there too where the models are in Snowflake."""
        own = f"sqlite:///{self.workspace.absolute() / 'registry.db'}"
        return own if self.registry_on_snowflake else self.registry_uri or own

    @property
    def registry_on_snowflake(self) -> bool:
        """Whether model versions are those of the Snowflake account."""
        return self.registry_uri in ("snowflake", "snowflake://")

    @property
    def stage(self) -> Path:
        """Folder of the images that the line hands in, absolute."""
        return (self.stage_folder or self.workspace / "stage").absolute()

    def sinks_for(self, event_type: EventType) -> tuple[str, ...]:
        """Names of the sinks that are told of such events: what a writer of events is to be given."""
        return sinks_taking(self.sinks, event_type)

    @cached_property
    def taxonomy(self) -> Taxonomy:
        return DEEPPCB if self.taxonomy_file is None else Taxonomy.from_toml(self.taxonomy_file)

    @property
    def cores(self) -> int:
        """Number of CPU threads to use, at least 1."""
        return self.threads or available_cores()


def available_cores() -> int:
    """Cores that this process may use, at least 1; in a container that can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def account() -> str:
    """The account of this machine that the process runs under: who is recorded where nobody signs in."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
