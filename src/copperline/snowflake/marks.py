"""How an object in the account says that Copperline made it: by the beginning of its comment."""

from __future__ import annotations

from copperline.snowflake.sql import literal

MARK = "Made by Copperline"


def comment(what: str) -> str:
    """The comment of an object of ours as it stands in SQL.

    >>> comment("the dashboard")
    "'Made by Copperline: the dashboard'"
    """
    return literal(f"{MARK}: {what}")


def is_marked(found: str | None) -> bool:
    """Whether this comment is one of ours."""
    return (found or "").startswith(MARK)
