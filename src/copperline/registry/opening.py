"""The registry that the settings name: MLflow's, or that of a Snowflake account."""

from __future__ import annotations

from typing import Literal, Protocol

from copperline.registry.card import ModelCard
from copperline.registry.on_snowflake import SnowflakeRegistry
from copperline.registry.promotions import History
from copperline.registry.store import CHAMPION, ModelVersion, Registry, ResolvedModel
from copperline.settings import Settings


class ModelRegistry(Protocol):
    """What every registry can be asked for; see `Registry`."""

    settings: Settings
    name: str

    def versions(self) -> tuple[ModelVersion, ...]: ...

    def get(self, name: str) -> ModelVersion: ...

    def promote(
        self,
        version: int | str,
        alias: str = CHAMPION,
        *,
        by: str | None = None,
        reason: str = "",
        expected: int | Literal["any"] | None = "any",
    ) -> ModelVersion: ...

    def history(self) -> History: ...

    def resolve(self, name: str) -> ResolvedModel: ...

    def read_card(self, version: ModelVersion) -> ModelCard: ...


def open_registry(settings: Settings) -> ModelRegistry:
    """The registry of `settings.registry_uri`. Nothing is reached before it is asked for something."""
    return SnowflakeRegistry(settings) if settings.registry_on_snowflake else Registry(settings)
