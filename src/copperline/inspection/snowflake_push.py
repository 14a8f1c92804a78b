"""A model version of the local registry, or a shipped one, becomes a version of the registered model in Snowflake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copperline.registry import CHALLENGER, ModelVersion
from copperline.settings import Settings

if TYPE_CHECKING:
    from snowflake.snowpark import Session


def push_model(session: Session, settings: Settings, version: str, *, alias: str | None = CHALLENGER) -> ModelVersion:
    """Registers the model that `version` means in the account, with its card, and points `alias` to it.

    A file that is registered there already, known by its SHA-256, is not sent again: its version is given.

    Args:
        session: of the account; its role may create models in the schema of `settings.snowflake`.
        version: a number or alias of the local registry, or `builtin:NAME`.
        alias: `challenger`, `champion` or another; None: none is moved.

    Raises:
        ModelError: there is no such version, or its file is damaged.
        SnowflakeError: the account cannot be reached or refuses.
    """
    raise NotImplementedError
