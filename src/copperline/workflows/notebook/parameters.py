"""What the notebook's one cell of parameters holds, checked; the environment overrides it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from copperline.errors import SettingsError

PREFIX = "COPPERLINE_NOTEBOOK_"


class Parameters(BaseSettings):
    """Parameters of one run of the notebook. The variable `COPPERLINE_NOTEBOOK_<NAME>` wins over the cell."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    data: Path | None = Field(None, description="a labelled data set's folder; none: see `find_boards`")
    epochs: int = Field(10, ge=1, description="of training")
    boards: int = Field(240, ge=8, description="at most so many, over all splits")
    workspace: Path | None = Field(None, description="folder of everything that is made; none: as the settings say")
    seed: int = Field(0, ge=0, description="of drawn boards and of training")
    promote: bool = Field(False, description="whether a version that is not the first becomes champion at once")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @classmethod
    def of(cls, **in_cell: Any) -> Parameters:
        """From the cell's values, by name; raises SettingsError naming the wrong one."""
        try:
            return cls(**in_cell)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            raise SettingsError(
                f"parameter {name.upper()}: {first['msg']}, found {first['input']!r}",
                fix=f"correct it in the cell of parameters or in {PREFIX}{name.upper()}",
            ) from error
