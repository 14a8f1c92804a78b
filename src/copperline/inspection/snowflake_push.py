"""A model version of the local registry, or a shipped one, becomes a version of the registered model in Snowflake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from copperline.inspection.snowflake_package import package, require_packages
from copperline.registry import CHALLENGER, CHAMPION, ModelVersion, SnowflakeRegistry, describe_model
from copperline.settings import Settings
from copperline.snowflake_settings import quoted

if TYPE_CHECKING:
    from snowflake.snowpark import Session


def registry_in_account(settings: Settings, session: Session | None = None) -> SnowflakeRegistry:
    """The account's registry, to register in too; `open_registry` gives one that only finds and promotes."""

    def packager(folder: Path) -> dict[str, Any]:
        require_packages(registry.session, quoted(settings.snowflake.database))  # before minutes of sending files
        return package(folder)

    registry = SnowflakeRegistry(settings, session, packager=packager)
    return registry


def push_model(session: Session, settings: Settings, version: str, *, alias: str | None = CHALLENGER) -> ModelVersion:
    """Registers the model that `version` means in the account, with its card, and points `alias` to it.

    A file that is registered there already, known by its SHA-256, is not sent again: its version is given.

    Args:
        session: of the account; its role may create models in the schema of `settings.snowflake`.
        version: a number or alias of the local registry, or `builtin:NAME`. Where the settings name Snowflake as the
            registry, the local one is that of the workspace.
        alias: `challenger`: a new version gets it, or `champion` while the account has none, and one that is there
            keeps its own; another: is moved in any case; None: none is moved.

    Raises:
        ModelError: there is no such version, its file is damaged, or the account cannot be reached or refuses.
    """
    local = settings.model_copy(update={"registry_uri": None}) if settings.registry_on_snowflake else settings
    found = describe_model(local, version)
    registry = registry_in_account(settings, session)
    there = registry.versions()
    known = next((entry for entry in there if entry.sha256 == found.sha256), None)
    if alias == CHALLENGER and known is not None:
        return known  # pushed again, the champion is not to become its own challenger
    if alias == CHALLENGER and not any(CHAMPION in entry.aliases for entry in there):
        alias = CHAMPION  # the first one, as with every registry
    card = found.card.model_copy(update={"sha256": found.sha256})
    return registry.register(found.path, card, alias=alias)
